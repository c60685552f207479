/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/found.c - suspicious attributes of an image that vmkeep never sets
 *
 * A guest that escaped from an earlier version's jail owned its images there: it may have made one
 * set-uid, granted others access by an ACL, or moved one out of its directory's quota. None of that
 * keeps a guest from running, and nothing is removed unasked: check reports it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { FOUND_NAMES_MAX = 64 << 10, FOUND_ACL_MAX = 4096 };

/* system.posix_acl_access as the kernel returns it (linux/posix_acl_xattr.h), little endian. */
enum { ACL_HEAD = 4, ACL_ENTRY = 8, ACL_TAG_USER = 0x02, ACL_TAG_GROUP = 0x08, ACL_MAY_WRITE = 2 };

/* Set by browsers, file servers and desktops, mostly on CDs and base images; nothing acts on
 * them. */
static const char *const harmless[] = { "user.xdg.", "user.DOSATTRIB", "user.com.apple.",
	"user.mime_type" };

static bool found_begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

static uint32_t found_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* vmkeep itself asks for access for the VM's uid where a file system has no id-mapped mounts. Read
 * access to files that are only read is harmless. */
static bool found_is_fine(
	const struct jail *j, const struct jail_file *f, unsigned tag, unsigned may, uint32_t id)
{
	return (tag == ACL_TAG_USER && id == j->uid) || (!f->write && !(may & ACL_MAY_WRITE));
}

/* Finds the first entry of an ACL besides owner, group and others; false: none. */
static bool found_acl(
	const struct jail *j, const struct jail_file *f, const char **kind, uint32_t *id)
{
	uint8_t acl[FOUND_ACL_MAX];
	ssize_t n = fgetxattr(f->data, "system.posix_acl_access", acl, sizeof acl);

	for (const uint8_t *p = acl + ACL_HEAD; p + ACL_ENTRY <= acl + (n > 0 ? n : 0);
		p += ACL_ENTRY) {
		unsigned tag = p[0] | (unsigned)p[1] << 8, may = p[2] | (unsigned)p[3] << 8;

		if ((tag != ACL_TAG_USER && tag != ACL_TAG_GROUP) ||
			found_is_fine(j, f, tag, may, found_le32(p + 4)))
			continue;
		*kind = tag == ACL_TAG_USER ? "uid" : "gid";
		*id = found_le32(p + 4);
		return true;
	}
	return false;
}

static bool found_is_harmless(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (found_begins(name, harmless[i]))
			return true;
	return false;
}

/* The first user attribute of a file that the guest writes; NULL: none. */
static const char *found_attribute(const struct jail_file *f, const char *names, ssize_t len)
{
	for (const char *s = names; f->write && len > 0 && s < names + len; s += strlen(s) + 1)
		if (found_begins(s, "user.") && !found_is_harmless(s))
			return s;
	return NULL;
}

/* A project id that the directory passes on to new files but this file does not have. 0: no
 * mismatch. */
static uint32_t found_project(const struct jail_file *f, uint32_t *has)
{
	_cleanup_(free_ptr) char *path = xstrdup(f->path);
	_cleanup_(close_fd) int dir = -1;
	struct fsxattr file, parent;

	*strrchr(path, '/') = '\0';
	dir = open(*path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!f->write || dir < 0 || ioctl(dir, FS_IOC_FSGETXATTR, &parent) < 0 ||
		ioctl(f->data, FS_IOC_FSGETXATTR, &file) < 0 ||
		!(parent.fsx_xflags & FS_XFLAG_PROJINHERIT) || parent.fsx_projid == file.fsx_projid)
		return 0;
	*has = file.fsx_projid;
	return parent.fsx_projid;
}

static void found_xattrs(
	const struct jail *j, const struct jail_file *f, const char *quoted, jail_warn *warn)
{
	_cleanup_(free_ptr) char *names = xcalloc(1, FOUND_NAMES_MAX + 1), *safe = NULL;
	ssize_t len = flistxattr(f->data, names, FOUND_NAMES_MAX);
	const char *name = found_attribute(f, names, len), *kind;
	struct err e = ERR_INIT;
	uint32_t id;

	if (fgetxattr(f->data, "security.capability", NULL, 0) > 0) {
		err_set(&e, ERR_PERMISSION,
			"%s: %s has file capabilities: whoever runs it gains privileges", f->what,
			f->shown_path);
		err_hint(&e, "setcap -r %s", quoted);
		warn(j, "attributes", f, &e);
	}
	if (found_acl(j, f, &kind, &id)) {
		err_set(&e, ERR_PERMISSION, "%s: %s has an ACL that grants access to %s %u",
			f->what, f->shown_path, kind, id);
		err_hint(&e, "getfacl -n %s shows it, setfacl -b %s removes it", quoted, quoted);
		warn(j, "attributes", f, &e);
	}
	if (name) {
		safe = text_escape(name, strlen(name), false);
		err_set(&e, ERR_PERMISSION,
			"%s: %s has an attribute that vmkeep did not set: %.128s", f->what,
			f->shown_path, safe);
		err_hint(&e, "getfattr -d %s shows it, setfattr -x NAME %s removes it", quoted,
			quoted);
		warn(j, "attributes", f, &e);
	}
}

