/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 },
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ "T", UINT64_C(1) << 40 },
};

static const struct unit time_units[] = {
	{ "", 1000 },
	{ "ms", 1 },
	{ "s", 1000 },
	{ "sec", 1000 },
	{ "min", 60000 },
	{ "h", 3600000 },
	{ "hr", 3600000 },
	{ "d", 86400000 },
	{ "w", 604800000 },
};

/* Parses digits, then letters: one number with its unit. Returns the rest, or NULL. */
static const char *text_number_unit(
	const char *s, const struct unit *units, size_t n, uint64_t *value, bool *overflow)
{
	uint64_t v = 0;
	size_t len = 0;

	if (!isdigit((unsigned char)*s))
		return NULL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			*overflow = true;
	while (isalpha((unsigned char)s[len]))
		len++;
	for (size_t i = 0; i < n; i++)
		if (strlen(units[i].name) == len && strncmp(units[i].name, s, len) == 0) {
			if (__builtin_mul_overflow(v, units[i].factor, value))
				*overflow = true;
			return s + len;
		}
	return NULL;
}

int text_parse_size(const char *s, uint64_t *bytes)
{
	bool overflow = false;
	uint64_t v;
	const char *rest = text_number_unit(s, size_units, ARRAY_SIZE(size_units), &v, &overflow);

	if (!rest || *rest)
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	*bytes = v;
	return 0;
}

int text_parse_time(const char *s, uint64_t *ms)
{
	bool overflow = false;
	uint64_t sum = 0, v;

	if (strcmp(s, "infinity") == 0) {
		*ms = UINT64_MAX;
		return 0;
	}
	do {
		s = text_number_unit(s, time_units, ARRAY_SIZE(time_units), &v, &overflow);
		if (!s)
			return -EINVAL;
		if (overflow || __builtin_add_overflow(sum, v, &sum) || sum == UINT64_MAX)
			return -ERANGE;
		while (*s == ' ')
			s++;
	} while (*s);
	*ms = sum;
	return 0;
}

int text_parse_bool(const char *s, bool *value)
{
	static const char *const words[2][4] = {
		{ "no", "false", "off", "0" },
		{ "yes", "true", "on", "1" },
	};

	for (int v = 0; v < 2; v++)
		for (size_t i = 0; i < 4; i++)
			if (strcasecmp(s, words[v][i]) == 0) {
				*value = v;
				return 0;
			}
	return -EINVAL;
}

int text_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *value)
{
	static const struct unit plain[] = { { "", 1 } };
	bool overflow = false;
	uint64_t v;
	const char *rest = text_number_unit(s, plain, 1, &v, &overflow);

	if (!rest || *rest)
		return -EINVAL;
	if (overflow || v < min || v > max)
		return -ERANGE;
	*value = v;
	return 0;
}

const char *text_size(char *buf, size_t len, uint64_t bytes)
{
	size_t u = 0;

	while (u + 1 < ARRAY_SIZE(size_units) && bytes >= size_units[u + 1].factor)
		u++;
	if (bytes % size_units[u].factor == 0)
		snprintf(buf, len, "%" PRIu64 "%s", bytes / size_units[u].factor,
			size_units[u].name);
	else
		snprintf(buf, len, "%.1f%s", (double)bytes / (double)size_units[u].factor,
			size_units[u].name);
	return buf;
}

static const char *text_exact(char *buf, size_t len, uint64_t v, const struct unit *units, size_t n)
{
	const struct unit *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (v && v % units[i].factor == 0 && (!best || units[i].factor > best->factor))
			best = &units[i];
	if (best)
		snprintf(buf, len, "%" PRIu64 "%s", v / best->factor, best->name);
	else
		snprintf(buf, len, "0");
	return buf;
}

const char *text_size_exact(char *buf, size_t len, uint64_t bytes)
{
	return text_exact(buf, len, bytes, size_units, ARRAY_SIZE(size_units));
}

const char *text_time_exact(char *buf, size_t len, uint64_t ms)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 },
		{ "h", 3600000 } };

	if (ms == UINT64_MAX) {
		snprintf(buf, len, "infinity");
		return buf;
	}
	return text_exact(buf, len, ms, units, ARRAY_SIZE(units));
}

const char *text_duration(char *buf, size_t len, uint64_t ms)
{
	uint64_t s = ms / 1000;

	if (s >= 86400)
		snprintf(buf, len, "%" PRIu64 "d %" PRIu64 "h", s / 86400, s % 86400 / 3600);
	else if (s >= 3600)
		snprintf(buf, len, "%" PRIu64 "h %" PRIu64 "min", s / 3600, s % 3600 / 60);
	else if (s >= 60)
		snprintf(buf, len, "%" PRIu64 "min %" PRIu64 "s", s / 60, s % 60);
	else
		snprintf(buf, len, "%" PRIu64 "s", s);
	return buf;
}

