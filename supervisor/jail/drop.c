/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/drop.c - process attributes: descriptors, signals, limits, credentials
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

int fds_own_only(struct jail *j, struct err *e)
{
	int type;
	socklen_t len = sizeof type;

	if (close_range(PLAN_FD + 1, ~0U, 0) < 0)
		return err_errno(e, "close descriptors");
	if (getsockopt(j->sock, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		fcntl(j->sock, F_SETFD, FD_CLOEXEC) < 0)
		return err_errno(e, "descriptor %d", j->sock);
	return 0;
}

/* A network socket, once disconnected, gives access to the host's whole network; a directory is a
 * way out of the private root. Local stream sockets are harmless. */
int fds_check(struct jail *j, struct err *e)
{
	for (size_t i = 0; i < j->n_fds; i++) {
		int domain = -1, type = -1;
		socklen_t len = sizeof domain;
		struct stat st;

		if (fstat(j->fd[i], &st) < 0)
			return err_errno(e, "descriptor %d", j->to[i]);
		if (S_ISDIR(st.st_mode))
			return err_set(
				e, ERR_USAGE, "plan: descriptor %d is a directory", j->to[i]);
		if (!S_ISSOCK(st.st_mode))
			continue;
		if (getsockopt(j->fd[i], SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
			getsockopt(j->fd[i], SOL_SOCKET, SO_TYPE, &type, &len) < 0)
			return err_errno(e, "descriptor %d", j->to[i]);
		if (!j->role->network_sockets && (domain != AF_UNIX || type != SOCK_STREAM))
			return err_set(e, ERR_USAGE,
				"plan: descriptor %d is a socket of family %d and type %d, not a local stream",
				j->to[i], domain, type);
	}
	return 0;
}

/* Called twice, because a uid change clears the setting. If the daemon died earlier, the socket
 * shows it. */
static int drop_end_with_daemon(const struct jail *j, struct err *e)
{
	if ((j->check || j->role->ends_with_daemon) &&
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(e, "set the parent-death signal");
	return 0;
}

int session_reset(struct jail *j, struct err *e)
{
	sigset_t none;

	if (drop_end_with_daemon(j, e) < 0)
		return e->number;
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL); /* fails for KILL and STOP, which is harmless */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid(); /* fails if the daemon has already done it */
	umask(0); /* modes in the private root are given explicitly */
	if (setgroups(0, NULL) < 0) {
		err_errno(e, "drop groups");
		return err_hint(e, "vmkeep-jail needs root");
	}
	return 0;
}

/* Size of a regular file or block device; 0 if unknown. */
static uint64_t drop_size_of(const struct jail_file *f)
{
	off_t end = f->data >= 0 ? lseek(f->data, 0, SEEK_END) : 0;

	return end > 0 ? (uint64_t)end : 0;
}

static uint64_t drop_file_limit(const struct jail *j)
{
	uint64_t most = 0;

	for (size_t i = 0; j->role->growth && i < j->n_files; i++)
		if (j->file[i].write && drop_size_of(&j->file[i]) > most)
			most = drop_size_of(&j->file[i]);
	return j->role->growth ? most + j->role->growth : j->role->file;
}

int oom_score_set(struct jail *j, struct err *e)
{
	_cleanup_(close_fd) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%d", j->oom_score_adj) < 0)
		return err_errno(e, "set oom_score_adj to %d", j->oom_score_adj);
	return 0;
}

int limits_set(struct jail *j, struct err *e)
{
	const struct jail_role *role = j->role;
	const struct {
		int which;
		rlim_t most; /* 0: unchanged */
		const char *of;
	} limits[] = {
		{ RLIMIT_NOFILE, role->nofile, "open files" },
		{ RLIMIT_NPROC, role->nproc, "threads" },
		{ RLIMIT_CPU, role->cpu_seconds, "CPU seconds" },
		{ RLIMIT_AS, role->memory, "bytes of memory" },
		{ RLIMIT_FSIZE, drop_file_limit(j), "bytes per file" },
	};
	const struct rlimit none = { 0, 0 };

	/* a core dump would contain the guest's memory */
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, "forbid core dumps");
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct rlimit most = { limits[i].most, limits[i].most };

		if (!limits[i].most || setrlimit((__rlimit_resource_t)limits[i].which, &most) == 0)
			continue;
		err_errno(
			e, "limit it to %llu %s", (unsigned long long)limits[i].most, limits[i].of);
		return limits[i].which == RLIMIT_NOFILE
			       ? err_hint(e, "raise LimitNOFILE= of the unit")
			       : e->number;
	}
	return 0;
}

/* Keeps the role's capabilities across exec as ambient ones: the program cannot get them in any
 * other way. */
