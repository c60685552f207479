/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/direct.c - can QEMU open an image for direct I/O, as Cache=none asks?
 *
 * Not every file system has O_DIRECT, and QEMU does not write to an image whose length is not a
 * multiple of the blocks that direct I/O needs ("Cannot get 'write' permission without 'resize'").
 * How large these are is found the same way as in QEMU (7.2 to 10, block/file-posix.c): a file
 * system that reads single bytes, such as tmpfs, or ext4 in a hole, counts as one of 4096.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum { BLOCK_MAX = 4096, SECTOR = 512 };

/* XFS_IOC_DIOINFO, of a header that is not always installed */
struct direct_xfs {
	uint32_t memory, least, most;
};

/* False: not with these blocks. QEMU takes every other error for a success, too. */
static bool direct_reads(int fd, void *block, size_t len)
{
	ssize_t n;

	do
		n = pread(fd, block, len, 0);
	while (n < 0 && errno == EINTR);
	return n >= 0 || errno != EINVAL;
}

static unsigned direct_try_blocks(int fd)
{
	static const size_t sizes[] = { 1, 512, 1024, 2048, 4096 };
	void *block = NULL;
	unsigned size = BLOCK_MAX;

	if (posix_memalign(&block, BLOCK_MAX, BLOCK_MAX) != 0)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		if (direct_reads(fd, block, sizes[i])) {
			size = sizes[i] > 1 ? (unsigned)sizes[i] : BLOCK_MAX;
			break;
		}
	free(block);
	return size;
}

/* fd: with O_DIRECT. */
static unsigned direct_block(int fd)
{
	struct direct_xfs xfs;
	struct statfs fs;
	int sector;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == NFS_SUPER_MAGIC)
		return 1;
	if (ioctl(fd, BLKSSZGET, &sector) == 0 && sector > 0)
		return (unsigned)sector;
	if (ioctl(fd, _IOR('X', 30, struct direct_xfs), &xfs) == 0 && xfs.least)
		return xfs.least;
	return direct_try_blocks(fd);
}

static int direct_refuse(const struct jail_file *f, uint64_t length, unsigned block, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);

	err_set(e, ERR_INVALID_CONFIG,
		"%s: the length of %s, %llu bytes, is not a multiple of %u, which direct I/O needs there",
		f->what, f->shown_path, (unsigned long long)length, block);
	if (f->fd < 0)
		return err_hint(e, "write Size=%llu, or Cache=writeback",
			(unsigned long long)(length / block + 1) * block);
	if (!S_ISREG(f->st.st_mode))
		return err_hint(e, "write Cache=writeback");
	return err_hint(e, "write Cache=writeback, or enlarge the image: truncate -s %%%u %s",
		block, quoted);
}

/* QEMU counts in sectors, and takes a part of one for a whole one. */
static bool direct_fits(uint64_t length, unsigned block)
{
	return (length + SECTOR - 1) / SECTOR * SECTOR % block == 0;
}

static int direct_look(const struct jail_file *f, struct err *e)
{
	const off_t length = lseek(f->data, 0, SEEK_END);
	unsigned block;

	if (!f->write || f->format != JAIL_RAW || length <= 0)
		return 0;
	block = direct_block(f->data);
	return direct_fits((uint64_t)length, block) ? 0
						    : direct_refuse(f, (uint64_t)length, block, e);
}

int direct_check(struct jail *j, struct jail_file *f, struct err *e)
{
	int flags, r;

	if (!f->direct)
		return 0;
	if (f->fd < 0) /* to be created, as one large hole */
		return f->format != JAIL_RAW || direct_fits((uint64_t)f->create, BLOCK_MAX)
			       ? 0
			       : direct_refuse(f, (uint64_t)f->create, BLOCK_MAX, e);
	flags = f->data < 0 ? -1 : fcntl(f->data, F_GETFL);
	if (flags < 0)
		return 0;
	if (fcntl(f->data, F_SETFL, flags | O_DIRECT) < 0) {
		err_set(e, ERR_INVALID_CONFIG,
			"%s: the file system of %s does not support direct I/O, which Cache=none needs",
			f->what, f->shown_path);
		return err_hint(e, "write Cache=writeback");
	}
	r = direct_look(f, e);
	fcntl(f->data, F_SETFL, flags);
	return r;
}
