/* SPDX-License-Identifier: MIT */
#include "conf/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "conf/path.h"

/* All enums of the schema are written through this type. */
_Static_assert(sizeof(enum conf_bus) == sizeof(unsigned), "enums are not unsigned");

static const char separators[] = " ,";

/* As in a shell or a YAML file. Only free text may contain quotes. */
static bool value_is_quoted(const char *text)
{
	size_t len = strlen(text);

	return len > 1 && (*text == '"' || *text == '\'') && text[len - 1] == *text;
}

/* Words can be split on one line; texts and paths may contain blanks and commas. */
const char *conf_value_separators(const struct conf_key *k)
{
	return k->type != CONF_TYPE_TEXT && k->type != CONF_TYPE_PATH ? separators : NULL;
}

static void *conf_value_field(const struct conf_key *k, void *object)
{
	return (char *)object + k->offset;
}

static const void *value_const_field(const struct conf_key *k, const void *object)
{
	return (const char *)object + k->offset;
}

/* Full at 0, 1, 2, 4, 8...: the capacity is always the next power of two. */
void *conf_grow(struct arena *a, void *array, size_t n, size_t size)
{
	void *more;

	if (n & (n - 1))
		return array;
	more = arena_alloc(a, (n ? n * 2 : 1) * size);
	if (n)
		memcpy(more, array, n * size);
	return more;
}

bool conf_list_add(struct conf_list *l, struct arena *a, const char *item)
{
	if (l->n == CONF_LIST_MAX)
		return false;
	l->item = conf_grow(a, l->item, l->n, sizeof *l->item);
	l->item[l->n++] = arena_strdup(a, item);
	return true;
}

static bool value_parse_ipv4(const char *text, uint32_t *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*address = ntohl(in.s_addr);
	return true;
}

static bool value_string_ok(const struct conf_key *k, const char *text)
{
	uint32_t address;

	if (k->check && !k->check(text))
		return false;
	if (k->type == CONF_TYPE_ID)
		return conf_id_ok(text);
	if (k->type == CONF_TYPE_NAME)
		return conf_name_ok(text);
	if (k->type == CONF_TYPE_PATH)
		return conf_path_ok(text);
	if (k->type == CONF_TYPE_IPV4)
		return value_parse_ipv4(text, &address);
	for (size_t i = 0; i < k->n_names; i++)
		if (strcmp(text, k->names[i]) == 0)
			return true;
	return k->type == CONF_TYPE_TEXT || (!k->names && !strchr(text, ' '));
}

/* A copy; a path in its normalised form, so that the same file has the same text. */
static const char *value_stored(const struct conf_key *k, const char *text, struct arena *a)
{
	return k->type == CONF_TYPE_PATH ? conf_path_plain(text, a) : arena_strdup(a, text);
}

static enum conf_set value_set_list(
	const struct conf_key *k, struct conf_list *l, const char *text, struct arena *a)
{
	char item[CONF_LINE_MAX + 1];

	if (!conf_value_separators(k)) {
		if (!value_string_ok(k, text))
			return CONF_SET_BAD;
		return conf_list_add(l, a, value_stored(k, text, a)) ? CONF_SET_OK : CONF_SET_FULL;
	}
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t len = strcspn(text, separators);

		memcpy(item, text, len);
		item[len] = '\0';
		text += len;
		if (!value_string_ok(k, item))
			return CONF_SET_BAD;
		if (!conf_list_add(l, a, item))
			return CONF_SET_FULL;
	}
	return CONF_SET_OK;
}

static bool value_set_number(const struct conf_key *k, uint64_t *to, const char *text)
{
	uint64_t v;
	int r;

	if (k->zero && strcmp(text, k->zero) == 0) {
		*to = 0;
		return true;
	}
	if (k->type == CONF_TYPE_SIZE)
		r = text_parse_size(text, &v);
	else if (k->type == CONF_TYPE_TIME)
		r = text_parse_time(text, &v);
	else
		r = text_parse_uint(text, 0, UINT64_MAX, &v);
	if (r < 0 || v < k->min || (k->max && v > k->max) || (k->step && v % k->step))
		return false;
	*to = v;
	return true;
}

