/* SPDX-License-Identifier: MIT */
#include "supervisor/check/ruleset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { JUMPS_MAX = 16, STEPS_MAX = 100000 /* about 10 ms; enough for Kubernetes */ };

enum verdict { NEXT, RETURN, ACCEPT, DROP };

struct walk {
	const json_t *list; /* the "nftables" array */
	const struct ruleset_packet *packet;
	const char *family, *table;
	unsigned *steps; /* taken so far */
};

static const char *ruleset_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* --- matches --- */

/* The name of a match's left side: "iifname", "ct state", "udp dport"; NULL: something else. */
static const char *ruleset_field_name(const json_t *left, char buf[64])
{
	const json_t *meta = json_object_get(left, "meta"), *ct = json_object_get(left, "ct"),
		     *payload = json_object_get(left, "payload");

	if (meta)
		return ruleset_text(meta, "key");
	if (ct && ruleset_text(ct, "key"))
		snprintf(buf, 64, "ct %.40s", ruleset_text(ct, "key"));
	else if (payload && ruleset_text(payload, "protocol") && ruleset_text(payload, "field"))
		snprintf(buf, 64, "%.30s %.30s", ruleset_text(payload, "protocol"),
			ruleset_text(payload, "field"));
	else
		return NULL;
	return buf;
}

static const char *ruleset_field_value(const struct ruleset_packet *p, const char *name)
{
	for (size_t i = 0; name && i < RULESET_FIELDS_MAX && p->field[i].name; i++)
		if (streq(p->field[i].name, name))
			return p->field[i].value;
	return NULL;
}

static bool ruleset_in_range(const json_t *range, const char *value)
{
	long long v = strtoll(value, NULL, 10);

	return json_is_integer(json_array_get(range, 0)) &&
	       v >= json_integer_value(json_array_get(range, 0)) &&
	       v <= json_integer_value(json_array_get(range, 1));
}

/* right may be a word, a number, a prefix such as "virbr*", a range, or a set of these. */
static bool ruleset_fits(const json_t *right, const char *value)
{
	const json_t *set = json_object_get(right, "set"), *range = json_object_get(right, "range"),
		     *one;
	const char *s = json_string_value(right);
	char number[32];
	size_t i, len;

	if (json_is_integer(right)) {
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(right));
		return streq(number, value);
	}
	if (s) {
		len = strlen(s);
		return len && s[len - 1] == '*' ? strncmp(s, value, len - 1) == 0 : streq(s, value);
	}
	if (range)
		return ruleset_in_range(range, value);
	json_array_foreach (set ? set : right, i, one)
		if (ruleset_fits(one, value))
			return true;
	return set && !json_is_array(set) ? ruleset_fits(set, value) : false;
}

static bool ruleset_is_met(const json_t *match, const struct ruleset_packet *p)
{
	const char *op = ruleset_text(match, "op"), *value;
	char buf[64];

	value = ruleset_field_value(p, ruleset_field_name(json_object_get(match, "left"), buf));
	if (!value || !op)
		return false;
	if (streq(op, "!="))
		return !ruleset_fits(json_object_get(match, "right"), value);
	return (streq(op, "==") || streq(op, "in")) &&
	       ruleset_fits(json_object_get(match, "right"), value);
}

/* --- chains --- */

static enum verdict ruleset_walk_chain(const struct walk *w, const char *chain, unsigned depth);

static enum verdict ruleset_walk_jump(
	const struct walk *w, const json_t *jump, bool back, unsigned depth)
{
	enum verdict v = ruleset_walk_chain(w, ruleset_text(jump, "target"), depth + 1);

	/* goto does not return: the rest of this chain is skipped */
	return v == NEXT || v == RETURN ? (back ? NEXT : RETURN) : v;
}

/* Gets the verdict of an expression; false if it has none. */
static bool ruleset_decides(
	const struct walk *w, const json_t *expr, unsigned depth, enum verdict *v)
{
	const json_t *o;

	if (json_object_get(expr, "accept"))
		*v = ACCEPT;
	else if (json_object_get(expr, "drop") || json_object_get(expr, "reject"))
		*v = DROP;
	else if (json_object_get(expr, "return"))
		*v = RETURN;
	else if ((o = json_object_get(expr, "jump")))
		*v = ruleset_walk_jump(w, o, true, depth);
	else if ((o = json_object_get(expr, "goto")))
		*v = ruleset_walk_jump(w, o, false, depth);
	else
		return false;
	return true;
}

