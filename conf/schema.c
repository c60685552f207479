/* SPDX-License-Identifier: MIT */
#include "conf/schema.h"

#include <strings.h>

#include "base/text.h"

#define ELEMENT_OK(s)                                                                             \
	_Static_assert(offsetof(struct s, id) == offsetof(struct conf_element, id) &&             \
			       offsetof(struct s, place) == offsetof(struct conf_element, place), \
		#s " does not begin as an element")
ELEMENT_OK(conf_disk);
ELEMENT_OK(conf_nic);
ELEMENT_OK(conf_serial);
ELEMENT_OK(conf_store);
_Static_assert(offsetof(struct conf_vm, arena) == 0 && offsetof(struct conf_network, arena) == 0 &&
		       offsetof(struct conf_daemon, arena) == 0,
	"a root struct does not begin with its arena");

enum { NAMES_MAX = 64 };

static const char *const types[] = {
	[CONF_TYPE_TEXT] = "a text",
	[CONF_TYPE_WORD] = "a word",
	[CONF_TYPE_ID] = "an id: letters, digits, '.', '_' and '-', at most 31",
	[CONF_TYPE_NAME] = "a name: letters, digits, '.', '_' and '-', at most 63",
	[CONF_TYPE_PATH] = "a path without '..'",
	[CONF_TYPE_IPV4] = "an IPv4 address",
	[CONF_TYPE_SIZE] = "a size such as 512M",
	[CONF_TYPE_TIME] = "a time such as 5min",
	[CONF_TYPE_UINT] = "a number",
	[CONF_TYPE_BOOL] = "yes or no",
	[CONF_TYPE_ENUM] = NULL,
	[CONF_TYPE_MAC] = "a MAC address such as 52:54:00:12:34:56",
	[CONF_TYPE_SUBNET] =
		"auto or an address of the host with its prefix such as 192.168.122.1/24",
	[CONF_TYPE_RANGE] = "a range of addresses such as 192.168.122.10-192.168.122.99",
};
_Static_assert(ARRAY_SIZE(types) == CONF_TYPES, "a type has no name");

static const char *schema_nearest(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(name, names[i]) == 0)
			return names[i];
	return text_nearest(name, names, n);
}

const struct conf_section *conf_section_find(const struct conf_schema *s, const char *name)
{
	for (size_t i = 0; i < s->sections; i++)
		if (strcmp(s->section[i].name, name) == 0)
			return &s->section[i];
	return NULL;
}

const struct conf_key *conf_key_find(const struct conf_section *s, const char *name)
{
	for (size_t i = 0; i < s->keys; i++)
		if (strcmp(s->key[i].name, name) == 0)
			return &s->key[i];
	return NULL;
}

const char *conf_section_nearest(const struct conf_schema *s, const char *name)
{
	const char *names[NAMES_MAX] = { NULL };
	size_t n = 0;

	for (; n < s->sections && n < NAMES_MAX; n++)
		names[n] = s->section[n].name;
	return schema_nearest(name, names, n);
}

const char *conf_key_nearest(const struct conf_section *s, const char *name)
{
	const char *names[NAMES_MAX] = { NULL };
	size_t n = 0;

	for (; n < s->keys && n < NAMES_MAX; n++)
		names[n] = s->key[n].name;
	return schema_nearest(name, names, n);
}

const struct conf_section *conf_key_home(const struct conf_schema *s, const char *name)
{
	for (size_t i = 0; i < s->sections; i++)
		if (conf_key_find(&s->section[i], name))
			return &s->section[i];
	return NULL;
}

/* "kvm, tcg or auto" */
static void schema_type_names(const struct conf_key *k, struct buf *b)
{
	size_t last = k->n_names - 1;

	for (size_t i = 0, n = 0; i <= last; i++) {
		if (!k->names[i])
			continue;
		if (n++)
			buf_adds(b, i == last ? " or " : ", ");
		buf_adds(b, k->names[i]);
	}
}

static void schema_type_limit(
	const struct conf_key *k, const char *words, uint64_t v, struct buf *b)
{
	char text[32];

	if (k->type == CONF_TYPE_TIME)
		text_time_exact(text, sizeof text, v);
	else
		text_size_exact(text, sizeof text, v);
	buf_printf(b, "%s %s", words, text);
}

static void schema_type_limits(const struct conf_key *k, struct buf *b)
{
	if (k->min)
		schema_type_limit(k, ", at least", k->min, b);
	if (k->max)
		schema_type_limit(k, ", at most", k->max, b);
	if (k->step)
		schema_type_limit(k, ", a multiple of", k->step, b);
}

void conf_key_type(const struct conf_key *k, struct buf *b)
{
	if (k->zero)
		buf_printf(b, "%s or ", k->zero);
	if (k->what)
		buf_adds(b, k->what);
	else if (k->names)
		schema_type_names(k, b);
	else
		buf_adds(b, types[k->type]);
	if (k->type == CONF_TYPE_TIME && !k->max)
		buf_adds(b, " or infinity");
	if (k->type == CONF_TYPE_UINT)
		buf_printf(b, " from %llu to %llu", (unsigned long long)k->min,
			(unsigned long long)k->max);
	else if (conf_key_is_number(k))
		schema_type_limits(k, b);
}

const char *conf_apply_name(enum conf_apply a)
{
	static const char *const names[] = {
		[CONF_APPLY_START] = "start",
		[CONF_APPLY_LIVE] = "live",
		[CONF_APPLY_GUEST] = "guest",
		[CONF_APPLY_ONCE] = "once",
	};
	_Static_assert(ARRAY_SIZE(names) == CONF_APPLIES, "a time of taking effect has no name");

	return names[a];
}
