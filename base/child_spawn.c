/* SPDX-License-Identifier: MIT */
/* Spawns a process with exactly the given descriptors, from fork to exec. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/mem.h"

/* Copies every source above all targets: dup2 must not overwrite a descriptor that is still to be
 * copied. */
static int child_spawn_move_high(const struct child_fd *fds, size_t n, struct child_fd *high)
{
	int above = 10;

	for (size_t i = 0; i < n; i++)
		if (fds[i].to >= above)
			above = fds[i].to + 1;
	for (size_t i = 0; i < n; i++) {
		high[i].to = fds[i].to;
		high[i].from = fcntl(fds[i].from, F_DUPFD_CLOEXEC, above);
		if (high[i].from < 0) {
			int r = -errno;

			while (i--)
				close(high[i].from);
			return r;
		}
	}
	return 0;
}

/* Resets a negative oom_score_adj: helpers do not inherit the daemon's protection. */
static void child_mortal(void)
{
	const int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char sign = '0';

	if (fd < 0)
		return;
	if (read(fd, &sign, 1) == 1 && sign == '-' && write(fd, "0", 1) != 1)
		dprintf(STDERR_FILENO, "oom_score_adj: %s\n", strerror(errno));
	close(fd);
}

/* Runs in the child until exec: system calls only. parent: die with that process; 0: do not. */
_Noreturn static void become(
	const char *const *argv, const struct child_fd *fds, size_t n_fds, pid_t parent)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	sigset_t none;
	int last = STDERR_FILENO;

	if (parent && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent))
		_exit(CHILD_NOT_RUN);
	setsid();
	child_mortal();
	/* our working directory may be gone, or not visible to a helper */
	if (chdir("/") < 0)
		_exit(CHILD_NOT_RUN);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < n_fds; i++) {
		dup2(fds[i].from, fds[i].to);
		if (fds[i].to > last)
			last = fds[i].to;
	}
	/* ours are CLOEXEC; inherited ones may not be */
	close_range((unsigned)last + 1, ~0U, 0);
	/* execvp() would run a file that is not a program with the shell */
	if (strchr(argv[0], '/'))
		execv(argv[0], (char *const *)(uintptr_t)argv);
	else
		execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "run '%s': %s\n", argv[0], strerror(errno));
	_exit(CHILD_NOT_RUN);
}

/* Checks the file type only for names without a slash: PATH is ours, but stat() of a path an
 * operator wrote may hang. */
bool child_find(const char *name, char *path, size_t max)
{
	const char *dirs = getenv("PATH");
	struct stat st;

	if (strchr(name, '/')) {
		snprintf(path, max, "%s", name);
		return access(path, X_OK) == 0;
	}
	for (const char *dir = dirs ? dirs : "/usr/local/bin:/usr/bin:/bin"; *dir;) {
		size_t len = strcspn(dir, ":");

		snprintf(path, max, "%.*s/%s", (int)len, dir, name);
		if (access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			return true;
		dir += len + (dir[len] == ':');
	}
	return false;
}

/*
 * fork(), not posix_spawn(): the latter waits for the child's exec, and on a host whose CPUs are
 * busy with guests that takes as long as it takes to get a CPU (40 ms; a fork of our few
 * megabytes takes 0.3).
 */
static pid_t child_spawn_fork_into(
	const char *const *argv, const struct child_fd *fds, size_t n_fds, bool ends_with_us)
{
	const pid_t parent = ends_with_us ? getpid() : 0;
	sigset_t all, before;
	pid_t pid;

	/* none of our signal handlers may run in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(argv, fds, n_fds, parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int child_spawn(const char *const *argv, const struct child_fd *fds, size_t n_fds,
	bool ends_with_us, pid_t *pid, int *pidfd, struct err *e)
{
	_cleanup_(free_ptr) struct child_fd *high = xcalloc(n_fds, sizeof *high);
	char path[4096];
	int r;

	if (!strchr(argv[0], '/') && !child_find(argv[0], path, sizeof path)) {
		errno = ENOENT;
		return err_errno(e, "run '%s'", argv[0]);
	}
	r = child_spawn_move_high(fds, n_fds, high);
	if (r < 0) {
		errno = -r;
		return err_errno(e, "run '%s'", argv[0]);
	}
	*pid = child_spawn_fork_into(argv, high, n_fds, ends_with_us);
	r = *pid < 0 ? err_errno(e, "run '%s'", argv[0]) : 0;
	for (size_t i = 0; i < n_fds; i++)
		close(high[i].from);
	if (r < 0)
		return r;
	/* not reaped yet, so the pid cannot have been reused */
	*pidfd = pidfd_open(*pid, PIDFD_NONBLOCK);
	if (*pidfd < 0) {
		r = err_errno(e, "pidfd of '%s'", argv[0]);
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
		return r;
	}
	return 0;
}