size_t text_utf8(const char *s, size_t left, uint32_t *value)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	size_t n = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	uint32_t v = n == 1 ? *p : *p & (0x7fU >> n);

	if (n > left || (*p >= 0x80 && *p < 0xc2) || *p > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fU);
	}
	if (v < lowest[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*value = v;
	return n;
}

/* Length of the character at s, or 0 for invalid, ASCII, C1, and direction marks, which reorder
 * what a person reads. */
static size_t text_utf8_printable(const char *s, size_t left)
{
	uint32_t v;
	size_t n = text_utf8(s, left, &v);

	if (n == 0 || v < 0xa0 || (v >= 0x200e && v <= 0x200f) || (v >= 0x2028 && v <= 0x202e) ||
		(v >= 0x2066 && v <= 0x2069))
		return 0;
	return n;
}

char *text_escape(const char *data, size_t len, bool keep_lines)
{
	const unsigned char *p = (const unsigned char *)data;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < len;) {
		size_t n = 1;

		if ((p[i] >= 0x20 && p[i] < 0x7f) || (keep_lines && (p[i] == '\n' || p[i] == '\t')))
			buf_addc(&b, (char)p[i]);
		else if ((n = text_utf8_printable(data + i, len - i)))
			buf_add(&b, p + i, n);
		else {
			buf_printf(&b, "\\x%02x", p[i]);
			n = 1;
		}
		i += n;
	}
	return buf_steal(&b);
}

void text_clean(char *s)
{
	unsigned char *p = (unsigned char *)s;

	for (size_t left = strlen(s), n; left > 0; p += n, left -= n) {
		n = *p >= 0x20 && *p < 0x7f ? 1 : text_utf8_printable((char *)p, left);
		if (n == 0) {
			*p = *p == '\t' ? ' ' : '?';
			n = 1;
		}
	}
}

void text_shorten(char *to, size_t size, const char *from)
{
	static const char gap[] = "...";
	const size_t len = strlen(from);
	size_t head = size / 3, tail = size - 1 - strlen(gap) - head;

	if (len < size) {
		memcpy(to, from, len + 1);
		return;
	}
	while (head && ((unsigned char)from[head] & 0xc0) == 0x80)
		head--;
	while (tail && ((unsigned char)from[len - tail] & 0xc0) == 0x80)
		tail--;
	snprintf(to, size, "%.*s%s%s", (int)head, from, gap, from + len - tail);
}

const char *text_mac(char buf[TEXT_MAC], const uint8_t mac[6])
{
	snprintf(buf, TEXT_MAC, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		mac[4], mac[5]);
	return buf;
}

bool text_mac_parse(const char *s, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++, s += 3) {
		if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
			s[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)strtoul((const char[]){ s[0], s[1], '\0' }, NULL, 16);
	}
	return true;
}

uint32_t text_hash32(const void *data, size_t len)
{
	uint32_t h = UINT32_C(2166136261);

	for (const uint8_t *p = data; len > 0; len--)
		h = (h ^ *p++) * UINT32_C(16777619);
	return h;
}

uint64_t text_hash64(const void *data, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (const uint8_t *p = data; len > 0; len--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

char *text_shell_quote(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_";
	struct buf b = BUF_INIT;

	if (*s && strspn(s, plain) == strlen(s))
		return xstrdup(s);
	buf_addc(&b, '\'');
	for (; *s; s++)
		if (*s == '\'')
			buf_adds(&b, "'\\''");
		else
			buf_addc(&b, *s);
	buf_addc(&b, '\'');
	return buf_steal(&b);
}

static bool text_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

enum { DISTANCE_MAX = 64 };

/* Edits between two words, ignoring case; two neighbours swapped are one edit. Long names are never
 * near. */
static size_t text_distance(const char *a, const char *b)
{
	size_t rows[3][DISTANCE_MAX + 1], la = strlen(a), lb = strlen(b);

	if (la > DISTANCE_MAX || lb > DISTANCE_MAX)
		return DISTANCE_MAX;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		const size_t *above = rows[(i - 1) % 3], *higher = rows[(i + 1) % 3];
		size_t *row = rows[i % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			row[j] = above[j - 1] + !text_same(a[i - 1], b[j - 1]);
			if (above[j] + 1 < row[j])
				row[j] = above[j] + 1;
			if (row[j - 1] + 1 < row[j])
				row[j] = row[j - 1] + 1;
			if (i > 1 && j > 1 && text_same(a[i - 1], b[j - 2]) &&
				text_same(a[i - 2], b[j - 1]) && higher[j - 2] + 1 < row[j])
				row[j] = higher[j - 2] + 1;
		}
	}
	return rows[la % 3][lb];
}

const char *text_nearest(const char *s, const char *const *names, size_t n)
{
	size_t len = strlen(s), best = len < 3 ? 1 : len < 6 ? 2 : 3;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d;

		if (!names[i])
			continue;
		d = text_distance(s, names[i]);
		if (d < best || (found && d == best && strncasecmp(s, names[i], len) == 0)) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