void found_check(const struct jail *j, const struct jail_file *f, jail_warn *warn)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);
	struct err e = ERR_INIT;
	uint32_t has = 0, project;

	if (!S_ISREG(f->st.st_mode) || f->data < 0 || f->again)
		return;
	if (f->st.st_mode & (S_ISUID | S_ISGID)) {
		err_set(&e, ERR_PERMISSION,
			"%s: %s has mode %04o: whoever runs it gets the privileges of its %s",
			f->what, f->shown_path, f->st.st_mode & 07777,
			f->st.st_mode & S_ISUID ? "owner" : "group");
		err_hint(&e, "chmod ug-s %s, and find out who set it", quoted);
		warn(j, "attributes", f, &e);
	}
	found_xattrs(j, f, quoted, warn);
	project = found_project(f, &has);
	if (project) {
		err_set(&e, ERR_PERMISSION,
			"%s: %s belongs to project %u, its directory to %u, whose quota does not count it",
			f->what, f->shown_path, has, project);
		err_hint(&e, "chattr -p %u %s", project, quoted);
		warn(j, "attributes", f, &e);
	}
}

void found_replaced(const struct jail *j, const struct jail_file *f, jail_warn *warn)
{
	_cleanup_(close_fd) int root = -1, fd = -1;
	struct err e = ERR_INIT;
	char path[48];
	struct stat st;

	if (!j->qemu || f->fd < 0 || f->again)
		return;
	snprintf(path, sizeof path, "/proc/%d/root", j->qemu);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* an image has the same path in QEMU's root as on the host; one added to the VM's file
	 * later is missing there */
	fd = root < 0 ? -1
		      : path_openat2(
				root, f->path + 1, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (fd < 0 || fstat(fd, &st) < 0 || file_same(&st, &f->st))
		return;
	err_set(&e, ERR_CONFLICT, "%s: %s is not the file that its guest runs with", f->what,
		f->shown_path);
	err_hint(&e,
		"it was replaced, or something is mounted over it: the guest still writes to the old file, whose data "
		"is lost when the guest ends if that file was deleted");
	warn(j, "replaced", f, &e);
}

void found_size(const struct jail *j, const struct jail_file *f)
{
	const uint64_t size = f->create > 0 && f->data >= 0 ? image_size(f) : 0;
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);
	char has[24], wish[24];
	struct err e = ERR_INIT;

	if (!size || size == (uint64_t)f->create)
		return;
	text_size_exact(has, sizeof has, size);
	text_size_exact(wish, sizeof wish, (uint64_t)f->create);
	err_set(&e, ERR_INVALID_CONFIG,
		"%s: %s has %s, not %s: Size= applies only when the image is created", f->what,
		f->shown_path, has, wish);
	if (size < (uint64_t)f->create)
		err_hint(&e,
			"write Size=%s, or enlarge it while %s is stopped: qemu-img resize -f %s %s %s",
			has, j->name, jail_format_names[f->format], quoted, wish);
	else
		err_hint(&e, "write Size=%s", has);
	answer_once(j, f->id, "Size", has, &e);
}

int found_refuse(const struct jail_file *f, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);
	bool immutable, append;
	struct statx x;

	if (!f->write || !S_ISREG(f->st.st_mode) ||
		statx(f->fd, "", AT_EMPTY_PATH, STATX_MODE, &x) < 0)
		return 0;
	immutable = x.stx_attributes & STATX_ATTR_IMMUTABLE;
	append = x.stx_attributes & STATX_ATTR_APPEND;
	if (!immutable && !append)
		return 0;
	err_set(e, ERR_PERMISSION, "%s: %s cannot be written: it is %s", f->what, f->shown_path,
		immutable ? "immutable" : "append-only");
	return err_hint(e, "chattr -%c %s", immutable ? 'i' : 'a', quoted);
}
