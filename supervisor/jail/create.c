/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/create.c - makes the images that Size= asks for, once
 *
 * Only below the image directory, only where nothing is: made under a temporary name and moved into
 * place without replacing, so that the name appears whole or not at all. By hand and not by
 * qemu-img: an empty image is one table (QEMU's docs/interop/qcow2.txt), and no program runs here
 * as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "supervisor/jail/jail.h"

enum {
	SECTOR = 512,
	CLUSTER_BITS = 16,
	CLUSTER = 1 << CLUSTER_BITS,
	L1_ENTRIES_MAX = (32 << 20) / 8, /* QEMU's own limit: 2 PiB */
	HEADER = 104,
	FIRST_BLOCK = 4096,
};
/* Its clusters: the header, the table of refcount blocks, the one that there is, and the L1 table.
 */
enum { AT_REFCOUNT_TABLE = 1, AT_REFCOUNTS = 2, AT_L1 = 3 };

static void put(uint8_t *to, size_t len, uint64_t value)
{
	while (len--) {
		to[len] = (uint8_t)value;
		value >>= 8;
	}
}

static int write_at(int fd, const void *data, size_t len, off_t at)
{
	ssize_t n = pwrite(fd, data, len, at);

	if (n >= 0 && (size_t)n != len)
		errno = ENOSPC;
	return (size_t)n == len ? 0 : -1;
}

static int write_qcow2(int fd, uint64_t size)
{
	/* each L1 entry stands for a cluster of entries for clusters */
	const uint64_t covers = (uint64_t)CLUSTER * (CLUSTER / 8),
		       entries = (size + covers - 1) / covers;
	const size_t clusters = AT_L1 + (size_t)((entries * 8 + CLUSTER - 1) / CLUSTER);
	const struct {
		size_t at, len;
		uint64_t value;
	} fields[] = {
		{ 0, 4, 0x514649fb }, /* "QFI\xfb" */
		{ 4, 4, 3 },
		{ 20, 4, CLUSTER_BITS },
		{ 24, 8, size },
		{ 36, 4, entries },
		{ 40, 8, (uint64_t)AT_L1 * CLUSTER },
		{ 48, 8, (uint64_t)AT_REFCOUNT_TABLE * CLUSTER },
		{ 56, 4, 1 }, /* cluster of the refcount table */
		{ 96, 4, 4 }, /* refcounts of 1 << 4 bits */
		{ 100, 4, HEADER },
	};
	uint8_t header[HEADER] = { 0 }, block[8],
		counts[2 * (AT_L1 + L1_ENTRIES_MAX * 8 / CLUSTER)] = { 0 };

	if (entries > L1_ENTRIES_MAX) {
		errno = EFBIG;
		return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		put(header + fields[i].at, fields[i].len, fields[i].value);
	put(block, sizeof block, (uint64_t)AT_REFCOUNTS * CLUSTER);
	for (size_t i = 0; i < clusters; i++)
		put(counts + 2 * i, 2, 1);
	if (ftruncate(fd, (off_t)(clusters * CLUSTER)) < 0 ||
		write_at(fd, counts, 2 * clusters, (off_t)AT_REFCOUNTS * CLUSTER) < 0 ||
		write_at(fd, block, sizeof block, (off_t)AT_REFCOUNT_TABLE * CLUSTER) < 0)
		return -1;
	return write_at(fd, header, sizeof header, 0);
}

/* The first block, as qemu-img does: QEMU finds out by reading it what alignment direct I/O needs.
 */
static int write_raw(int fd, uint64_t size)
{
	const uint8_t zero[FIRST_BLOCK] = { 0 };

	if (size > INT64_MAX) {
		errno = EFBIG;
		return -1;
	}
	if (ftruncate(fd, (off_t)size) < 0)
		return -1;
	return write_at(fd, zero, size < sizeof zero ? (size_t)size : sizeof zero, 0);
}

static bool is_full(int dir)
{
	struct statvfs v;

	return fstatvfs(dir, &v) == 0 && (v.f_bavail < 64 || (v.f_files && !v.f_favail));
}

static int make(const struct jail *j, const struct jail_file *f, int dir, const char *temporary,
	struct err *e)
{
	_cleanup_(close_fd) int fd =
		openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	const uint64_t size = (f->create + SECTOR - 1) / SECTOR * SECTOR;
	int r = -1;

	if (fd >= 0)
		r = f->format == JAIL_QCOW2 ? write_qcow2(fd, size) : write_raw(fd, size);
	if (r == 0)
		r = fsync(fd);
	if (r == 0)
		return 0;
	err_errno(e, "%s: create %s", f->what, f->shown_path);
	if (!is_full(dir))
		return e->number;
	err_class(e, ERR_NO_RESOURCES);
	return err_hint(e, "make room on the file system of %s", j->image_dir);
}

/* File systems without RENAME_NOREPLACE have hard links, which do not replace either. */
static int move_new(int dir, const char *from, const char *to)
{
	if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL || linkat(dir, from, dir, to, 0) < 0)
		return -errno;
	return unlinkat(dir, from, 0) < 0 ? -errno : 0;
}

int image_create(struct jail *j, struct jail_file *f, struct err *e)
{
	_cleanup_(close_fd) int dir = -1;
	const char *name;
	char temporary[32];
	int r;

	if (f->fd >= 0)
		return 0;
	if (!f->beneath || f->format == JAIL_ANY) {
		err_set(e, ERR_NOT_FOUND, "%s: %s: No such file", f->what, f->shown_path);
		return err_hint(
			e, "Size= creates in the image directory only: create it with qemu-img");
	}
	dir = path_parent(j, f, &name);
	if (dir < 0)
		return path_blame(j, f, errno, e);
	if (j->check)
		return 0;
	/* short, because the name itself may have all of the 255 bytes */
	snprintf(temporary, sizeof temporary, ".vmkeep-new-%d", getpid());
	unlinkat(dir, temporary, 0); /* of one with our pid that was killed here */
	r = make(j, f, dir, temporary, e);
	if (r == 0) {
		r = move_new(dir, temporary, name);
		errno = -r;
		if (r < 0)
			r = err_errno(e, "%s: create %s", f->what, f->shown_path);
	}
	if (r < 0) {
		unlinkat(dir, temporary, 0);
		return r;
	}
	f->made = true;
	return file_open(j, f, e);
}
