/* SPDX-License-Identifier: MIT */
#include "conf/value.h"

#include <stdio.h>

struct diff {
	void (*f)(void *data, const struct conf_change *c);
	void *data;
	const struct conf_section *section;
	const char *id;
};

/* For people; list elements joined by ", ". NULL if unset. */
static const char *diff_text_of(const struct conf_key *k, const void *object, struct buf *b)
{
	size_t n = conf_value_count(k, object);

	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_adds(b, ", ");
		conf_value_text(k, object, i, b);
	}
	return n ? b->data : NULL;
}

static void diff_key(
	const struct diff *d, const struct conf_key *k, const void *from, const void *to)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct conf_change change = {
		.section = d->section->name,
		.id = d->id,
		.key = k->name,
		.apply = k->apply,
	};

	if (k->apply == CONF_APPLY_ONCE || conf_value_same(k, from, to))
		return;
	change.from = diff_text_of(k, from, &a);
	change.to = diff_text_of(k, to, &b);
	d->f(d->data, &change);
	buf_release(&a);
	buf_release(&b);
}

static void diff_object(const struct diff *d, const void *from, const void *to)
{
	for (size_t i = 0; i < d->section->keys; i++)
		diff_key(d, &d->section->key[i], from, to);
}

static void diff_whole(const struct diff *d, bool added)
{
	char header[CONF_HEADER_MAX];
	struct conf_change change = {
		.section = d->section->name,
		.id = d->id,
		.from = added ? NULL : header,
		.to = added ? header : NULL,
		.apply = d->section->apply,
	};

	snprintf(header, sizeof header, "[%s %s]", d->section->name, d->id);
	d->f(d->data, &change);
}

static const char *diff_find(const struct conf_section *s, const void *root, const char *id)
{
	size_t n;
	const char *element = conf_elements(s, root, &n);

	for (size_t i = 0; i < n; i++, element += s->size) {
		const struct conf_element *e = (const void *)element;

		if (strcmp(e->id, id) == 0 && conf_element_is(s, e))
			return element;
	}
	return NULL;
}

/* First the removed elements, then the added and changed ones. */
static void diff_elements(struct diff *d, const void *from, const void *to)
{
	const struct conf_section *s = d->section;
	const void *roots[] = { from, to };

	for (int added = 0; added < 2; added++) {
		size_t n;
		const char *element = conf_elements(s, roots[added], &n);

		for (size_t i = 0; i < n; i++, element += s->size) {
			const struct conf_element *e = (const void *)element;
			const char *other;

			if (!conf_element_is(s, e))
				continue;
			d->id = e->id;
			other = diff_find(s, roots[!added], e->id);
			if (!other)
				diff_whole(d, added);
			else if (added)
				diff_object(d, other, element);
		}
	}
	d->id = NULL;
}

static void diff_all(const struct conf_schema *schema, const void *from, const void *to,
	void (*f)(void *data, const struct conf_change *c), void *data)
{
	struct diff d = { .f = f, .data = data };

	for (size_t i = 0; i < schema->sections; i++) {
		d.section = &schema->section[i];
		if (d.section->size)
			diff_elements(&d, from, to);
		else
			diff_object(&d, from, to);
	}
}

void conf_vm_diff(const struct conf_vm *from, const struct conf_vm *to,
	void (*f)(void *data, const struct conf_change *c), void *data)
{
	diff_all(&conf_vm_schema, from, to, f, data);
}

void conf_network_diff(const struct conf_network *from, const struct conf_network *to,
	void (*f)(void *data, const struct conf_change *c), void *data)
{
	diff_all(&conf_network_schema, from, to, f, data);
}

void conf_daemon_diff(const struct conf_daemon *from, const struct conf_daemon *to,
	void (*f)(void *data, const struct conf_change *c), void *data)
{
	diff_all(&conf_daemon_schema, from, to, f, data);
}
