/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/base.c - which format a base has, and whether it is the right one
 *
 * At its first use, the header of the image above it states the format; no guest has written to
 * that header yet. From then on the identity does: a header that states another one later is
 * refused.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/image.h"

struct above { /* the image that a base is for */
	const struct jail_file *f;
	char format[16]; /* of its base, as its header states; "": it does not */
	char *name;	 /* of its base, escaped; NULL: it cannot be read, or there is none */
};

/* False: the image does not exist yet, or has been refused. */
static bool base_read_above(struct above *a, const struct jail_file *f)
{
	uint8_t head[IMAGE_HEAD];
	struct err unheard = ERR_INIT;
	struct qcow2 q;
	ssize_t n;

	*a = (struct above){ .f = f->above };
	n = !a->f || a->f->data < 0 ? -1 : pread(a->f->data, head, sizeof head, 0);
	if (n < 0 || a->f->format != JAIL_QCOW2 || !qcow2_is(head, (size_t)n) ||
		qcow2_parse(&q, a->f, head, (size_t)n, &unheard) < 0)
		return false;
	memcpy(a->format, q.backing_format, sizeof a->format);
	a->name = qcow2_backing_name(a->f, &q, head, (size_t)n);
	return true;
}

static bool base_is_qcow2(const struct jail_file *f)
{
	uint8_t head[8];

	return pread(f->data, head, sizeof head, 0) == sizeof head && qcow2_is(head, sizeof head);
}

int base_hint(const struct jail_file *f, const char *format, struct err *e)
{
	_cleanup_(free_ptr) char *path = text_shell_quote(f->path), *image = NULL;

	if (!f->above || f->above->fd < 0) /* to be created */
		return err_hint(e, "give it a name that ends in .%s", format);
	image = text_shell_quote(f->above->path);
	return err_hint(
		e, "record its format: qemu-img rebase -u -F %s -b %s %s", format, path, image);
}

static enum jail_format base_format_named(const char *name)
{
	for (enum jail_format i = JAIL_RAW; i < JAIL_FORMATS; i++)
		if (streq(name, jail_format_names[i]))
			return i;
	return JAIL_ANY;
}

static const char *base_file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* By its last part: images may have moved together. */
static bool base_is_named(const struct jail_file *f, const char *name)
{
	return streq(base_file_name(f->path), base_file_name(name));
}

/* A guest whose disk is put on another base finds nonsense, and writes to it. A chain that ran
 * before keeps running: somebody may have renamed a base. */
static int base_check_name(
	const struct jail *j, const struct jail_file *f, const struct above *a, struct err *e)
{
	_cleanup_(free_ptr) char *image = NULL, *path = NULL;

	if (!a->name || strchr(a->name, ':') || base_is_named(f, a->name))
		return 0;
	image = text_shell_quote(a->f->path);
	path = text_shell_quote(f->path);
	for (const struct jail_file *o = j->file; o < j->file + j->n_files; o++)
		if (o->kind == JAIL_BASE && streq(o->id, f->id) && base_is_named(o, a->name)) {
			err_set(e, ERR_INVALID_CONFIG,
				"%s: the Base= lines do not follow the order of the images: %s is based on %s, not on %s",
				f->what, a->f->shown_path, a->name, f->shown_path);
			return err_hint(e,
				"list them from the top down, starting with the disk's own base");
		}
	err_set(e, ERR_INVALID_CONFIG, "%s: %s is based on %s, not on %s", f->what,
		a->f->shown_path, a->name, f->shown_path);
	return err_hint(e,
		"write Base=%s; if the base was only renamed: qemu-img rebase -u -F %s -b %s %s",
		a->name, f->format == JAIL_ANY ? "FORMAT" : jail_format_names[f->format], path,
		image);
}

static int base_refuse_other(const struct jail_file *f, const struct above *a, struct err *e)
{
	_cleanup_(free_ptr) char *image = text_shell_quote(a->f->path),
				 *path = text_shell_quote(f->path);

	err_set(e, ERR_CONFLICT,
		"%s: the header of %s now says that %s is %s, but it was %s when first used",
		f->what, a->f->shown_path, f->shown_path, a->format, jail_format_names[f->format]);
	return err_hint(e,
		"the guest can write that header; qemu-img rebase -u -F %s -b %s %s restores it. A base of another "
		"format needs another name",
		jail_format_names[f->format], path, image);
}

static int base_refuse_unknown(const struct jail_file *f, const struct above *a, struct err *e)
{
	_cleanup_(free_ptr) char *image = text_shell_quote(a->f->path),
				 *path = text_shell_quote(f->path);

	if (!a->format[0]) {
		err_set(e, ERR_INVALID_CONFIG,
			"%s: neither the header of %s nor the name of %s gives its format", f->what,
			a->f->shown_path, f->shown_path);
		return base_hint(f, base_is_qcow2(f) ? "qcow2" : "raw", e);
	}
	err_set(e, ERR_INVALID_CONFIG,
		"%s: the header of %s says that %s is %s; a base must be raw or qcow2", f->what,
		a->f->shown_path, f->shown_path, a->format);
	return err_hint(e,
		"qemu-img convert -f %s -O qcow2 %s NEW && qemu-img rebase -u -F qcow2 -b NEW %s, and write Base=NEW",
		a->format, path, image);
}

/* No image states anything yet. What is only read may be asked what it is. */
static enum jail_format base_format_found(const struct jail_file *f)
{
	return base_is_qcow2(f) ? JAIL_QCOW2 : f->by_name != JAIL_ANY ? f->by_name : JAIL_RAW;
}

/* A guest ran on it, or on what was in its place before bases were recorded. */
static bool base_ran(const struct jail_file *f)
{
	const struct jail_file *top = f;

	while (top->above)
		top = top->above;
	return f->known || top->seen[0];
}

