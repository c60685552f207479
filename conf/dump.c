/* SPDX-License-Identifier: MIT */
#include "conf/value.h"

#include <stdio.h>

struct dump {
	const struct conf_schema *schema;
	const void *root;
	bool all;
	struct buf *out;
	char header[CONF_HEADER_MAX + 1]; /* "Disk root" */
	bool begun;			  /* the header was written */
};

static const struct conf_list *conf_dump_ignored(const struct dump *d)
{
	return (const void *)((const char *)d->root + d->schema->ignored);
}

static void dump_begin(struct dump *d)
{
	if (!d->begun)
		buf_printf(d->out, "%s[%s]\n", d->out->len ? "\n" : "", d->header);
	d->begun = true;
}

static void dump_key(struct dump *d, const struct conf_key *k, const void *object)
{
	size_t n = conf_value_count(k, object);

	if (!n && d->all) {
		dump_begin(d);
		buf_printf(d->out, "%s=\n", k->name);
	}
	for (size_t i = 0; i < n; i++) {
		struct buf text = BUF_INIT;

		conf_value_text(k, object, i, &text);
		if (d->all || !streq(text.data, k->preset)) {
			dump_begin(d);
			buf_printf(d->out, "%s=", k->name);
			conf_add_literal(d->out, text.data);
			buf_addc(d->out, '\n');
		}
		buf_release(&text);
	}
}

/* The "Key=value" of an X- item if it belongs to this section, or NULL. */
static const char *dump_ignored_key(const char *item, const char *header)
{
	size_t len = strlen(header);
	const char *key = item + len + 1;

	if (strncmp(item, header, len) != 0 || item[len] != '.')
		return NULL;
	/* A dot before '=': the item's header is longer, as with [Disk a] and [Disk a.b]. */
	return strcspn(key, ".") < strcspn(key, "=") ? NULL : key;
}

static void dump_ignored(struct dump *d)
{
	const struct conf_list *l = conf_dump_ignored(d);

	for (size_t i = 0; i < l->n; i++) {
		const char *key = dump_ignored_key(l->item[i], d->header);

		if (!key)
			continue;
		dump_begin(d);
		buf_printf(d->out, "%s\n", key);
	}
}

static void dump_object(struct dump *d, const struct conf_section *s, const void *object)
{
	for (size_t i = 0; i < s->keys; i++)
		dump_key(d, &s->key[i], object);
	dump_ignored(d);
}

static void dump_section(struct dump *d, const struct conf_section *s)
{
	const char *element;
	size_t n;

	if (!s->size) {
		d->begun = false;
		snprintf(d->header, sizeof d->header, "%s", s->name);
		dump_object(d, s, d->root);
		return;
	}
	element = conf_elements(s, d->root, &n);
	for (size_t i = 0; i < n; i++, element += s->size) {
		const struct conf_element *e = (const void *)element;

		if (!conf_element_is(s, element))
			continue;
		d->begun = false;
		snprintf(d->header, sizeof d->header, "%s %s", s->name, e->id);
		dump_begin(d);
		dump_object(d, s, element);
	}
}

/* [X-...] sections, each with the items of all sources. */
static void dump_ignored_sections(struct dump *d)
{
	const struct conf_list *l = conf_dump_ignored(d);

	for (size_t i = 0; i < l->n; i++) {
		const char *end = l->item[i] + strcspn(l->item[i], "=");
		bool done = strncmp(l->item[i], "X-", 2) != 0;

		while (*end != '.')
			end--;
		snprintf(d->header, sizeof d->header, "%.*s", (int)(end - l->item[i]), l->item[i]);
		for (size_t j = 0; j < i && !done; j++)
			done = dump_ignored_key(l->item[j], d->header);
		d->begun = false;
		if (!done)
			dump_ignored(d);
	}
}

static void dump(const struct conf_schema *schema, const void *root, bool all, struct buf *b)
{
	struct dump d = { .schema = schema, .root = root, .all = all, .out = b };

	for (size_t i = 0; i < schema->sections; i++)
		dump_section(&d, &schema->section[i]);
	dump_ignored_sections(&d);
}

void conf_vm_dump(const struct conf_vm *c, bool all, struct buf *b)
{
	dump(&conf_vm_schema, c, all, b);
}

static int dump_read(struct conf_vm *to, const char *name, const char *text, size_t len,
	const struct conf_source *dropin, struct err *e)
{
	const struct conf_source source[] = {
		{ .file = "effective.vm", .text = text, .len = len },
		dropin ? *dropin : (struct conf_source){ 0 },
	};
	const struct conf_context ctx = { 0 };
	struct conf_problems problems = { 0 };
	int r;

	conf_vm_release(to);
	conf_vm_parse(to, name, source, dropin ? 2 : 1, &ctx, &problems);
	r = conf_problems_err(&problems, e);
	conf_problems_release(&problems);
	return r < 0 ? err_wrap(e, r, "effective configuration") : 0;
}

int conf_vm_read(struct conf_vm *to, const char *name, const char *text, size_t len, struct err *e)
{
	return dump_read(to, name, text, len, NULL, e);
}

int conf_vm_copy_with(struct conf_vm *to, const struct conf_vm *from,
	const struct conf_source *dropin, struct err *e)
{
	struct buf text = BUF_INIT;
	int r;

	if (!from->name)
		return err_set(e, ERR_INVALID_CONFIG, "there is no configuration to copy");
	conf_vm_dump(from, false, &text);
	r = dump_read(to, from->name, text.data ? text.data : "", text.len, dropin, e);
	for (size_t i = 0; r == 0 && i < from->disks; i++) {
		const char *dir = from->disk[i].dir;

		to->disk[i].dir = dir ? arena_strdup(&to->arena, dir) : NULL;
		to->disk[i].dir_mounted = from->disk[i].dir_mounted;
		to->disk[i].volume = from->disk[i].volume;
	}
	buf_release(&text);
	return r;
}

int conf_vm_copy(struct conf_vm *to, const struct conf_vm *from, struct err *e)
{
	return conf_vm_copy_with(to, from, NULL, e);
}

void conf_network_dump(const struct conf_network *c, bool all, struct buf *b)
{
	dump(&conf_network_schema, c, all, b);
}
