/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/seccomp.c - system calls that no guest's QEMU needs
 *
 * A second wall behind uid, namespaces and QEMU's own -sandbox, which lets io_uring, keyctl, pidfd_open
 * and all kinds of sockets through and which a program put in QEMU's place would not raise at all.
 * What is refused here fails with an error and kills nobody. ENOSYS where libraries try a newer call
 * first and then fall back to an older one.
 *
 * A list of what is refused, not of what is allowed: QEMU with its libraries uses over a hundred calls,
 * other ones with each release, and one that is forgotten shows itself in the middle of a guest's life.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

static const struct {
	int error;
	const char *calls; /* unknown ones are of another processor or a later kernel */
} refused[] = {
	/* clang-format off */
	/* others' processes and their memory */
	{ EPERM,  "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp" },
	{ EPERM,  "pidfd_open pidfd_getfd pidfd_send_signal" },
	/* namespaces and mounts: the way out of the private root */
	{ EPERM,  "unshare setns mount umount umount2 pivot_root chroot move_mount open_tree open_tree_attr" },
	{ EPERM,  "fsopen fsconfig fsmount fspick mount_setattr statmount listmount" },
	{ ENOSYS, "clone3" /* its flags lie in memory, where no filter can look */ },
	/* descriptors to things that have no path here */
	{ EPERM,  "open_by_handle_at name_to_handle_at fanotify_init fanotify_mark quotactl quotactl_fd" },
	/* large and young parts of the kernel, where most of its holes were found */
	{ EPERM,  "bpf perf_event_open userfaultfd keyctl add_key request_key" },
	/* the host itself */
	{ EPERM,  "kexec_load kexec_file_load init_module finit_module delete_module create_module" },
	{ EPERM,  "reboot swapon swapoff acct syslog sethostname setdomainname vhangup" },
	{ EPERM,  "settimeofday stime clock_settime clock_adjtime clock_adjtime64 clock_settime64 adjtimex" },
	{ EPERM,  "iopl ioperm modify_ldt vm86 vm86old personality move_pages migrate_pages" },
	{ ENOSYS, "uselib ustat sysfs _sysctl nfsservctl lookup_dcookie get_kernel_syms query_module" },
	/* clang-format on */
};

static const char io_uring[] = "io_uring_setup io_uring_enter io_uring_register";

/* CLONE_NEWTIME is none of clone()'s: its bit belongs to the signal number there. */
static const uint64_t clone_flags[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
	CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };

static int refuse(scmp_filter_ctx ctx, int error, const char *calls)
{
	int r = 0;

	while (r == 0 && *calls) {
		size_t len = strcspn(calls, " ");
		_cleanup_(free_ptr) char *name = xstrndup(calls, len);
		int nr = seccomp_syscall_resolve_name(name);

		if (nr != __NR_SCMP_ERROR)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)error), nr, 0);
		calls += len + (calls[len] == ' ');
	}
	return r;
}

/* One more call that fails, where its first argument compares so. */
static int refuse_kind(scmp_filter_ctx ctx, int error, int call, enum scmp_compare op, uint64_t a, uint64_t b)
{
	const struct scmp_arg_cmp kind = { .arg = 0, .op = op, .datum_a = a, .datum_b = b };

	return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO((unsigned)error), call, 1, &kind);
}

/* Of local sockets QEMU has use; all networks come as descriptors. */
static int refuse_all_but_unix(scmp_filter_ctx ctx)
{
	return refuse_kind(ctx, EAFNOSUPPORT, SCMP_SYS(socket), SCMP_CMP_NE, AF_UNIX, 0);
}

/* Who serves the host's network needs IP, and of netlink the part that lists addresses. */
static int refuse_odd_networks(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp netfilter[] = {
		{ .arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_NETLINK },
		{ .arg = 2, .op = SCMP_CMP_NE, .datum_a = NETLINK_ROUTE },
	};
	int r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), ARRAY_SIZE(netfilter),
		netfilter);

	for (uint64_t family = 0; r == 0 && family < AF_NETLINK; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
			r = refuse_kind(ctx, EAFNOSUPPORT, SCMP_SYS(socket), SCMP_CMP_EQ, family, 0);
	if (r == 0)
		r = refuse_kind(ctx, EAFNOSUPPORT, SCMP_SYS(socket), SCMP_CMP_GT, AF_NETLINK, 0);
	return r;
}

static int refuse_kinds(scmp_filter_ctx ctx, bool host_network)
{
	int r = host_network ? refuse_odd_networks(ctx) : refuse_all_but_unix(ctx);

	if (r == 0)
		r = refuse_kind(ctx, EAFNOSUPPORT, SCMP_SYS(socketpair), SCMP_CMP_NE, AF_UNIX, 0);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(clone_flags); i++)
		r = refuse_kind(ctx, EPERM, SCMP_SYS(clone), SCMP_CMP_MASKED_EQ, clone_flags[i], clone_flags[i]);
	return r;
}

int filter_load(struct jail *j, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : -ENOMEM;

	/* calls in the manner of i386 or x32 carry other numbers, past the list */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(refused); i++)
		r = refuse(ctx, refused[i].error, refused[i].calls);
	if (r == 0 && !j->io_uring)
		r = refuse(ctx, ENOSYS, io_uring);
	if (r == 0)
		r = refuse_kinds(ctx, j->role->host_network);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	errno = -r;
	return r < 0 ? err_errno(e, "set the system call filter") : 0;
}