/* For example: ct state vmap { established : accept, invalid : drop } */
static enum verdict ruleset_walk_map(const struct walk *w, const json_t *map, unsigned depth)
{
	const json_t *pairs = json_object_get(json_object_get(map, "data"), "set"), *pair;
	enum verdict v = NEXT;
	const char *value;
	char buf[64];
	size_t i;

	value = ruleset_field_value(
		w->packet, ruleset_field_name(json_object_get(map, "key"), buf));
	json_array_foreach (pairs, i, pair)
		if (value && ruleset_fits(json_array_get(pair, 0), value)) {
			ruleset_decides(w, json_array_get(pair, 1), depth, &v);
			break;
		}
	return v;
}

static bool ruleset_is_silent(const json_t *expr)
{
	static const char *const silent[] = { "counter", "log", "mangle" };

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		if (json_object_get(expr, silent[i]))
			return true;
	return false;
}

static enum verdict ruleset_walk_rule(const struct walk *w, const json_t *exprs, unsigned depth)
{
	const json_t *expr, *match;
	enum verdict v;
	size_t i;

	json_array_foreach (exprs, i, expr) {
		match = json_object_get(expr, "match");
		if (match ? ruleset_is_met(match, w->packet) : ruleset_is_silent(expr))
			continue;
		if (json_object_get(expr, "vmap"))
			return ruleset_walk_map(w, json_object_get(expr, "vmap"), depth);
		return !match && ruleset_decides(w, expr, depth, &v) ? v : NEXT;
	}
	return NEXT;
}

static bool ruleset_is_in(const json_t *o, const char *family, const char *table)
{
	return streq(ruleset_text(o, "family"), family) && streq(ruleset_text(o, "table"), table);
}

static enum verdict ruleset_walk_chain(const struct walk *w, const char *chain, unsigned depth)
{
	const json_t *entry;
	size_t i;

	if (!chain || depth > JUMPS_MAX)
		return NEXT;
	json_array_foreach (w->list, i, entry) {
		const json_t *rule = json_object_get(entry, "rule");
		enum verdict v;

		if (++*w->steps > STEPS_MAX)
			break;
		if (!rule || !ruleset_is_in(rule, w->family, w->table) ||
			!streq(ruleset_text(rule, "chain"), chain))
			continue;
		v = ruleset_walk_rule(w, json_object_get(rule, "expr"), depth);
		if (v != NEXT)
			return v;
	}
	return NEXT;
}

static bool ruleset_is_met_by(const struct ruleset_packet *p, const json_t *chain)
{
	const char *family = ruleset_text(chain, "family"), *table = ruleset_text(chain, "table");

	if (!streq(ruleset_text(chain, "type"), "filter") ||
		!streq(ruleset_text(chain, "hook"), p->hook) || !table ||
		strncmp(table, "vmkeep", 6) == 0)
		return false;
	if (streq(family, "bridge"))
		return p->bridged;
	return p->routed && (streq(family, "ip") || streq(family, "inet"));
}

/* The order of base chains does not matter: one drop is enough. */
bool ruleset_drops(const json_t *doc, const struct ruleset_packet *p, struct ruleset_drop *by)
{
	const json_t *list = json_object_get(doc, "nftables"), *entry;
	unsigned steps = 0;
	size_t i;

	json_array_foreach (list, i, entry) {
		const json_t *chain = json_object_get(entry, "chain");
		enum verdict v;

		if (!chain || !ruleset_is_met_by(p, chain))
			continue;
		struct walk w = { list, p, ruleset_text(chain, "family"),
			ruleset_text(chain, "table"), &steps };

		v = ruleset_walk_chain(&w, ruleset_text(chain, "name"), 0);
		*by = (struct ruleset_drop){ w.family, w.table, ruleset_text(chain, "name"),
			v != DROP };
		if (steps > STEPS_MAX)
			return false; /* too large to tell */
		if (v == DROP || (v != ACCEPT && streq(ruleset_text(chain, "policy"), "drop")))
			return true;
	}
	return false;
}

bool ruleset_has_chain(const json_t *doc, const char *family, const char *table, const char *chain)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(doc, "nftables"), i, entry) {
		const json_t *o = json_object_get(entry, "chain");

		if (o && ruleset_is_in(o, family, table) && streq(ruleset_text(o, "name"), chain))
			return true;
	}
	return false;
}
