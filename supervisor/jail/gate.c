/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/gate.c - the front of the seccomp filter: denies calls newer than this list, and
 * allows only listed ioctls (but for the program of a store, which may use all)
 *
 * Written in BPF, because libseccomp can express neither, and placed before the code that
 * libseccomp generates from seccomp.c's table: together they are one filter. A call with a number
 * above the highest known when this was written fails as on a kernel that lacks it. The kernel uses
 * 32 bits of ioctl's second argument, and so does this: with the upper half of the register set, as
 * for a negative int or on purpose, a request is still the same request. The allowed ioctls are
 * those that QEMU 7.2 and 10 were seen to make or that are in their sources; all others fail with
 * EPERM.
 */
#include <assert.h>
#include <errno.h>
#include <linux/cdrom.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

/* file_setattr, of Linux 6.17. From 403 on, a call has the same number on all architectures. */
enum { GATE_HIGHEST = 469 };

/* clang-format off */
static const struct {
	unsigned who; /* IOCTL_* of a role */
	uint32_t request;
} gate_requests[] = {
	/* on any fd: flags that fcntl() can change too, number of readable bytes, terminal check */
	{ IOCTL_ANY,       FIOCLEX },
	{ IOCTL_ANY,       FIONCLEX },
	{ IOCTL_ANY,       FIONBIO },
	{ IOCTL_ANY,       FIONREAD },
	{ IOCTL_ANY,       TCGETS },
	/* a disk's size, geometry, limits and discard: block/file-posix.c */
	{ IOCTL_DISK,      BLKGETSIZE },
	{ IOCTL_DISK,      BLKGETSIZE64 },
	{ IOCTL_DISK,      BLKSSZGET },
	{ IOCTL_DISK,      BLKBSZGET },
	{ IOCTL_DISK,      BLKPBSZGET },
	{ IOCTL_DISK,      BLKIOMIN },
	{ IOCTL_DISK,      BLKIOOPT },
	{ IOCTL_DISK,      BLKALIGNOFF },
	{ IOCTL_DISK,      BLKSECTGET },
	{ IOCTL_DISK,      BLKROTATIONAL },
	{ IOCTL_DISK,      BLKROGET },
	{ IOCTL_DISK,      BLKDISCARD },
	{ IOCTL_DISK,      BLKDISCARDZEROES },
	{ IOCTL_DISK,      BLKZEROOUT },
	{ IOCTL_DISK,      HDIO_GETGEO },
	/* XFS_IOC_DIOINFO: alignment of direct I/O */
	{ IOCTL_DISK,      _IOR('X', 30, uint32_t[3]) },
	/* the host's CD drive: disc present? lock, open and close the tray */
	{ IOCTL_DISK,      CDROM_DRIVE_STATUS },
	{ IOCTL_DISK,      CDROM_LOCKDOOR },
	{ IOCTL_DISK,      CDROMEJECT },
	{ IOCTL_DISK,      CDROMCLOSETRAY },
	/* an open tap: net/tap-linux.c. Not its name, address, link state, owner, persistence or
	 * filter */
	{ IOCTL_TAP,       TUNGETFEATURES },
	{ IOCTL_TAP,       TUNGETIFF },
	{ IOCTL_TAP,       TUNSETOFFLOAD },
	{ IOCTL_TAP,       TUNGETVNETHDRSZ },
	{ IOCTL_TAP,       TUNSETVNETHDRSZ },
	{ IOCTL_TAP,       TUNSETVNETLE },
	{ IOCTL_TAP,       TUNSETVNETBE },
	{ IOCTL_TAP,       TUNSETSNDBUF },
	{ IOCTL_TAP,       TUNSETQUEUE },
	/* interface names, flags and addresses, when a packet arrived, and setting a new guest's
	 * MAC for the reply */
	{ IOCTL_INTERFACE, SIOCGIFNAME },
	{ IOCTL_INTERFACE, SIOCGIFINDEX },
	{ IOCTL_INTERFACE, SIOCGIFFLAGS },
	{ IOCTL_INTERFACE, SIOCGIFADDR },
	{ IOCTL_INTERFACE, SIOCGIFMTU },
	{ IOCTL_INTERFACE, SIOCGIFHWADDR },
	{ IOCTL_INTERFACE, 0x8906 }, /* SIOCGSTAMP, which has two numbers by now */
	{ IOCTL_INTERFACE, SIOCSARP },
};
/* clang-format on */

/* Large ioctl families of one device: all of them allowed if the role was given the node. */
static const struct {
	const char *nodes; /* prefix of the path */
	uint8_t type;
} gate_types[] = {
	{ "/dev/kvm", 0xae },
	{ "/dev/vhost-", 0xaf },
	{ "/dev/vfio/", ';' },
	{ "/dev/bus/usb/", 'U' },
};

static_assert(GATE_OPS >= 16 + 2 * (ARRAY_SIZE(gate_requests) + ARRAY_SIZE(gate_types)),
	"no space left for the gate");

static void gate_add(struct gate *g, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	g->op[g->n++] = (struct sock_filter){ code, yes, no, k };
}

static void gate_read(struct gate *g, size_t at)
{
	gate_add(g, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

/* Returns the answer if the value just read matches. */
static void gate_answer(struct gate *g, uint16_t compare, uint32_t k, uint32_t answer)
{
	gate_add(g, BPF_JMP | compare | BPF_K, k, 0, 1);
	gate_add(g, BPF_RET | BPF_K, answer, 0, 0);
}

/* Jumps to what follows the gate; the offset is filled in at the end. */
static unsigned short gate_leave(struct gate *g)
{
	gate_add(g, BPF_JMP | BPF_JA, 0, 0, 0);
	return g->n - 1;
}

static bool gate_has_node(const struct jail *j, const char *begins)
{
	for (size_t i = 0; i < j->n_nodes; i++)
		if (strncmp(j->node[i].path, begins, strlen(begins)) == 0)
			return true;
	return false;
}

void gate_write(struct gate *g, const struct jail *j)
{
	const size_t low = __BYTE_ORDER == __LITTLE_ENDIAN ? 0 : 4;
	unsigned short others[2];

	g->n = 0;
	gate_read(g, offsetof(struct seccomp_data, arch));
	gate_add(g, BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 1, 0);
	others[0] = gate_leave(g);
	gate_read(g, offsetof(struct seccomp_data, nr));
	gate_answer(g, BPF_JGT, GATE_HIGHEST, SECCOMP_RET_ERRNO | ENOSYS);
	gate_add(g, BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 1, 0);
	others[1] = gate_leave(g);
	gate_read(g, offsetof(struct seccomp_data, args[1]) + low);
	gate_add(g, BPF_ALU | BPF_AND | BPF_K, 0xff00, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(gate_types); i++)
		if (gate_has_node(j, gate_types[i].nodes))
			gate_answer(
				g, BPF_JEQ, (uint32_t)gate_types[i].type << 8, SECCOMP_RET_ALLOW);
	gate_read(g, offsetof(struct seccomp_data, args[1]) + low);
	for (size_t i = 0; i < ARRAY_SIZE(gate_requests); i++)
		if (gate_requests[i].who & (IOCTL_ANY | j->role->ioctls))
			gate_answer(g, BPF_JEQ, gate_requests[i].request, SECCOMP_RET_ALLOW);
	gate_add(g, BPF_RET | BPF_K,
		j->role->ioctls & IOCTL_ALL ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		g->op[others[i]].k = g->n - others[i] - 1u;
}
