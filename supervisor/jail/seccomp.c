/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/seccomp.c - denies system calls that no guest's QEMU needs
 *
 * A second barrier behind uid, namespaces and QEMU's own -sandbox, which allows io_uring, keyctl,
 * pidfd_open and all kinds of sockets, and which a program that replaces QEMU would not set up at
 * all. A denied call fails with an error and kills nobody. The error is ENOSYS where libraries try
 * a newer call first and then fall back to an older one.
 *
 * A deny list, not an allow list: QEMU and its libraries use over a hundred calls, and others with
 * each release; a forgotten one would show up in the middle of a guest's life. Calls newer than
 * this list, and ioctl, are handled by gate.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum seccomp_who {
	ALL,
	GUESTS,	 /* roles that use no network and get everything opened for them */
	UNHEARD, /* roles that serve no network */
	SEALED,	 /* roles that do not manage volumes */
};

/* A call's name, with its number (the same on all architectures) if libseccomp may be older than
 * the call: "fchmodat2=452". A call newer than the kernel does no harm. */
/* clang-format off */
static const struct {
	int error;
	enum seccomp_who who;
	const char *calls;
} refused[] = {
	/* other processes and their memory */
	{ EPERM,  ALL, "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp" },
	{ EPERM,  ALL, "pidfd_open pidfd_getfd pidfd_send_signal" },
	/* namespaces and mounts: ways out of the private root */
	{ EPERM,  ALL, "unshare setns mount umount umount2 pivot_root chroot move_mount open_tree open_tree_attr=467" },
	{ EPERM,  ALL, "fsopen fsconfig fsmount fspick mount_setattr statmount=457 listmount=458" },
	{ ENOSYS, ALL, "clone3" /* its flags are in memory, which no filter can read */ },
	/* a file's mode, owner, attributes, flags and times outlive the guest: set-uid on a disk
	 * image was a way to root */
	{ EPERM,  SEALED, "chmod fchmod fchmodat fchmodat2=452" },
	{ EPERM,  SEALED, "chown fchown lchown fchownat chown32 fchown32 lchown32" },
	{ EPERM,  ALL, "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr" },
	{ EPERM,  ALL, "setxattrat=463 getxattrat=464 listxattrat=465 removexattrat=466" },
	{ EPERM,  ALL, "file_getattr=468 file_setattr=469" },
	{ EPERM,  SEALED, "utime utimes futimesat utimensat utimensat_time64" },
	/* all sockets come open, and listening ones come bound. listen() is allowed: QEMU calls it
	 * on each of them */
	{ EPERM,  GUESTS, "connect" },
	{ EPERM,  UNHEARD, "bind" },
	/* descriptors for things that have no path here */
	{ EPERM,  ALL, "open_by_handle_at name_to_handle_at fanotify_init fanotify_mark quotactl quotactl_fd" },
	/* large or new parts of the kernel, where most vulnerabilities were found */
	{ EPERM,  ALL, "bpf perf_event_open userfaultfd keyctl add_key request_key" },
	{ ENOSYS, ALL, "lsm_get_self_attr=459 lsm_set_self_attr=460 lsm_list_modules=461" },
	{ EPERM,  ALL, "splice tee vmsplice" },
	/* memory that none of the guest's limits counts, or that nobody else can read */
	{ EPERM,  ALL, "memfd_secret mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr" },
	{ EPERM,  ALL, "mq_timedsend_time64 mq_timedreceive_time64" },
	{ EPERM,  ALL, "shmget shmat shmctl shmdt" },
	{ EPERM,  SEALED, "semget semop semctl semtimedop semtimedop_time64" },
	{ EPERM,  ALL, "msgget msgsnd msgrcv msgctl ipc" },
	/* the daemon decides where and when it runs, and no guest flushes the host's disks */
	{ EPERM,  SEALED, "sched_setaffinity sched_setscheduler sched_setparam sched_setattr setpriority ioprio_set" },
	{ EPERM,  SEALED, "sync syncfs" },
	/* what others do with files that it can see */
	{ ENOSYS, ALL, "cachestat" },
	{ EPERM,  GUESTS, "inotify_init inotify_init1 inotify_add_watch" },
	/* the capabilities of any process: which one is in memory */
	{ EPERM,  GUESTS, "capget" },
	/* the host itself */
	{ EPERM,  ALL, "kexec_load kexec_file_load init_module finit_module delete_module create_module" },
	{ EPERM,  ALL, "reboot swapon swapoff acct syslog sethostname setdomainname vhangup" },
	{ EPERM,  ALL, "settimeofday stime clock_settime clock_adjtime clock_adjtime64 clock_settime64 adjtimex" },
	{ EPERM,  ALL, "iopl ioperm modify_ldt vm86 vm86old personality move_pages migrate_pages" },
	{ ENOSYS, ALL, "uselib ustat sysfs _sysctl nfsservctl lookup_dcookie get_kernel_syms query_module" },
};
/* clang-format on */

