/* SPDX-License-Identifier: MIT */
/*
 * The child's side of image.h. On stdin, with the store that image_request() names:
 *
 *   {"do": "size", "path": "images/a.qcow2"}   -> {"size": bytes that a guest sees}
 *
 * On stdout that answer, or {"error": {..}}.
 */
#include "supervisor/make/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"

enum { INPUT_MAX = 1 << 16, HEAD = 32 /* of a qcow2 image, up to its size */, SECTOR = 512 };

struct image {
	json_t *request;
	const char *store; /* its directory */
	int dir;
};

static const char *image_text(const struct image *m, const char *key)
{
	const char *s = json_string_value(json_object_get(m->request, key));

	return s ? s : "";
}

static int image_open_store(struct image *m, struct err *e)
{
	const char *name = image_text(m, "name");
	struct statx x;

	m->store = image_text(m, "store");
	m->dir = open(m->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir < 0)
		return err_errno(e, "open store '%s'", name);
	if (json_is_true(json_object_get(m->request, "mounted")) &&
		(statx(m->dir, "", AT_EMPTY_PATH, STATX_MODE, &x) < 0 ||
			!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT)))
		return err_set(e, ERR_FAILED, "store '%s' is not mounted", name);
	return 0;
}

static int image_openat2(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static uint64_t image_be(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

static bool image_is_qcow2(const char *path)
{
	size_t len = strlen(path), end = strlen(IMAGE_END);

	return len > end && streq(path + len - end, IMAGE_END);
}

/* By its name, as Base= does. An overlay on this one would need to name what it is based on, too. */
static int image_read_size(
	const struct image *m, int fd, const char *path, uint64_t *size, struct err *e)
{
	_cleanup_(free_ptr) char *there = xasprintf("%s/%s", m->store, path),
				 *whole = text_shell_quote(there);
	uint8_t head[HEAD];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "look at image '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_FAILED, "image '%s' is not a regular file", path);
	if (!image_is_qcow2(path)) {
		*size = (uint64_t)st.st_size;
	} else if (pread(fd, head, sizeof head, 0) != sizeof head ||
		   memcmp(head, "QFI\xfb", 4) != 0) {
		return err_set(e, ERR_FAILED, "image '%s' is not a qcow2 image", path);
	} else if (image_be(head + 8, 8)) {
		err_set(e, ERR_FAILED, "image '%s' is itself based on another image", path);
		return err_hint(
			e, "qemu-img convert -O qcow2 %s NEW makes one that is whole", whole);
	} else {
		*size = image_be(head + 24, 8);
	}
	*size += (SECTOR - *size % SECTOR) % SECTOR;
	return *size ? 0 : err_set(e, ERR_FAILED, "image '%s' is empty", path);
}

static json_t *image_size(struct image *m, struct err *e)
{
	const char *path = image_text(m, "path");
	_cleanup_(close_fd) int fd = image_openat2(m->dir, path, O_RDONLY, 0);
	uint64_t size;

	if (fd < 0 && errno == ENOENT) {
		err_set(e, ERR_NOT_FOUND, "store '%s' has no image '%s'", image_text(m, "name"),
			path);
		return NULL;
	}
	if (fd < 0) {
		err_errno(e, "open image '%s' in store '%s'", path, image_text(m, "name"));
		return NULL;
	}
	return image_read_size(m, fd, path, &size, e) < 0
		       ? NULL
		       : json_pack("{s:I}", "size", (json_int_t)size);
}

static const struct {
	const char *what;
	json_t *(*act)(struct image *m, struct err *e);
} image_acts[] = {
	{ "size", image_size },
};

static int image_read(struct image *m, struct err *e)
{
	struct buf input = BUF_MAX(INPUT_MAX);
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf_reserve(&input, 65536), 65536)) > 0)
		buf_commit(&input, (size_t)n);
	/* if the daemon died before it sent everything, this is no JSON */
	m->request = n == 0 && input.data ? json_loadb(input.data, input.len, 0, NULL) : NULL;
	buf_release(&input);
	return m->request ? 0 : err_set(e, ERR_FAILED, "the request is incomplete");
}

int image_main(void)
{
	struct image m = { .dir = -1 };
	struct err e = ERR_INIT;
	json_t *answer = NULL;

	if (image_read(&m, &e) == 0 && image_open_store(&m, &e) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(image_acts); i++)
			if (streq(image_acts[i].what, image_text(&m, "do")))
				answer = image_acts[i].act(&m, &e);
	if (!answer)
		answer = json_pack("{s:o}", "error", api_error_json(&e));
	json_dumpf(answer, stdout, JSON_COMPACT);
	json_decref(answer);
	json_decref(m.request);
	close_fd(&m.dir);
	return fflush(stdout) < 0;
}
