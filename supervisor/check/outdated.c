/* SPDX-License-Identifier: MIT */
#include "supervisor/check/outdated.h"

#include <limits.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "supervisor/vm/vms.h"

static const double fresh = 1; /* seconds */

struct outdated_exe {
	pid_t pid;
	uint64_t starttime;
	dev_t dev;
	ino_t ino;
	char *path; /* NULL: not to be told */
};

struct outdated_file {
	struct outdated_file *next;
	char *path;
	double looked; /* daemon_now() */
	dev_t dev;
	ino_t ino; /* 0: nothing is there */
};

void outdated_exe_free(struct outdated_exe *x)
{
	if (x)
		free(x->path);
	free(x);
}

void outdated_files_free(struct outdated_file *first)
{
	while (first) {
		struct outdated_file *next = first->next;

		free(first->path);
		free(first);
		first = next;
	}
}

static const struct outdated_exe *exe_of(struct vm *vm)
{
	static const char gone[] = " (deleted)";
	char link[32], path[PATH_MAX];
	const char *usr;
	struct outdated_exe *x = vm->proc.exe;
	struct stat st;
	ssize_t n;

	if (x && x->pid == vm->proc.pid && x->starttime == vm->proc.starttime)
		return x;
	outdated_exe_free(x);
	x = vm->proc.exe = xcalloc(1, sizeof *x);
	x->pid = vm->proc.pid;
	x->starttime = vm->proc.starttime;
	snprintf(link, sizeof link, "/proc/%d/exe", (int)vm->proc.pid);
	n = readlink(link, path, sizeof path - 1);
	if (n <= 0 || stat(link, &st) < 0)
		return x;
	path[n] = '\0';
	if ((size_t)n > strlen(gone) && streq(path + (size_t)n - strlen(gone), gone))
		path[(size_t)n - strlen(gone)] = '\0';
	/* programs of guests stand below /usr; where we run in a chroot, its own path stands in front */
	usr = strstr(path, "/usr/");
	x->path = xstrdup(usr);
	x->dev = st.st_dev;
	x->ino = st.st_ino;
	return x;
}

static const struct outdated_file *file_at(struct vms *vms, const char *path)
{
	struct outdated_file *f = vms->files;
	double now = daemon_now();
	struct stat st;

	while (f && !streq(f->path, path))
		f = f->next;
	if (f && now - f->looked < fresh)
		return f;
	if (!f) {
		f = xcalloc(1, sizeof *f);
		f->path = xstrdup(path);
		f->next = vms->files;
		vms->files = f;
	}
	f->looked = now;
	f->ino = 0;
	if (stat(path, &st) == 0) {
		f->dev = st.st_dev;
		f->ino = st.st_ino;
	}
	return f;
}

bool vm_outdated(struct vm *vm)
{
	const struct outdated_exe *x;
	const struct outdated_file *f;

	/* before, it is vmkeep-jail still */
	if (!vm_state_has_process(vm->st.state) || vm->st.state == VM_SPAWNING)
		return false;
	x = exe_of(vm);
	if (!x->path)
		return false;
	f = file_at(vm->daemon->vms, x->path);
	return f->ino != x->ino || f->dev != x->dev;
}