static const char fork_calls[] = "fork vfork"; /* and clone() without CLONE_THREAD */

static const char io_uring[] = "io_uring_setup io_uring_enter io_uring_register";
static const char native_aio[] =
	"io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents";

enum { SOCKET_TYPES = 0xf }; /* the other bits of socket()'s second argument are flags */

/* CLONE_NEWTIME is not a flag of clone(): its bit is part of the signal number there. */
static const uint64_t clone_flags[] = { CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
	CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };

int filter_number(const char *call)
{
	size_t len = strcspn(call, "= ");
	_cleanup_(free_ptr) char *name = xstrndup(call, len);
	int nr = seccomp_syscall_resolve_name(name);

	return nr == __NR_SCMP_ERROR && call[len] == '=' ? atoi(call + len + 1) : nr;
}

const char *filter_calls(size_t i)
{
	return i < ARRAY_SIZE(refused) ? refused[i].calls : NULL;
}

/* Fails on unknown names: silently skipping one would leave a hole. */
static int seccomp_refuse(scmp_filter_ctx ctx, int error, const char *calls)
{
	int r = 0;

	for (; r == 0 && *calls; calls += strcspn(calls, " "), calls += *calls == ' ') {
		int nr = filter_number(calls);

		r = nr == __NR_SCMP_ERROR
			    ? -EINVAL
			    : seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)error), nr, 0);
	}
	return r;
}

/* Denies a call if its argument matches. */
static int seccomp_refuse_argument(
	scmp_filter_ctx ctx, int error, int call, struct scmp_arg_cmp argument)
{
	return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO((unsigned)error), call, 1, &argument);
}

/* QEMU needs local sockets; network sockets are passed in as fds. Datagrams would reach anyone who
 * listens, and are useless without connect() and bind(). */
static int seccomp_refuse_all_but_unix(scmp_filter_ctx ctx)
{
	const int calls[] = { SCMP_SYS(socket), SCMP_SYS(socketpair) };
	int r = seccomp_refuse_argument(
		ctx, EAFNOSUPPORT, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (uint64_t type = 0; r == 0 && type <= SOCKET_TYPES; type++)
			if (type != SOCK_STREAM)
				r = seccomp_refuse_argument(ctx, EAFNOSUPPORT, calls[i],
					SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPES, type));
	return r;
}

/* What listens does so on the host's network, and local sockets without a path are found there, too. */
static int seccomp_refuse_service(scmp_filter_ctx ctx)
{
	int r = seccomp_refuse(ctx, EPERM, "listen");

	return r == 0 ? seccomp_refuse_argument(ctx, EAFNOSUPPORT, SCMP_SYS(socket),
				SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0))
		      : r;
}