/* Of an image that is to be created. */
static int base_check_size(const struct jail_file *f, struct err *e)
{
	const struct jail_file *image = f->above;
	uint64_t size = image_size(f);
	char has[24], wanted[24];

	if (!image || image->fd >= 0 || !image->create || (uint64_t)image->create >= size)
		return 0;
	err_set(e, ERR_INVALID_CONFIG, "%s: Size=%s is smaller than its base: %s has %s",
		image->what, text_size_exact(wanted, sizeof wanted, (uint64_t)image->create),
		f->shown_path, text_size_exact(has, sizeof has, size));
	return err_hint(
		e, "write Size=%s or more, or the end of the guest's disk would be missing", has);
}

static int base_settle_format(struct jail_file *f, const struct above *a, struct err *e)
{
	enum jail_format stated = base_format_named(a->format);
	const char *first =
		f->known ? json_string_value(json_object_get(f->known, "stated")) : NULL;

	snprintf(f->states, sizeof f->states, "%s", a->format);
	if (f->format != JAIL_ANY)
		return first && a->format[0] && stated != f->format && !streq(a->format, first)
			       ? base_refuse_other(f, a, e)
			       : 0;
	f->format = a->format[0] ? stated : f->by_name;
	return f->format == JAIL_ANY ? base_refuse_unknown(f, a, e) : 0;
}

int base_settle(struct jail *j, struct jail_file *f, struct err *e)
{
	struct above a;
	int r = 0;

	if (f->kind != JAIL_BASE)
		return 0;
	if (base_read_above(&a, f))
		r = base_settle_format(f, &a, e);
	else if (f->format == JAIL_ANY)
		f->format = base_format_found(f);
	if (r == 0 && !base_ran(f))
		r = base_check_name(j, f, &a, e);
	if (r == 0)
		r = base_check_size(f, e);
	free(a.name);
	return r;
}

/* --- the command line --- */

static const struct jail_file *base_of_path(const struct jail *j, const char *path)
{
	for (const struct jail_file *f = j->file; f < j->file + j->n_files; f++)
		if (f->kind == JAIL_BASE && streq(f->path, path))
			return f;
	return NULL;
}

/* Without "backing", QEMU follows a qcow2 header; in a raw node it knows no such member. */
static bool base_correct(json_t *node, const struct jail_file *f)
{
	const char *format = jail_format_names[f->format];

	if (streq(json_string_value(json_object_get(node, "driver")), format))
		return false;
	json_object_set_new(node, "driver", json_string(format));
	if (f->format == JAIL_RAW)
		json_object_del(node, "backing");
	else if (!json_object_get(node, "backing"))
		json_object_set_new(node, "backing", json_null());
	return true;
}

static const char base_spec[] = "json:"; /* qemu-img's images */

/* The word lives as long as the command line. */
static int base_write(const char **word, const json_t *node, const char *prefix, struct err *e)
{
	char *text = json_dumps(node, JSON_COMPACT);

	if (!text)
		return err_set(e, ERR_FAILED, "rewrite the command line");
	*word = xasprintf("%s%s", prefix, text);
	free(text);
	return 0;
}

/* qemu-img -F: of the copy's base, which is that of the original. */
static const char *base_first_format(const struct jail *j, const char *word)
{
	for (const struct jail_file *f = j->file; f < j->file + j->n_files; f++)
		if (f->kind == JAIL_BASE)
			return jail_format_names[f->format];
	return word;
}

/* The daemon opens no image: the formats of bases that it could only guess are corrected. */
int bases_place(struct jail *j, struct err *e)
{
	for (size_t i = 1; j->argv && j->argv[i]; i++) {
		const bool spec = strncmp(j->argv[i], base_spec, strlen(base_spec)) == 0;
		json_auto_t *top = NULL;
		bool changed = false;

		if (streq(j->argv[i - 1], "-F"))
			j->argv[i] = base_first_format(j, j->argv[i]);
		if (!spec && !streq(j->argv[i - 1], "-blockdev"))
			continue;
		top = json_loads(j->argv[i] + (spec ? strlen(base_spec) : 0), 0, NULL);
		for (json_t *node = json_object_get(top, "backing"); json_is_object(node);
			node = json_object_get(node, "backing")) {
			json_t *file = json_object_get(node, "file");
			const struct jail_file *f = base_of_path(
				j, json_string_value(json_object_get(file, "filename")));

			changed |= f && base_correct(node, f);
		}
		if (changed && base_write(&j->argv[i], top, spec ? base_spec : "", e) < 0)
			return e->number;
	}
	return 0;
}

/* --- what does not keep a guest from starting --- */

static bool base_has_changed(const struct jail_file *f)
{
	return f->known && S_ISREG(f->st.st_mode) &&
	       (json_integer_value(json_object_get(f->known, "size")) != f->st.st_size ||
		       json_integer_value(json_object_get(f->known, "mtime")) != f->st.st_mtime);
}

void base_warn(const struct jail *j, const struct jail_file *f, jail_warn *warn)
{
	struct err e = ERR_INIT;
	struct above a;

	if (f->kind != JAIL_BASE || f->data < 0 || f->again)
		return;
	if (base_ran(f) && base_read_above(&a, f)) {
		if (base_check_name(j, f, &a, &e) < 0)
			warn(j, "bases", f, &e);
		free(a.name);
	}
	if (!base_has_changed(f))
		return;
	err_set(&e, ERR_CONFLICT,
		"%s: %s has changed since the last start, and a changed base garbles the guest's disk",
		f->what, f->shown_path);
	err_hint(&e, "restore it; a new version of a base needs a new name");
	warn(j, "bases", f, &e);
}
