/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/make/asked.h"
#include "supervisor/make/image_private.h"

static const char origin_name[] = "trusted.vmkeep.image";

const char *image_text(const struct image *m, const char *key)
{
	return asked_text(m->request, key);
}

bool image_is_read_only(const struct image *m, struct err *e)
{
	if (!json_is_true(json_object_get(m->request, "read_only")))
		return false;
	err_set(e, ERR_CONFLICT, "store '%s' is read-only", image_text(m, "name"));
	return true;
}

int image_openat2(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

int image_open_dir(const struct image *m, bool make, struct err *e)
{
	int fd;

	if (make && mkdirat(m->dir, IMAGE_DIR, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create '%s/" IMAGE_DIR "'", m->store);
	fd = image_openat2(m->dir, IMAGE_DIR, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? err_errno(e, "open '%s/" IMAGE_DIR "'", m->store) : fd;
}

bool image_is_digest(const char *hex)
{
	const size_t len = strlen(hex);

	return (len == 64 || len == 128) && strspn(hex, "0123456789abcdef") == len;
}

const char *image_algorithm(const char *hex)
{
	return strlen(hex) > 64 ? "sha512" : "sha256";
}

/* A URL has no blanks. */
void image_origin(int fd, struct image_origin *o)
{
	ssize_t n = fgetxattr(fd, origin_name, o->text, IMAGE_ORIGIN_MAX);
	char *url, *proof;

	o->text[n > 0 ? n : 0] = '\0';
	o->hex = o->url = o->proof = "";
	url = strchr(o->text, ' ');
	if (!url)
		return;
	*url++ = '\0';
	if (!image_is_digest(o->text))
		return;
	o->hex = o->text;
	o->url = url;
	proof = strchr(url, ' ');
	if (proof) {
		*proof = '\0';
		o->proof = proof + 1;
	}
}

int image_set_origin(int fd, const char *hex, const char *url, const char *proof)
{
	_cleanup_(free_ptr) char *text = xasprintf("%s %s %s", hex, url, proof);

	return fsetxattr(fd, origin_name, text, strlen(text), 0);
}