/* A program on the host's network needs IP, and the part of netlink that lists addresses. */
static int seccomp_refuse_odd_networks(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp netfilter[] = {
		SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
		SCMP_A2(SCMP_CMP_NE, NETLINK_ROUTE, 0),
	};
	int r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket),
		ARRAY_SIZE(netfilter), netfilter);

	for (uint64_t family = 0; r == 0 && family < AF_NETLINK; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
			r = seccomp_refuse_argument(ctx, EAFNOSUPPORT, SCMP_SYS(socket),
				SCMP_A0(SCMP_CMP_EQ, family, 0));
	if (r == 0)
		r = seccomp_refuse_argument(
			ctx, EAFNOSUPPORT, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
	return r;
}

/* One of these words in the program's command line asks for it. */
static bool seccomp_is_asked(const struct jail *j, const char *in_json, const char *in_option)
{
	for (const char **word = j->argv; word && *word; word++)
		if (strstr(*word, in_json) || strstr(*word, in_option))
			return true;
	return false;
}

/* Two supplies that all programs of the host share, and that no limit of a VM counts: huge pages,
 * and requests of native AIO (/proc/sys/fs/aio-max-nr). Without them other guests fail to start.
 * thin_check, which LVM runs before it activates a pool, cannot do without the latter. */
static int seccomp_refuse_supplies(scmp_filter_ctx ctx, const struct jail *j)
{
	int r = 0;

	if (!j->role->volumes && !seccomp_is_asked(j, "\"aio\":\"native\"", "aio=native"))
		r = seccomp_refuse(ctx, ENOSYS, native_aio);
	if (r < 0 || seccomp_is_asked(j, "\"hugetlb\":true", "hugetlb=on"))
		return r;
	r = seccomp_refuse_argument(
		ctx, EPERM, SCMP_SYS(mmap), SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_HUGETLB, MAP_HUGETLB));
	return r == 0 ? seccomp_refuse_argument(ctx, EPERM, SCMP_SYS(memfd_create),
				SCMP_A1(SCMP_CMP_MASKED_EQ, MFD_HUGETLB, MFD_HUGETLB))
		      : r;
}

/* A process unknown to the daemon would outlive its guest, with everything it holds. */
static int seccomp_refuse_processes(scmp_filter_ctx ctx)
{
	int r = seccomp_refuse(ctx, EPERM, fork_calls);

	return r == 0 ? seccomp_refuse_argument(ctx, EPERM, SCMP_SYS(clone),
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0))
		      : r;
}

/* Programs that share a uid, such as two probes, must not kill each other or lower each other's
 * limits. A program may signal only itself, as raise() and pthread_kill() do; exec keeps the pid,
 * and there are no children. */
static int seccomp_refuse_neighbours(scmp_filter_ctx ctx)
{
	static const char any[] = "tkill";
	const int calls[] = { SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(rt_sigqueueinfo),
		SCMP_SYS(rt_tgsigqueueinfo) };
	int r = seccomp_refuse(ctx, EPERM, any);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_refuse_argument(
			ctx, EPERM, calls[i], SCMP_A0(SCMP_CMP_NE, (uint64_t)getpid(), 0));
	/* 0: itself, which is what the C library passes */
	return r == 0 ? seccomp_refuse_argument(
				ctx, EPERM, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_NE, 0, 0))
		      : r;
}

/* What tells whether another process exists, and what it has used. With 0 these calls are about the
 * caller; a negative clock is the CPU time of a process. ENOSYS: pthread_getattr_np() goes on without
 * an affinity. */
static int seccomp_refuse_inspection(scmp_filter_ctx ctx)
{
	const struct {
		int error, call;
		struct scmp_arg_cmp argument;
	} calls[] = {
		{ EPERM, SCMP_SYS(getpgid), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ EPERM, SCMP_SYS(getsid), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ EPERM, SCMP_SYS(getpriority), SCMP_A1(SCMP_CMP_NE, 0, 0) },
		{ EPERM, SCMP_SYS(ioprio_get), SCMP_A1(SCMP_CMP_NE, 0, 0) },
		{ ENOSYS, SCMP_SYS(sched_getaffinity), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ ENOSYS, SCMP_SYS(sched_getattr), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ ENOSYS, SCMP_SYS(sched_getparam), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ ENOSYS, SCMP_SYS(sched_getscheduler), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ ENOSYS, SCMP_SYS(sched_rr_get_interval), SCMP_A0(SCMP_CMP_NE, 0, 0) },
		{ EINVAL, SCMP_SYS(clock_gettime),
			SCMP_A0(SCMP_CMP_MASKED_EQ, 1U << 31, 1U << 31) },
		{ EINVAL, SCMP_SYS(clock_getres), SCMP_A0(SCMP_CMP_MASKED_EQ, 1U << 31, 1U << 31) },
		{ EINVAL, SCMP_SYS(clock_nanosleep),
			SCMP_A0(SCMP_CMP_MASKED_EQ, 1U << 31, 1U << 31) },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_refuse_argument(ctx, calls[i].error, calls[i].call, calls[i].argument);
	return r;
}

/* fcntl() commands with effects beyond the fd: a lease blocks others that open the file, the rest
 * make the kernel send signals. The kernel compares 32 bits. Commands after F_GET_SEALS are hints
 * that stay with the file, or commands of later kernels, such as leases of directories. */
static int seccomp_refuse_leases(scmp_filter_ctx ctx)
{
	static const int commands[] = { F_SETLEASE, F_NOTIFY, F_SETOWN, F_SETOWN_EX, F_SETSIG };
	int r = seccomp_refuse_argument(
		ctx, EINVAL, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_GT, F_GET_SEALS, 0));

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(commands); i++)
		r = seccomp_refuse_argument(ctx, EPERM, SCMP_SYS(fcntl),
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint64_t)commands[i]));
	return r;
}

