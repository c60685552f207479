/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/role.c - what each kind of program may do beyond the common restrictions
 */
#include <linux/capability.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"
#include "supervisor/jail/relay.h"

enum { MIB = 1 << 20 };

static const struct jail_role roles[] = {
	/* nproc: one thread per vCPU and up to 64 for each of its I/O threads. A fork bomb is
	 * limited to this. */
	{ .name = "qemu",
		.install = "install qemu-system-x86, or correct Binary=",
		.keeps_locks = true,
		.ioctls = IOCTL_DISK | IOCTL_TAP, /* disks and NICs may be plugged in later */
		.nofile = 4096,
		.nproc = 1024 },
	/* Reads headers that a guest wrote, so time and memory are limited to what any honest image
	 * needs. It adds only metadata to an image: 1 GiB of metadata describes 8 TiB. */
	{ .name = "tool",
		.ends_with_daemon = true,
		.install = "install qemu-utils",
		.ioctls = IOCTL_DISK,
		.own_output = true,
		.nofile = 256,
		.nproc = 128,
		.cpu_seconds = 600,
		.memory = 2048ULL * MIB,
		.growth = 1024ULL * MIB },
	/* The same for a whole image: as long as it takes, and as large as it gets. Nobody may write what
	 * it reads. */
	{ .name = "copy",
		.ends_with_daemon = true,
		.install = "install qemu-utils",
		.keeps_locks = true,
		.ioctls = IOCTL_DISK,
		.own_output = true,
		.nofile = 256,
		.nproc = 128,
		.memory = 2048ULL * MIB },
	/* lvcreate, zfs and the like, through a script that root named: device mapper and ZFS ask for
	 * SYS_ADMIN. What it must not do is in seccomp.c: mount, load modules, leave its root. */
	{ .name = "store",
		.ends_with_daemon = true,
		.install = "install it, or correct Program= in vmkeep.conf",
		.keep = 1ULL << CAP_SYS_ADMIN | 1ULL << CAP_MKNOD | 1ULL << CAP_CHOWN |
			1ULL << CAP_FOWNER | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_IPC_LOCK |
			1ULL << CAP_SYS_NICE,
		.volumes = true,
		.forks = true,
		.ioctls = IOCTL_ALL,
		.own_output = true,
		.nofile = 1024,
		.memory = 2048ULL * MIB,
		.cpu_seconds = 600 },
	/* A QEMU without a guest: queried on its standard input, booting 512 bytes, or opening a VM's
	 * images for reading. */
	{ .name = "probe",
		.ends_with_daemon = true,
		.install = "install qemu-system-x86, or correct Binary=",
		.own_input = true,
		.own_output = true,
		.ioctls = IOCTL_DISK,
		.nofile = 4096,
		.nproc = 1024, /* as many vCPUs as a guest's */
		.cpu_seconds = 60 },
	/* xorriso, which copies a few small files into an image for cloud-init: fd 1. */
	{ .name = "seed",
		.ends_with_daemon = true,
		.install = "install xorriso",
		.own_output = true,
		.nofile = 64,
		.nproc = 16,
		.cpu_seconds = 60,
		.memory = 512ULL * MIB,
		.file = 16ULL * MIB },
	/* Binds ports 53 and 67, and replies to clients without an address yet, for which it must
	 * give the kernel their MAC. Up to 20 processes serve DNS over TCP. Its lease file is read
	 * up to 4 MiB. */
	{ .name = "dnsmasq",
		.install = "install dnsmasq-base",
		.keep = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_BIND_SERVICE,
		.host_network = true,
		.network_sockets = true,
		.forks = true,
		.ioctls = IOCTL_INTERFACE,
		.own_output = true,
		.nofile = 1024,
		.nproc = 64,
		.memory = 512ULL * MIB,
		.file = 8ULL * MIB },
	/* curl: fetches one file that it may write from the network, which includes the host's own;
	 * name servers are asked in a thread. */
	{ .name = "fetch",
		.ends_with_daemon = true,
		.install = "install curl",
		.host_network = true,
		.own_output = true,
		.nofile = 64,
		.nproc = 16,
		.cpu_seconds = 3600,
		.memory = 1024ULL * MIB,
		.file = 1024ULL * 1024 * MIB },
	/* gpgv: compares a text and its signature, both descriptors, with a keyring that it sees. */
	{ .name = "verify",
		.ends_with_daemon = true,
		.install = "install gpgv",
		.own_output = true,
		.nofile = 64,
		.nproc = 16,
		.cpu_seconds = 60,
		.memory = 512ULL * MIB,
		.file = 1 },
	/* Copies between two sockets in a child that the daemon need not wait for; its own filter
	 * denies it anything else. */
	{ .name = "relay",
		.run = relay_run,
		.bare = true,
		.network_sockets = true,
		.forks = true,
		.own_output = true,
		.nofile = 16,
		.file = 1 },
	/* vmkeep-jail itself, as root, for a moment; what it opens is on its way to the guest */
	{ .name = "enter", .run = enter_run, .runs = JAIL_ENTER, .keeps_locks = true },
	{ .name = "leave", .run = leave_run, .runs = JAIL_LEAVE, .ends_with_daemon = true },
};

const struct jail_role *role_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (streq(roles[i].name, name))
			return &roles[i];
	return NULL;
}
