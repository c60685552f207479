/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/landlock.c - path rules, if the kernel has Landlock
 *
 * One more barrier behind the private root, in case somebody gets past it (with a directory fd that
 * was passed in, for example): nothing outside the root can be opened, programs can only be run
 * from the system directories, nothing can be created, removed, linked or renamed (in writable
 * directories of the plan, files can be created and removed); no TCP (unless the role uses the
 * host's network), and no connections to abstract sockets or signals to processes outside. Rules
 * are set on directories: they include what is mounted into them later, which a rule on a file
 * would not. The rules cannot be loosened afterwards; Landlock's own calls, which the program may
 * use, can only tighten them. The program of a store may use all paths of its root: it makes device
 * nodes, links and locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

/* From linux/landlock.h, whose copy in Debian 12 ends with version 2. */
enum {
	FS_EXECUTE = 1 << 0,
	/* open files for writing and reading, list directories */
	FS_OPEN = 1 << 1 | 1 << 2 | 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE = 0x7f << 6, /* nodes, directories, files, sockets, links */
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	NET_TCP = 1 << 0 | 1 << 1,
	SCOPE_ABSTRACT = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
	RULE_PATH_BENEATH = 1,
	VERSION = 1 << 0,
};

struct landlock_rules {
	uint64_t fs, net, scoped;
};

/* What each ABI version added. */
static const struct {
	int version;
	struct landlock_rules added;
} landlock_versions[] = {
	{ 1, { .fs = FS_EXECUTE | FS_OPEN | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE } },
	{ 2, { .fs = FS_REFER } },
	{ 3, { .fs = FS_TRUNCATE } },
	{ 4, { .net = NET_TCP } },
	{ 5, { .fs = FS_IOCTL_DEV } },
	{ 6, { .scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL } },
};

static int landlock_allow(int rules, const char *path, uint64_t access, struct err *e)
{
	_cleanup_(close_fd) int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct __attribute__((packed)) {
		uint64_t access;
		int32_t dir;
	} rule = { access, dir };

	if (dir < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (dir < 0 || syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_errno(e, "allow %s in Landlock", path);
	return 0;
}

static int landlock_rules(int rules, const struct jail *j, uint64_t fs, struct err *e)
{
	int r = landlock_allow(rules, "/", fs & (FS_OPEN | FS_TRUNCATE | FS_IOCTL_DEV), e);

	for (const char *const *p = root_system_paths; r == 0 && *p; p++)
		r = landlock_allow(rules, *p, FS_EXECUTE, e);
	for (size_t i = 0; r == 0 && i < j->n_paths; i++)
		if (j->path[i].tree >= 0 && j->path[i].write && j->path[i].is_dir)
			r = landlock_allow(rules, j->path[i].path, FS_MAKE_REG | FS_REMOVE_FILE, e);
	return r;
}

int landlock_enter(struct jail *j, struct err *e)
{
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
	struct landlock_rules all = { 0 };
	_cleanup_(close_fd) int rules = -1;
	size_t size = sizeof all.fs;

	if (version < 1)
		return 0; /* a kernel without Landlock, or with Landlock disabled */
	for (size_t i = 0;
		i < ARRAY_SIZE(landlock_versions) && landlock_versions[i].version <= version; i++) {
		all.fs |= j->role->volumes ? 0 : landlock_versions[i].added.fs;
		all.net |= j->role->host_network ? 0 : landlock_versions[i].added.net;
		all.scoped |= landlock_versions[i].added.scoped;
	}
	if (!all.fs && !all.net && !all.scoped)
		return 0;
	if (version >= 4)
		size = version >= 6 ? sizeof all : sizeof all.fs + sizeof all.net;
	rules = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (rules < 0)
		return err_errno(e, "create the Landlock ruleset");
	if (all.fs && landlock_rules(rules, j, all.fs, e) < 0)
		return e->number;
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return err_errno(e, "apply the Landlock ruleset");
	return 0;
}
