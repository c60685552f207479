/* SPDX-License-Identifier: MIT */
/* In the child that image.h names: the file of a fetch, from its beginning to its name. */
#include "supervisor/make/image_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

enum { SECTOR = 512, HOLLOW = 16, SOME = 64 << 20 };

static char *image_file(const struct image *m)
{
	return xasprintf("%s" IMAGE_END, image_text(m, "image"));
}

static char *image_partial(const struct image *m)
{
	return xasprintf(".fetch-%s", image_text(m, "digest"));
}

/* Feeds sha256sum or sha512sum, so that this process is not idle meanwhile. */
static int image_feed(int from, int to, struct err *e)
{
	static char chunk[1 << 18];
	ssize_t n;

	if (lseek(from, 0, SEEK_SET) < 0)
		return err_errno(e, "read");
	while ((n = read(from, chunk, sizeof chunk)) > 0)
		if (file_write_all(to, chunk, (size_t)n) < 0)
			return err_set(
				e, ERR_FAILED, "the program that computes the digest ended early");
	return n < 0 ? err_errno(e, "read") : 0;
}

_Noreturn static void image_become_summer(const char *algorithm, int in, int out)
{
	_cleanup_(free_ptr) char *program = xasprintf("%ssum", algorithm);

	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execlp(program, program, (char *)NULL);
	_exit(1);
}

static int image_digest(
	int fd, const char *algorithm, char digest[IMAGE_HEX_MAX + 1], struct err *e)
{
	int in[2], out[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return err_errno(e, "create a pipe");
	pid = fork();
	if (pid == 0)
		image_become_summer(algorithm, in[0], out[1]);
	close(in[0]);
	close(out[1]);
	r = pid < 0 ? err_errno(e, "run %ssum", algorithm) : image_feed(fd, in[1], e);
	close(in[1]);
	n = read(out[0], digest, IMAGE_HEX_MAX);
	close(out[0]);
	digest[n > 0 ? n : 0] = '\0';
	digest[strspn(digest, "0123456789abcdef")] = '\0';
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (r == 0 && !image_is_digest(digest))
		r = err_set(e, ERR_FAILED, "%ssum failed", algorithm);
	return r;
}

static bool image_may_begin(const struct image *m, int dir, bool *there, struct err *e)
{
	_cleanup_(free_ptr) char *name = image_file(m);
	_cleanup_(close_fd) int fd = image_openat2(dir, name, O_RDONLY, 0);
	struct image_origin origin;

	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd >= 0) {
		image_origin(fd, &origin);
		*there = streq(origin.hex, image_text(m, "digest"));
	}
	if (*there)
		return true;
	err_set(e, ERR_CONFLICT, "store '%s' has an image '%s' already, with another digest",
		image_text(m, "name"), image_text(m, "image"));
	err_hint(e,
		"vmkeep image rm %s --store %s moves it to the trash if no VM is based on it, and then it can be fetched again; else choose another name",
		image_text(m, "image"), image_text(m, "name"));
	return false;
}

static int image_open_partial(const struct image *m, int dir, int flags, struct err *e)
{
	_cleanup_(free_ptr) char *name = image_partial(m);
	int fd = image_openat2(dir, name, O_RDWR | flags, flags & O_CREAT ? 0600 : 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, "write '%s/" IMAGE_DIR "/%s'", m->store, name);
	if (S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid())
		return fd;
	close(fd);
	return err_set(
		e, ERR_CONFLICT, "'%s/" IMAGE_DIR "/%s' is not a file of ours", m->store, name);
}

/* A curl that was taken over can make it as large as it likes, and a digest of holes takes hours. No
 * file system compresses an image so well, which is compressed itself. */
static bool image_is_hollow(const struct stat *st)
{
	return st->st_size / HOLLOW > (off_t)st->st_blocks * SECTOR + SOME;
}

json_t *image_begin(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int dir = -1, fd = -1;
	_cleanup_(free_ptr) char *name = image_partial(m);
	char digest[IMAGE_HEX_MAX + 1] = "";
	bool there = false;
	struct stat st;

	if (image_is_read_only(m, e))
		return NULL;
	dir = image_open_dir(m, true, e);
	if (dir < 0 || !image_may_begin(m, dir, &there, e))
		return NULL;
	if (there)
		return json_pack("{s:b}", "there", true);
	fd = image_open_partial(m, dir, O_CREAT, e);
	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	if (image_is_hollow(&st) && (ftruncate(fd, 0) < 0 || fstat(fd, &st) < 0)) {
		err_errno(e, "begin '%s/" IMAGE_DIR "/%s' again", m->store, name);
		return NULL;
	}
	if (st.st_size && image_digest(fd, image_algorithm(image_text(m, "digest")), digest, e) < 0)
		return NULL;
	return json_pack("{s:o, s:s, s:s?}", "path",
		json_sprintf("%s/" IMAGE_DIR "/%s", m->store, name), "dir", m->store, "has",
		*digest ? digest : NULL);
}

json_t *image_place(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int dir = image_open_dir(m, false, e), fd = -1;
	_cleanup_(free_ptr) char *partial = image_partial(m), *name = image_file(m);

	fd = dir < 0 ? -1 : image_open_partial(m, dir, 0, e);
	if (fd < 0)
		return NULL;
	/* some file systems have no attributes: then it is not known where the image is from */
	image_set_origin(fd, image_text(m, "digest"), image_text(m, "url"), image_text(m, "proof"));
	if (fchmod(fd, 0600) < 0 || fsync(fd) < 0 ||
		renameat2(dir, partial, dir, name, RENAME_NOREPLACE) < 0 || fsync(dir) < 0) {
		err_errno(e, "write '%s/" IMAGE_DIR "/%s'", m->store, name);
		return NULL;
	}
	return json_object();
}

json_t *image_drop(struct image *m, struct err *e)
{
	_cleanup_(close_fd) int dir = image_open_dir(m, false, e);
	_cleanup_(free_ptr) char *partial = image_partial(m);

	if (dir < 0)
		return NULL;
	if (unlinkat(dir, partial, 0) == 0)
		return json_object();
	err_errno(e, "remove '%s/" IMAGE_DIR "/%s'", m->store, partial);
	return NULL;
}
