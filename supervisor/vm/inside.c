/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/inside.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "supervisor/vm/vm.h"

static json_t *inside_path(const struct vm *vm, const char *file)
{
	return json_pack("{s:o, s:b}", "path",
		json_sprintf("%s/vms/%s/%s", vm->daemon->dirs.run, vm->name, file), "optional", 1);
}

json_t *inside_paths(const struct vm *vm)
{
	json_t *paths = json_array();

	json_array_append_new(paths, inside_path(vm, INSIDE_KEPT));
	json_array_append_new(paths, inside_path(vm, "qmp.sock"));
	if (vm->proc.conf.agent)
		json_array_append_new(paths, inside_path(vm, "agent.sock"));
	for (size_t i = 0; i < vm->proc.conf.serials; i++) {
		char name[96];

		snprintf(name, sizeof name, "serial-%s.sock", vm->proc.conf.serial[i].id);
		json_array_append_new(paths, inside_path(vm, name));
	}
	return paths;
}

static int inside_root_of(const char *process)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/root", process);

	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Opens the root of the process before anything in it is checked. If the first thread has
 * exited, /proc/PID/root is gone, but that of the other threads is not. */
static int inside_root(pid_t pid)
{
	_cleanup_(free_ptr) char *process = xasprintf("/proc/%d", (int)pid),
				 *tasks = xasprintf("%s/task", process);
	int root = inside_root_of(process);
	_cleanup_(close_dir) DIR *dir = root < 0 ? opendir(tasks) : NULL;

	for (const struct dirent *d; root < 0 && dir && (d = readdir(dir));) {
		_cleanup_(free_ptr) char *task = xasprintf("%s/%s", tasks, d->d_name);

		if (d->d_name[0] != '.')
			root = inside_root_of(task);
	}
	return root;
}

static int inside_beneath(int root, const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned int)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path + strspn(path, "/"), &how, sizeof how);
}

int inside_open(const struct vm *vm, const char *file)
{
	_cleanup_(free_ptr) char *path =
		xasprintf("%s/vms/%s/%s", vm->daemon->dirs.run, vm->name, file);
	_cleanup_(close_fd) int root = vm->proc.pid > 0 ? inside_root(vm->proc.pid) : -1;

	if (root < 0 || !proc_is(vm->proc.pid, vm->proc.starttime))
		return -1;
	return inside_beneath(root, path, O_PATH);
}

void inside_hold(struct vm *vm)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)vm->proc.pid);
	close_fd(&vm->proc.mounts);
	vm->proc.mounts = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (!proc_is(vm->proc.pid, vm->proc.starttime))
		close_fd(&vm->proc.mounts);
}

void inside_name(pid_t pid, const char *run, char name[64])
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/vms", run);
	_cleanup_(close_fd) int root = inside_root(pid);
	int fd = root < 0 ? -1 : inside_beneath(root, path, O_RDONLY | O_DIRECTORY);
	_cleanup_(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;

	name[0] = '\0';
	for (const struct dirent *d; dir && (d = readdir(dir));)
		if (conf_name_ok(d->d_name) && n++ == 0)
			snprintf(name, 64, "%.63s", d->d_name);
	if (n > 1)
		name[0] = '\0';
	if (!dir)
		close_fd(&fd);
}
