/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/image.c - checks an image's header against the plan
 *
 * Nothing in a header is ever acted on: it is compared with the plan and, escaped, shown to people.
 * Layout: QEMU's docs/interop/qcow2.txt.
 */
#include <ctype.h>
#include <errno.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/jail.h"

enum {
	QCOW2_VERSION = 4,
	QCOW2_BACKING_OFFSET = 8,
	QCOW2_BACKING_SIZE = 16,
	QCOW2_VIRTUAL_SIZE = 24,
	QCOW2_INCOMPATIBLE = 72, /* since version 3 */
	QCOW2_HEADER_2 = 72,
	QCOW2_HEADER_3 = 104,
	QCOW2_BACKING_MAX = 1023,
	QCOW2_DATA_FILE = 1 << 2,
};

static uint64_t image_be(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	while (len--)
		v = v << 8 | *p++;
	return v;
}

static bool image_is_qcow2(const uint8_t *head, size_t len)
{
	return len >= 4 && memcmp(head, "QFI\xfb", 4) == 0;
}

static int image_check_raw(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	if (f->has_base)
		return err_set(e, ERR_INVALID_CONFIG, "%s: a raw image like %s has no backing file",
			f->what, f->shown_path);
	if (f->format_written || !image_is_qcow2(head, len))
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "%s: %s begins like a qcow2 image, but would be used as raw",
		f->what, f->shown_path);
	return err_hint(e, "write Format=qcow2, or Format=raw if raw is really meant");
}

/* The backing file's name as a person would write it in Base=, or NULL. */
static char *image_backing_name(
	const struct jail_file *f, const uint8_t *head, size_t len, uint64_t at, size_t size)
{
	char name[QCOW2_BACKING_MAX];

	if (at + size <= len)
		memcpy(name, head + at, size);
	else if (pread(f->data, name, size, (off_t)at) != (ssize_t)size)
		return NULL;
	return text_escape(name, size, false);
}

static int image_check_backing(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	uint64_t at = image_be(head + QCOW2_BACKING_OFFSET, 8),
		 size = image_be(head + QCOW2_BACKING_SIZE, 4);
	_cleanup_(free_ptr) char *name = NULL;

	if (!at && f->has_base) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s has no backing file", f->what,
			f->shown_path);
		return err_hint(e, "remove Base=, or make the image with qemu-img create -b");
	}
	if (!at || f->has_base)
		return 0;
	if (size > 0 && size <= QCOW2_BACKING_MAX && at <= INT64_MAX - QCOW2_BACKING_MAX)
		name = image_backing_name(f, head, len, at, size);
	if (!name)
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s has a damaged header", f->what,
			f->shown_path);
	err_set(e, ERR_INVALID_CONFIG, "%s: %s has the backing file '%s', which is not configured",
		f->what, f->shown_path, name);
	if (strchr(name, ':') || strchr(name, '\\'))
		return err_hint(e, "write Base= with the file's path if it is to be used");
	return err_hint(e, "write Base=%s if it is to be used", name);
}

static int image_check_qcow2(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	uint64_t version;

	if (len == 0)
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s is not a qcow2 image: it is empty",
			f->what, f->shown_path);
	if (!image_is_qcow2(head, len) || len < QCOW2_HEADER_2) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s is not a qcow2 image", f->what,
			f->shown_path);
		return err_hint(e, "write Format=raw if it is a raw image");
	}
	version = image_be(head + QCOW2_VERSION, 4);
	if (version == 3 && len < QCOW2_HEADER_3)
		return err_set(e, ERR_INVALID_CONFIG,
			"%s: %s is cut short: %zu bytes of a qcow2 image are left", f->what,
			f->shown_path, len);
	if (version < 2 || version > 3)
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s is qcow2 of version %llu, not 2 or 3",
			f->what, f->shown_path, (unsigned long long)version);
	if (version == 3 && image_be(head + QCOW2_INCOMPATIBLE, 8) & QCOW2_DATA_FILE) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s keeps its data in another file", f->what,
			f->shown_path);
		return err_hint(e, "convert it: qemu-img convert -O qcow2");
	}
	return image_check_backing(f, head, len, e);
}

int image_check_header(const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	return f->format == JAIL_RAW	 ? image_check_raw(f, head, len, e)
	       : f->format == JAIL_QCOW2 ? image_check_qcow2(f, head, len, e)
					 : 0;
}

int image_check(struct jail *j, struct jail_file *f, struct err *e)
{
	uint8_t head[IMAGE_HEAD];
	ssize_t n;

	if (f->kind != JAIL_DISK && f->kind != JAIL_BASE && f->kind != JAIL_NVRAM)
		return 0;
	n = pread(f->data, head, sizeof head, 0);
	if (n < 0)
		return err_errno(e, "%s: read %s", f->what, f->shown_path);
	return image_check_header(f, head, (size_t)n, e);
}

uint64_t image_size(const struct jail_file *f)
{
	uint8_t size[8];

	if (f->format != JAIL_QCOW2)
		return (uint64_t)f->st.st_size;
	return pread(f->data, size, sizeof size, QCOW2_VIRTUAL_SIZE) == sizeof size
		       ? image_be(size, sizeof size)
		       : 0;
}