static int drop_capabilities_keep(uint64_t keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t low = (uint32_t)keep, high = (uint32_t)(keep >> 32);
	const struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { { low, low, low },
		{ high, high, high } };

	if (syscall(SYS_capset, &head, sets) < 0)
		return -1;
	for (int cap = 0; cap < 64; cap++)
		if (keep >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -1;
	return 0;
}

int privileges_drop(struct jail *j, struct err *e)
{
	const uint64_t keep = j->role->keep;

	umask(077);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(e, "drop capability %d", cap);
	if (prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0) < 0 ||
		setresgid(j->uid, j->uid, j->uid) < 0 || setresuid(j->uid, j->uid, j->uid) < 0)
		return err_errno(e, "become uid %u", j->uid);
	if (drop_capabilities_keep(keep) < 0)
		return err_errno(e, "drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, "set no_new_privs");
	return drop_end_with_daemon(j, e);
}

static const char *drop_objection(const struct stat *st, bool dir)
{
	if (dir != !!S_ISDIR(st->st_mode) || (!dir && !S_ISREG(st->st_mode)))
		return "is not a regular file";
	if (st->st_uid != 0)
		return "is not owned by root";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "is writable by users other than root";
	return st->st_mode & S_IXUSR ? NULL : "is not executable";
}

int program_owner(struct jail *j, struct err *e)
{
	const char *path = j->role->volumes ? j->argv[0] : NULL, *why;
	_cleanup_(free_ptr) char *dir =
		path ? xstrndup(path, (size_t)(strrchr(path, '/') - path) + 1) : NULL;
	struct stat st, of_dir;

	if (!path)
		return 0;
	if (stat(path, &st) < 0 || stat(dir, &of_dir) < 0) {
		err_errno(e, "run '%s'", path);
		return err_hint(e, "%s", j->role->install);
	}
	why = drop_objection(&st, false);
	if (why)
		return err_set(e, ERR_INVALID_CONFIG, "run '%s': it %s", path, why);
	why = drop_objection(&of_dir, true);
	return why ? err_set(e, ERR_INVALID_CONFIG, "run '%s': its directory %s", path, why) : 0;
}

/* Must run before "prepared" is sent, because then the daemon counts on exec. */
int program_check(struct jail *j, struct err *e)
{
	const char *path = j->role->run ? NULL : j->argv[0];
	struct stat st;

	if (!path)
		return 0;
	if (stat(path, &st) == 0) {
		if (S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return 0;
		errno = EACCES; /* or it is a directory, for example */
	}
	err_errno(e, "run '%s'", path);
	if (!j->role->own_output)
		err_class(e, ERR_QEMU_FAILED);
	if (strncmp(path, "/usr/", 5) != 0 && !j->role->volumes)
		return err_hint(e, "its private root contains only /usr: install it below that");
	return err_hint(e, "%s", j->role->install);
}

static int drop_move_above(int *fd, int above, struct err *e)
{
	int new = fcntl(*fd, F_DUPFD_CLOEXEC, above);

	if (new < 0)
		return err_errno(e, "move descriptor %d", *fd);
	*fd = new;
	return 0;
}

/* Moves all fds out of the way first, then each to its number. exec closes the rest. */
int fds_place(struct jail *j, struct err *e)
{
	int null = -1, above = STDERR_FILENO + 1, r;

	if (!j->role->bare && (null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return err_errno(e, "open /dev/null");
	for (size_t i = 0; i < j->n_fds; i++)
		if (j->to[i] >= above)
			above = j->to[i] + 1;
	r = drop_move_above(&j->sock, above, e);
	if (r == 0 && null >= 0)
		r = drop_move_above(&null, above, e);
	for (size_t i = 0; r == 0 && i < j->n_fds; i++)
		r = drop_move_above(&j->fd[i], above, e);
	for (size_t i = 0; r == 0 && i < j->n_files; i++)
		if (j->file[i].keep) {
			r = drop_move_above(&j->file[i].data, above, e);
			if (r == 0)
				fcntl(j->file[i].data, F_SETFD, 0);
		}
	for (int fd = STDIN_FILENO; r == 0 && null >= 0 && fd <= STDERR_FILENO; fd++)
		if (!(fd == STDIN_FILENO ? j->role->own_input : j->role->own_output) &&
			dup2(null, fd) < 0)
			r = err_errno(e, "place descriptor %d", fd);
	for (size_t i = 0; r == 0 && i < j->n_fds; i++)
		if (dup2(j->fd[i], j->to[i]) < 0)
			r = err_errno(e, "place descriptor %d", j->to[i]);
	return r;
}
