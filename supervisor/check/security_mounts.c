/* SPDX-License-Identifier: MIT */
/*
 * Checks the mounts in a guest's private root: the root itself, the system directories of
 * jail/root.c, and single files of its own.
 */
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "supervisor/qemu/device.h"
#include "supervisor/check/security_private.h"
#include "supervisor/vm/vms.h"
#include "supervisor/vm/dirs.h"

/* A line of /proc/PID/mountinfo. */
struct security_mount {
	const char *device;	 /* "0:42" */
	const char *source_root; /* the part of the file system that is mounted: "/" is all of it */
	char *path;
	const char *options;
	const char *type; /* "tmpfs vmkeep rw,...": type, source, super block options */
};

/* As mounted by jail/root.c. */
static const char *const security_system[] = { "/usr", "/lib", "/lib32", "/lib64", "/libx32",
	"/bin", "/sbin", "/etc/ld.so.cache", "/var/run/qemu" };

/* mountinfo escapes blanks and the like as \040. */
static void security_unescape(char *s)
{
	char *to = s;

	for (; *s; to++)
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to = *s++;
		}
	*to = '\0';
}

/* Parses the line at *at in place; false at the end. A malformed line has no path. */
static bool security_next_mount(char **at, struct security_mount *m)
{
	char *field[6], *rest = *at, *next = strchrnul(rest, '\n');
	const char *type;

	if (!*rest)
		return false;
	if (*next)
		*next++ = '\0';
	*at = next;
	type = strstr(rest, " - ");
	for (size_t i = 0; i < ARRAY_SIZE(field); i++)
		field[i] = rest ? strsep(&rest, " ") : NULL;
	*m = (struct security_mount){ .path = NULL };
	if (field[5] && type) {
		security_unescape(field[4]);
		*m = (struct security_mount){ field[2], field[3], field[4], field[5], type + 3 };
	}
	return true;
}

static bool security_has(const char *options, const char *option)
{
	size_t len = strlen(option);

	for (const char *o = options; *o; o += strcspn(o, ","), o += *o == ',')
		if (strcspn(o, ",") == len && strncmp(o, option, len) == 0)
			return true;
	return false;
}

static bool security_is_root(const struct security_mount *m)
{
	return streq(m->path, "/") && strncmp(m->type, "tmpfs vmkeep ", 13) == 0 &&
	       security_has(m->options, "ro") && security_has(m->options, "nosuid") &&
	       security_has(m->options, "noexec");
}

static bool security_is_system(const struct security_mount *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(security_system); i++) {
		size_t len = strlen(security_system[i]);

		if (strncmp(m->path, security_system[i], len) == 0 &&
			(!m->path[len] || m->path[len] == '/'))
			return security_has(m->options, "ro") &&
			       security_has(m->options, "nosuid") &&
			       security_has(m->options, "nodev");
	}
	return false;
}

/* Only a part of a file system, and nothing on it can be executed. */
static bool security_is_file(const struct security_mount *m)
{
	return !streq(m->source_root, "/") && security_has(m->options, "nosuid") &&
	       security_has(m->options, "nodev") && security_has(m->options, "noexec");
}

static bool security_may_write(const struct vm *vm, const char *path)
{
	_cleanup_(free_ptr) char *nvram = vm_state_path(vm, VM_NVRAM);
	char disk[PATH_MAX];

	for (size_t i = 0; i < vm->proc.conf.disks; i++) {
		const struct conf_disk *d = &vm->proc.conf.disk[i];

		if (d->path && !d->read_only && !d->cdrom &&
			streq(path, device_disk_path(d, d->path, vm->daemon->image_dir, disk)))
			return true;
	}
	return streq(path, nvram);
}

/* The root is ours and read-only, and only the VM's own files are writable in it. */
bool security_private_root(struct look *l)
{
	_cleanup_(free_ptr) char *text = security_proc(l, "mountinfo");
	bool root = false, good = true;
	struct security_mount m;
	unsigned writable = 0;

	for (char *at = text; security_next_mount(&at, &m);) {
		if (!m.path)
			return false;
		if (streq(m.path, "/"))
			root = security_is_root(&m);
		if (security_has(m.options, "ro"))
			continue;
		writable++;
		if (!security_may_write(l->vm, m.path)) {
			buf_printf(&l->found, "%s is writable; ", m.path);
			good = false;
		}
	}
	buf_printf(&l->found, "%s, %u file%s writable", root ? "read-only" : "not a private root",
		writable, writable == 1 ? "" : "s");
	return root && good;
}

bool security_mounts(struct look *l)
{
	_cleanup_(free_ptr) char *text = security_proc(l, "mountinfo");
	unsigned roots = 0, system = 0, files = 0;
	struct security_mount m;
	bool good = true;

	for (char *at = text; security_next_mount(&at, &m);) {
		if (!m.path)
			return false;
		if (security_is_root(&m)) {
			roots++;
		} else if (security_is_system(&m)) {
			system++;
		} else if (security_is_file(&m)) {
			files++;
		} else {
			buf_printf(&l->found, "%s is %.*s %s; ", m.path, (int)strcspn(m.type, " "),
				m.type, m.options);
			good = false;
		}
	}
	buf_printf(&l->found, "root, %u of the system, %u file%s", system, files,
		files == 1 ? "" : "s");
	return good && roots == 1 && system > 0;
}

dev_t security_root_device(const struct look *l)
{
	_cleanup_(free_ptr) char *text = security_proc(l, "mountinfo");
	struct security_mount m;
	unsigned major, minor;

	for (char *at = text; security_next_mount(&at, &m);)
		if (m.path && security_is_root(&m) &&
			sscanf(m.device, "%u:%u", &major, &minor) == 2)
			return makedev(major, minor);
	return 0;
}
