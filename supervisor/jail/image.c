/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/image.c - checks an image's header against the plan
 *
 * Nothing in a header is ever acted on: it is compared with the plan and, escaped, shown to people.
 * Layout: QEMU's docs/interop/qcow2.txt.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/image.h"

/* The guest may have written anything to its own raw disk, but not before its first start. */
static bool image_is_mistaken(const struct jail_file *f, const struct magic *m)
{
	return m && (m->use == MAGIC_CONTAINER || (m->use == MAGIC_PACKED && !f->seen[0]));
}

static int image_check_raw(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	const struct magic *m;

	if (f->has_base)
		return err_set(e, ERR_INVALID_CONFIG, "%s: a raw image like %s has no backing file",
			f->what, f->shown_path);
	if (f->format_written)
		return 0;
	if (qcow2_is(head, len)) {
		err_set(e, ERR_INVALID_CONFIG,
			"%s: %s has a qcow2 header, but would be used as raw", f->what,
			f->shown_path);
		if (f->kind == JAIL_BASE)
			return base_hint(f, "qcow2", e);
		return err_hint(e, "write Format=qcow2, or Format=raw if raw is really meant");
	}
	m = magic_find(f, head, len);
	if (!image_is_mistaken(f, m))
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "%s: %s is %s, but would be used as raw", f->what,
		f->shown_path, m->what);
	return magic_cure(f, m, e);
}

static int image_refuse_alien(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	const struct magic *m = magic_find(f, head, len);
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);

	if (len == 0) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s is not a qcow2 image: it is empty", f->what,
			f->shown_path);
		return err_hint(e, "copy or download it again");
	}
	err_set(e, ERR_INVALID_CONFIG, "%s: %s is not a qcow2 image%s%s", f->what, f->shown_path,
		m ? ", but " : "", m ? m->what : "");
	if (f->kind == JAIL_BASE && (!m || m->use == MAGIC_DISK))
		return base_hint(f, "raw", e);
	if (m && f->kind != JAIL_NVRAM)
		return magic_cure(f, m, e);
	if (f->kind == JAIL_DISK || f->kind == JAIL_CDROM)
		return err_hint(e,
			"write Format=raw if it is a raw image; qemu-img info %s shows what it is",
			quoted);
	return err_hint(e, "qemu-img info %s shows what it is", quoted);
}

static int image_check_backing(const struct jail_file *f, const struct qcow2 *q,
	const uint8_t *head, size_t len, struct err *e)
{
	_cleanup_(free_ptr) char *name = NULL;

	if (!q->backing_at && f->has_base) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s has no backing file", f->what,
			f->shown_path);
		return err_hint(e, "remove Base=, or make the image with qemu-img create -b");
	}
	if (!q->backing_at || f->has_base)
		return 0;
	name = qcow2_backing_name(f, q, head, len);
	if (!name)
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s has a damaged header", f->what,
			f->shown_path);
	err_set(e, ERR_INVALID_CONFIG, "%s: %s has the backing file '%s', which is not configured",
		f->what, f->shown_path, name);
	if (f->kind == JAIL_CDROM) {
		_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);

		return err_hint(e,
			"a CD has no Base=: qemu-img convert -O qcow2 %s NEW makes one that is whole",
			quoted);
	}
	if (strchr(name, ':') || strchr(name, '\\'))
		return err_hint(e, "write Base= with the file's path if it is to be used");
	return err_hint(e, "write Base=%s if it is to be used", name);
}

/* The host lost its power, or died, after an earlier start: the table with the guest's last writes
 * was on the disk already, the file's new length was not. The guest was not told that they are
 * safe, so nobody relies on them, and QEMU reads zeroes there. */
static bool image_host_died(const struct jail_file *f, const struct qcow2_gap *gap)
{
	return gap->data && f->seen[0] && S_ISREG(f->st.st_mode) &&
	       (double)f->st.st_ctime < clock_wall() - clock_boot();
}

static int image_tell_gap(const struct jail_file *f, const struct qcow2_gap *gap, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);
	char end[16], length[16];

	err_set(e, ERR_INVALID_CONFIG, "%s: %s is truncated: %s of at least %s are left", f->what,
		f->shown_path, text_size(length, sizeof length, gap->length),
		text_size(end, sizeof end, gap->end));
	if (!S_ISREG(f->st.st_mode))
		return err_hint(
			e, "restore the device to its old size, or write the image to it again");
	if (f->kind == JAIL_NVRAM)
		return err_hint(e,
			"restore it from a backup, or remove %s: the next start recreates it from the firmware's template",
			quoted);
	if (!f->seen[0] || !gap->data)
		return err_hint(e,
			"copy or download it again; qemu-img check %s lists what is missing",
			quoted);
	return err_hint(e,
		"copy it again, or restore it from a backup; to keep what is left, with zeroes for the rest: "
		"truncate -s %llu %s",
		(unsigned long long)gap->end, quoted);
}

static int image_check_qcow2(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	struct qcow2_gap gap;
	struct qcow2 q;
	int r;

	if (!qcow2_is(head, len))
		return image_refuse_alien(f, head, len, e);
	r = qcow2_parse(&q, f, head, len, e);
	if (r == 0)
		r = image_check_backing(f, &q, head, len, e);
	if (r < 0 || f->data < 0)
		return r;
	gap = qcow2_gap(f, &q);
	return gap.at && !image_host_died(f, &gap) ? image_tell_gap(f, &gap, e) : 0;
}

