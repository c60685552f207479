/* SPDX-License-Identifier: MIT */
#include "supervisor/verbs/clone.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/edit.h"
#include "conf/load.h"
#include "conf/reader.h"
#include "conf/value.h"

struct text {
	struct conf_edit *ed;
	char *section; /* of a drop-in, "NIC.lan"; NULL: malformed */
	struct err *e;
};

static void text_change(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void text_change(struct text *t, const char *fmt, ...)
{
	_cleanup_(free_ptr) char *word = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&word, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (t->e->number == 0)
		(strchr(word, '=') ? conf_edit_set : conf_edit_unset)(t->ed, word, t->e);
}

/* --- drop-ins --- */

static void text_on_section(void *data, const struct conf_place *place, const char *header)
{
	struct text *t = data;
	const size_t len = header ? strcspn(header, " ") : 0;
	const char *id = header ? header + len + strspn(header + len, " ") : "";

	free(t->section);
	t->section = header ? xasprintf("%.*s%s%s", (int)len, header, *id ? "." : "", id) : NULL;
}

static void text_on_key(
	void *data, const struct conf_place *place, const char *key, const char *value)
{
	struct text *t = data;
	size_t len = t->section ? strcspn(t->section, ".") : 0;
	_cleanup_(free_ptr) char *name = t->section ? xstrndup(t->section, len) : NULL;
	const struct conf_section *s = name ? conf_section_find(&conf_vm_schema, name) : NULL;
	const struct conf_key *k = s ? conf_key_find(s, key) : NULL;

	if (!t->section)
		return;
	if (k && k->list && !*value)
		text_change(t, "%s.%s", t->section, key);
	else
		text_change(t, "%s.%s%s=%s", t->section, key, k && k->list ? "+" : "", value);
}

static void text_fold(struct text *t, const struct conf_source *src, size_t n)
{
	static const struct conf_reader_calls calls = { text_on_section, text_on_key };
	struct conf_problems unheard = { 0 };

	for (size_t i = 1; i < n; i++)
		conf_read(&src[i], &calls, t, &unheard);
	conf_problems_release(&unheard);
	free(t->section);
	t->section = NULL;
}

/* --- what may be there only once --- */

static void text_make_unique(struct text *t, const struct conf_vm *c, const char *uuid)
{
	static const char *const once[] = { "VM.Owner", "VM.Protect", "VM.Template", "VM.X-Managed",
		"Display.Port", "CloudInit.HostName" },
				 *const of_nic[] = { "MACAddress", "Address", "Gateway", "DNS",
					 "HostName" };

	text_change(t, "VM.UUID=%s", uuid);
	text_change(t, "VM.Enable=no");
	for (size_t i = 0; i < ARRAY_SIZE(once); i++)
		text_change(t, "%s", once[i]);
	for (size_t i = 0; i < c->nics; i++)
		for (size_t k = 0; k < ARRAY_SIZE(of_nic); k++)
			text_change(t, "NIC.%s.%s", c->nic[i].id, of_nic[k]);
	if (c->vsock_cid && !streq(c->vsock_cid, "auto"))
		text_change(t, "VSock.CID=auto");
}

/* --- images --- */

static const struct conf_disk *text_disk(const struct conf_vm *c, const char *id)
{
	for (size_t i = 0; i < c->disks; i++)
		if (streq(c->disk[i].id, id))
			return &c->disk[i];
	return NULL;
}

/* Outside of the stores, a device, or a volume: its copy is in the default store. */
static bool text_moves(const struct conf_disk *d)
{
	return *d->path == '/' || d->volume;
}

struct clone_place {
	const char *from, *uuid; /* name of the VM, UUID of the clone */
	const struct clone_how *how;
	uint64_t size; /* of this disk */
};

static const char *text_format(const struct conf_disk *d, const struct clone_how *how)
{
	return !how->linked && conf_disk_format(d) == CONF_FORMAT_RAW ? "raw" : "qcow2";
}

/* A name that says so: an image based on another is qcow2. */
static bool text_has_format(const char *path, const struct clone_how *how)
{
	const char *end = strrchr(path, '.');

	return !how->linked || streq(end, ".qcow2");
}

/* "web1.qcow2" and "sub/web1-data.raw" become "web2...", any other "web2-ID.qcow2". What is outside of
 * the stores, or a device, gets a copy in the default store. */
static char *text_image(const struct conf_disk *d, const struct clone_place *p)
{
	const char *slash = strrchr(d->path, '/'), *base = slash ? slash + 1 : d->path;
	const int dir = *d->path == '/' ? 0 : (int)(base - d->path);
	const size_t len = strlen(p->from);

	if (p->how->owner)
		return xasprintf(
			"%s-%s.%.8s.%s", p->how->name, d->id, p->uuid, text_format(d, p->how));
	if (!d->volume && strncmp(base, p->from, len) == 0 && strchr(".-_", base[len]) &&
		base[len] && text_has_format(base, p->how))
		return xasprintf("%.*s%s%s", dir, d->path, p->how->name, base + len);
	return xasprintf("%.*s%s-%s.%s", dir, d->path, p->how->name, d->id, text_format(d, p->how));
}

/* It has a name of its own already, by a specifier or without Path=. */
static bool text_is_named(
	const struct conf_disk *was, const struct conf_disk *is, const struct clone_how *how)
{
	return !how->owner && is && !text_moves(is) && !streq(is->path, was->path) &&
	       text_has_format(is->path, how);
}

static void text_base(struct text *t, const struct conf_disk *was)
{
	_cleanup_(free_ptr) char *own = conf_literal(was->path);

	text_change(t, "Disk.%s.Base=%s", was->id, own);
	for (size_t i = 0; i < was->base.n; i++) {
		_cleanup_(free_ptr) char *next = conf_literal(was->base.item[i]);

		text_change(t, "Disk.%s.Base+=%s", was->id, next);
	}
	text_change(t, "Disk.%s.Format", was->id);
}

static void text_place(struct text *t, struct clone_image *image, const struct conf_disk *was,
	const struct conf_disk *is, const struct clone_place *p)
{
	_cleanup_(free_ptr) char *written = NULL;
	char size[24];

	if (was->read_only || !was->path)
		return;
	if (text_is_named(was, is, p->how)) {
		image->path = xstrdup(is->path);
	} else {
		image->path = text_image(was, p);
		written = conf_literal(image->path);
		text_change(t, "Disk.%s.Path=%s", was->id, written);
		if (text_moves(was))
			text_change(t, "Disk.%s.Store", was->id);
	}
	if (p->how->linked)
		text_base(t, was);
	if (p->size)
		text_change(
			t, "Disk.%s.Size=%s", was->id, text_size_exact(size, sizeof size, p->size));
}

static void text_parse(struct conf_vm *to, const struct text *t, const char *name, const char *file,
	const struct conf_context *ctx, const struct conf_source *main, struct conf_problems *p)
{
	struct buf text = BUF_INIT;
	struct conf_source src = *main;

	if (conf_edit_text(t->ed, 0, &text))
		src = (struct conf_source){ .text = text.data ? text.data : "", .len = text.len };
	src.file = file;
	conf_vm_parse(to, name, &src, 1, ctx, p);
	buf_release(&text);
}

int clone_compose(struct buf *text, struct clone_image *image, const struct conf_source *src,
	size_t n, const struct conf_vm *conf, const struct conf_context *ctx,
	const struct clone_how *how, struct err *e)
{
	struct clone_place p = { conf->name, ctx->uuid, how, 0 };
	struct text t = { .ed = conf_edit_new(src, 1, ctx->defaults), .e = e };
	struct conf_problems unheard = { 0 };
	struct conf_vm to = CONF_VM_INIT;

	text_fold(&t, src, n);
	text_make_unique(&t, conf, ctx->uuid);
	text_parse(&to, &t, how->name, how->file, ctx, src, &unheard);
	if (how->owner)
		text_change(&t, "VM.Owner=%s", how->owner);
	for (size_t i = 0; i < conf->disks; i++) {
		p.size = how->size ? how->size[i] : 0;
		text_place(&t, &image[i], &conf->disk[i], text_disk(&to, conf->disk[i].id), &p);
	}
	if (e->number == 0 && !conf_edit_text(t.ed, 0, text))
		buf_add(text, src->text, src->len);
	conf_problems_release(&unheard);
	conf_vm_release(&to);
	conf_edit_free(t.ed);
	return e->number;
}

void clone_images_release(struct clone_image *image, size_t n)
{
	for (size_t i = 0; image && i < n; i++)
		free(image[i].path);
	free(image);
}