static bool value_set_bool(const struct conf_key *k, bool *to, const char *text)
{
	for (size_t i = 0; i < k->n_names; i++)
		if (strcmp(text, k->names[i]) == 0) {
			*to = i;
			return true;
		}
	return text_parse_bool(text, to) == 0;
}

static bool value_set_name(const struct conf_key *k, unsigned *to, const char *text)
{
	for (unsigned i = 0; i < k->n_names; i++)
		if (streq(text, k->names[i])) {
			*to = i;
			return true;
		}
	return false;
}

/* "yes" and "no" among the names may be spelled as in a boolean. */
static bool value_set_enum(const struct conf_key *k, unsigned *to, const char *text)
{
	bool yes;

	return value_set_name(k, to, text) ||
	       (text_parse_bool(text, &yes) == 0 && value_set_name(k, to, yes ? "yes" : "no"));
}

static bool value_set_mac(struct conf_mac *to, const char *text)
{
	struct conf_mac mac = { .set = true };
	static const uint8_t zero[ETH_ALEN];

	if (!text_mac_parse(text, mac.byte) || memcmp(mac.byte, zero, ETH_ALEN) == 0 ||
		(mac.byte[0] & 1)) /* a multicast address is not valid for a NIC */
		return false;
	*to = mac;
	return true;
}

/* Splits text at the character and parses the IPv4 address before it; returns the rest. */
static const char *value_address_before(const char *text, char end, uint32_t *address)
{
	char first[INET_ADDRSTRLEN];
	const char *p = strchr(text, end);

	if (!p || (size_t)(p - text) >= sizeof first)
		return NULL;
	memcpy(first, text, (size_t)(p - text));
	first[p - text] = '\0';
	return value_parse_ipv4(first, address) ? p + 1 : NULL;
}

/* "this host", loopback, multicast */
static bool value_is_for_hosts(uint32_t address)
{
	const uint32_t first = address >> 24;

	return first != 0 && first != 127 && (first < 224 || first > 239);
}

static bool value_set_subnet(struct conf_subnet *to, const char *text)
{
	struct conf_subnet net = { .set = true };
	const char *rest;
	uint64_t prefix;
	uint32_t host;

	if (strcmp(text, "auto") == 0) {
		*to = (struct conf_subnet){ 0 };
		return true;
	}
	rest = value_address_before(text, '/', &net.address);
	if (!rest || text_parse_uint(rest, 8, 30, &prefix) < 0 || !value_is_for_hosts(net.address))
		return false;
	net.prefix = (unsigned)prefix;
	host = UINT32_MAX >> net.prefix;
	if ((net.address & host) == 0 || (net.address & host) == host)
		return false;
	*to = net;
	return true;
}

static bool value_set_range(struct conf_range *to, const char *text)
{
	struct conf_range range = { .set = true };
	const char *rest = value_address_before(text, '-', &range.first);

	if (!rest || !value_parse_ipv4(rest, &range.last) || range.first > range.last)
		return false;
	*to = range;
	return true;
}

static bool value_set_string(
	const struct conf_key *k, const char **to, const char *text, struct arena *a)
{
	if (!value_string_ok(k, text))
		return false;
	*to = value_stored(k, text, a);
	return true;
}

static bool value_set_scalar(const struct conf_key *k, void *to, const char *text, struct arena *a)
{
	if (conf_key_is_string(k))
		return value_set_string(k, to, text, a);
	if (conf_key_is_number(k))
		return value_set_number(k, to, text);
	if (k->type == CONF_TYPE_BOOL)
		return value_set_bool(k, to, text);
	if (k->type == CONF_TYPE_ENUM)
		return value_set_enum(k, to, text);
	if (k->type == CONF_TYPE_MAC)
		return value_set_mac(to, text);
	return k->type == CONF_TYPE_SUBNET ? value_set_subnet(to, text) : value_set_range(to, text);
}