int image_check_header(const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	return f->format == JAIL_RAW	 ? image_check_raw(f, head, len, e)
	       : f->format == JAIL_QCOW2 ? image_check_qcow2(f, head, len, e)
					 : 0;
}

/* QEMU finds out what else cannot be a kernel. */
static int image_check_kernel(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	const struct magic *m = magic_find(f, head, len);

	if (len && (!m || m->use != MAGIC_PACKED || m->command))
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "%s: %s is %s", f->what, f->shown_path,
		len ? m->what : "empty");
	return len ? magic_cure(f, m, e) : err_hint(e, "copy or download it again");
}

static ssize_t image_read_head(const struct jail_file *f, uint8_t head[IMAGE_HEAD])
{
	return f->data < 0 ? -1 : pread(f->data, head, IMAGE_HEAD, 0);
}

int image_check(struct jail *j, struct jail_file *f, struct err *e)
{
	uint8_t head[IMAGE_HEAD];
	ssize_t n;

	if (f->fd < 0 || f->kind == JAIL_FIRMWARE ||
		(f->kind == JAIL_CDROM && f->format != JAIL_QCOW2)) /* any bytes make a raw CD */
		return 0;
	n = image_read_head(f, head);
	if (n < 0)
		return err_errno(e, "%s: read %s", f->what, f->shown_path);
	return f->kind == JAIL_KERNEL ? image_check_kernel(f, head, (size_t)n, e)
				      : image_check_header(f, head, (size_t)n, e);
}

/* --- what does not keep a guest from starting --- */

static bool image_doubt_raw(
	const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	const struct magic *m = magic_find(f, head, len);
	bool qcow2 = qcow2_is(head, len);

	if (len == 0) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s is empty", f->what, f->shown_path);
		err_hint(e, "copy or download it again");
		return true;
	}
	if (!qcow2 && (!m || m->use == MAGIC_DISK || (m->use == MAGIC_PACKED && f->seen[0])))
		return false;
	err_set(e, ERR_INVALID_CONFIG,
		"%s: %s is %s, but is used as raw: the guest sees the file itself, not its contents",
		f->what, f->shown_path, qcow2 ? "a qcow2 image" : m->what);
	if (qcow2)
		err_hint(e, "write Format=qcow2 unless raw is really meant");
	else
		magic_cure(f, m, e);
	return true;
}

static bool image_doubt_qcow2(const struct jail_file *f, const struct qcow2 *q, struct err *e)
{
	const struct qcow2_gap gap = qcow2_gap(f, q);
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);

	if (gap.at && image_host_died(f, &gap)) {
		image_tell_gap(f, &gap, e);
		err_hint(e,
			"the host died during the guest's last writes: the guest reads zeroes there, and repairs its "
			"file systems; qemu-img check %s lists what is missing",
			quoted);
	} else if (q->bitmaps && f->write) {
		err_set(e, ERR_CONFLICT,
			"%s: %s has %u dirty bitmaps, such as backup programs leave: a snapshot with memory cannot "
			"be reverted to",
			f->what, f->shown_path, q->bitmaps);
		err_hint(e,
			"with the VM stopped: qemu-img info %s names them, qemu-img bitmap --remove %s NAME "
			"removes one; the backup program's next backup is then a full one",
			quoted, quoted);
	} else if (q->incompatible & QCOW2_CORRUPT) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s is marked as corrupt", f->what,
			f->shown_path);
		err_hint(e, "copy the image, then: qemu-img check -r all %s", quoted);
	} else if (q->size % 512) {
		err_set(e, ERR_INVALID_CONFIG,
			"%s: the size of %s, %llu bytes, is not a multiple of 512: the guest does not see the rest",
			f->what, f->shown_path, (unsigned long long)q->size);
		err_hint(e, "qemu-img resize -f qcow2 %s %llu", quoted,
			(unsigned long long)(q->size / 512 + 1) * 512);
	}
	return e->number;
}

/* After image_check(), which tells what is worse. */
void image_warn(const struct jail *j, const struct jail_file *f, jail_warn *warn)
{
	uint8_t head[IMAGE_HEAD];
	struct err e = ERR_INIT, worse = ERR_INIT;
	ssize_t n = f->again ? -1 : image_read_head(f, head);
	bool found = false;
	struct qcow2 q;

	if (n < 0 || (f->kind != JAIL_DISK && f->kind != JAIL_BASE && f->kind != JAIL_CDROM))
		return;
	if ((f->kind != JAIL_CDROM || f->format == JAIL_QCOW2) &&
		image_check_header(f, head, (size_t)n, &worse) < 0)
		return;
	if (f->format == JAIL_RAW)
		found = image_doubt_raw(f, head, (size_t)n, &e);
	else if (qcow2_is(head, (size_t)n) && qcow2_parse(&q, f, head, (size_t)n, &worse) == 0)
		found = image_doubt_qcow2(f, &q, &e);
	if (found)
		warn(j, "formats", f, &e);
}