/* Else it would outlive the daemon, with the locks on what it reads. */
static int seccomp_refuse_outliving(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp other[] = {
		SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PR_SET_PDEATHSIG),
		SCMP_A1(SCMP_CMP_NE, SIGKILL, 0),
	};

	return seccomp_rule_add_array(
		ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), ARRAY_SIZE(other), other);
}

static bool seccomp_serves(const struct jail_role *role)
{
	return role->host_network && role->network_sockets;
}

static int seccomp_refuse_kinds(scmp_filter_ctx ctx, const struct jail_role *role)
{
	int r = role->host_network ? seccomp_refuse_odd_networks(ctx)
				   : seccomp_refuse_all_but_unix(ctx);

	if (r == 0)
		r = seccomp_refuse_argument(
			ctx, EAFNOSUPPORT, SCMP_SYS(socketpair), SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
	if (r == 0 && role->host_network && !seccomp_serves(role))
		r = seccomp_refuse_service(ctx);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(clone_flags); i++)
		r = seccomp_refuse_argument(ctx, EPERM, SCMP_SYS(clone),
			SCMP_A0(SCMP_CMP_MASKED_EQ, clone_flags[i], clone_flags[i]));
	if (r == 0)
		r = seccomp_refuse_leases(ctx);
	/* its cookie keeps others off the sibling of its CPU */
	if (r == 0)
		r = seccomp_refuse_argument(ctx, EPERM, SCMP_SYS(prctl),
			SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PR_SCHED_CORE));
	if (r == 0 && role->ends_with_daemon)
		r = seccomp_refuse_outliving(ctx);
	if (r == 0 && !role->forks)
		r = seccomp_refuse_processes(ctx);
	if (r == 0 && !role->forks)
		r = seccomp_refuse_inspection(ctx);
	return r == 0 && !role->forks ? seccomp_refuse_neighbours(ctx) : r;
}

static bool seccomp_is_for(enum seccomp_who who, const struct jail_role *role)
{
	if (who == UNHEARD)
		return !seccomp_serves(role);
	return who == SEALED ? !role->volumes : who == ALL || !role->host_network;
}

static int seccomp_filter_make(scmp_filter_ctx ctx, const struct jail *j)
{
	/* i386 and x32 calls have different numbers, which would bypass the list */
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(refused); i++)
		if (seccomp_is_for(refused[i].who, j->role))
			r = seccomp_refuse(ctx, refused[i].error, refused[i].calls);
	if (r == 0 && !j->io_uring)
		r = seccomp_refuse(ctx, ENOSYS, io_uring);
	if (r == 0)
		r = seccomp_refuse_supplies(ctx, j);
	return r == 0 ? seccomp_refuse_kinds(ctx, j->role) : r;
}

/* Appends the program that libseccomp generated to the gate. */
static int seccomp_filter_append(scmp_filter_ctx ctx, struct gate *g)
{
	_cleanup_(close_fd) int fd = memfd_create("filter", MFD_CLOEXEC);
	const size_t room = (FILTER_OPS - g->n) * sizeof *g->op;
	struct stat st;
	int r = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (size_t)st.st_size > room)
		return -E2BIG;
	if (pread(fd, g->op + g->n, room, 0) != st.st_size)
		return -EIO;
	g->n = (unsigned short)(g->n + (size_t)st.st_size / sizeof *g->op);
	return 0;
}

int filter_load(struct jail *j, struct err *e)
{
	static struct gate g;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? seccomp_filter_make(ctx, j) : -ENOMEM;

	gate_write(&g, j);
	if (r == 0)
		r = seccomp_filter_append(ctx, &g);
	seccomp_release(ctx);
	if (r == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
			      &(struct sock_fprog){ .len = g.n, .filter = g.op }) < 0)
		r = -errno;
	errno = -r;
	return r < 0 ? err_errno(e, "set the system call filter") : 0;
}