enum conf_set conf_value_set(
	const struct conf_key *k, void *object, const char *text, struct arena *a)
{
	if (k->type == CONF_TYPE_PATH && value_is_quoted(text))
		return CONF_SET_BAD;
	if (k->list)
		return value_set_list(k, conf_value_field(k, object), text, a);
	return value_set_scalar(k, conf_value_field(k, object), text, a) ? CONF_SET_OK
									 : CONF_SET_BAD;
}

/* The size that was meant by "10GB", "10 G", "10GiB", or "512" where bytes are too few; false: none. */
static bool value_size_meant(const struct conf_key *k, const char *text, char meant[32])
{
	static const char units[] = "KMGT";
	const int digits = (int)strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " ");
	const char *letter = *unit ? strchr(units, toupper((unsigned char)*unit)) : "M", *rest;
	uint64_t bytes;

	if (k->type != CONF_TYPE_SIZE || k->list || !digits || digits > 15 || !letter)
		return false;
	rest = *unit ? unit + 1 : unit;
	if (*rest && strcasecmp(rest, "b") != 0 && strcasecmp(rest, "ib") != 0)
		return false;
	snprintf(meant, 32, "%.*s%c", digits, text, *letter);
	return value_set_number(k, &bytes, meant);
}

void conf_value_refuse(const struct conf_key *k, const char *text, const struct conf_place *place,
	const char *name, struct conf_problems *p)
{
	enum { SHOWN = 80 };
	struct buf type = BUF_INIT;
	char meant[32];

	conf_key_type(k, &type);
	if (value_is_quoted(text))
		conf_problem(p, place, name, "no quotes here: write %s=%.*s", name,
			(int)strlen(text) - 2, text + 1);
	else if (k->type == CONF_TYPE_PATH && conf_path_climbs(text))
		conf_problem(p, place, name, "'..' is not allowed in a path");
	else if (k->type == CONF_TYPE_PATH && !k->what)
		conf_problem(p, place, name, "'%.*s' does not name a file", SHOWN, text);
	else if (strlen(text) <= SHOWN && value_size_meant(k, text, meant))
		conf_problem(
			p, place, name, "'%s' is not %s; did you mean %s?", text, type.data, meant);
	else if (strlen(text) <= SHOWN)
		conf_problem(p, place, name, "'%s' is not %s", text, type.data);
	else
		conf_problem(p, place, name, "this is not %s", type.data);
	buf_release(&type);
}

static size_t value_field_size(const struct conf_key *k)
{
	static const size_t sizes[CONF_TYPES] = {
		[CONF_TYPE_BOOL] = sizeof(bool),
		[CONF_TYPE_ENUM] = sizeof(unsigned),
		[CONF_TYPE_MAC] = sizeof(struct conf_mac),
		[CONF_TYPE_SUBNET] = sizeof(struct conf_subnet),
		[CONF_TYPE_RANGE] = sizeof(struct conf_range),
	};

	if (k->list)
		return sizeof(struct conf_list);
	return conf_key_is_string(k)   ? sizeof(char *)
	       : conf_key_is_number(k) ? sizeof(uint64_t)
				       : sizes[k->type];
}

void conf_value_reset(const struct conf_key *k, void *object, struct arena *a)
{
	memset(conf_value_field(k, object), 0, value_field_size(k));
	if (k->preset)
		conf_value_set(k, object, k->preset, a);
}

size_t conf_value_count(const struct conf_key *k, const void *object)
{
	const void *f = value_const_field(k, object);

	if (k->list)
		return ((const struct conf_list *)f)->n;
	if (conf_key_is_string(k))
		return *(const char *const *)f != NULL;
	if (conf_key_is_number(k))
		return *(const uint64_t *)f || k->preset;
	if (k->type == CONF_TYPE_MAC)
		return ((const struct conf_mac *)f)->set;
	return k->type != CONF_TYPE_RANGE || ((const struct conf_range *)f)->set;
}
