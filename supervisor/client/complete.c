/* SPDX-License-Identifier: MIT */
#include "supervisor/client/complete.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/schema.h"
#include "supervisor/api/api.h"
#include "supervisor/client/args.h"
#include "supervisor/client/conn.h"
#include "supervisor/client/option.h"
#include "supervisor/client/value.h"

struct line {
	const struct api_verb *verb;
	const char *group;	   /* "net" of "net ..." */
	const char *first_operand; /* the target, if there is one */
	size_t operands;
	bool wants_value;		/* the last word is the value of an option */
	const struct api_arg *value_of; /* which option; NULL: one of the client's own */
	const char *last;
	size_t last_len;
};

static void complete_add(struct buf *b, const struct line *l, const char *word, size_t len)
{
	if (len >= l->last_len && strncmp(word, l->last, l->last_len) == 0) {
		buf_add(b, word, len);
		buf_addc(b, '\n');
	}
}

static void complete_read_option(struct line *l, const char *word, bool next_is_last)
{
	struct option o = option_split(word);
	const struct api_arg *arg;
	const char *option;

	for (size_t i = 0; (option = option_at(l->verb, i, &arg)); i++)
		if (option_is(option, &o)) {
			l->wants_value = option_value_name(option) && !o.value && next_is_last;
			l->value_of = arg;
			return;
		}
}

static bool complete_takes_next(const struct line *l, const char *word)
{
	struct line probe = { .verb = l->verb };

	complete_read_option(&probe, word, true);
	return probe.wants_value;
}

static void complete_read_word(struct line *l, const char *word)
{
	if (l->verb) {
		if (l->operands++ == 0)
			l->first_operand = word;
	} else if (l->group) {
		_cleanup_(free_ptr) char *both = xasprintf("%s %s", l->group, word);

		l->verb = api_verb_by_command(both);
	} else if (strcmp(word, "help") != 0) {
		l->verb = api_verb_by_command(word);
		l->group = l->verb ? NULL : word;
	}
}

static void complete_read_line(struct line *l, const char *const *words, size_t n)
{
	l->last = n ? words[n - 1] : "";
	l->last_len = strlen(l->last);
	for (size_t i = 0; i + 1 < n; i++) {
		if (words[i][0] != '-')
			complete_read_word(l, words[i]);
		else if (i + 2 < n)
			i += complete_takes_next(l, words[i]);
		else
			complete_read_option(l, words[i], true);
	}
}

static void complete_add_options(struct buf *b, const struct line *l)
{
	const struct api_arg *arg;
	const char *rest, *s;
	size_t len;

	for (size_t i = 0; (rest = option_at(l->verb, i, &arg)); i++)
		while ((s = option_spelling(&rest, &len)))
			complete_add(b, l, s, len);
}

/* One-word aliases, once a letter is typed: "shut" must not end up as shutdown-all, which takes no
 * name and asks nothing. */
static void complete_add_aliases(struct buf *b, const struct line *l)
{
	for (size_t i = 0; l->last_len && i < api_verbs_n; i++)
		for (size_t a = 0; a < API_ALIASES_MAX && api_verbs[i].aliases[a]; a++) {
			const char *alias = api_verbs[i].aliases[a];

			if (!strpbrk(alias, "- "))
				complete_add(b, l, alias, strlen(alias));
		}
}

/* First words, without duplicates; or the second words of a group. */
static void complete_add_commands(struct buf *b, const struct line *l)
{
	const char *before = "";

	if (!l->group)
		complete_add(b, l, "help", strlen("help"));
	for (size_t i = 0; i < api_verbs_n; i++) {
		const char *word = api_verbs[i].command;
		size_t len = word ? strcspn(word, " ") : 0;

		if (!word)
			continue;
		if (l->group) {
			if (word[len] == ' ' && strlen(l->group) == len &&
				strncmp(word, l->group, len) == 0)
				complete_add(b, l, word + len + 1, strlen(word + len + 1));
		} else if (strncmp(word, before, len) != 0 || before[len] != ' ') {
			complete_add(b, l, word, len);
		}
		before = word;
	}
	if (!l->group)
		complete_add_aliases(b, l);
}

static void complete_add_choices(struct buf *b, const struct line *l, const struct api_arg *arg)
{
	for (size_t i = 0; arg->choices && arg->choices[i]; i++)
		complete_add(b, l, arg->choices[i], strlen(arg->choices[i]));
}

/* The positional argument at the last word, or NULL if there is one too many. */
static const struct api_arg *complete_current_operand(const struct line *l)
{
	bool many = l->verb->target == API_VMS || l->verb->target == API_NETWORKS;
	size_t skip = many ? 0 : l->operands;
	const struct api_arg *arg;

	for (size_t i = 0; (arg = api_verb_arg(l->verb, i)); i++)
		if (option_is_positional(arg) && (skip-- == 0 || arg->type == API_WORDS))
			return arg;
	return NULL;
}

/* VM.Memory= and the like; of sections with ids as far as the id. */
static void complete_add_keys(struct buf *b, const struct line *l, const char *end)
{
	for (size_t i = 0; i < conf_vm_schema.sections; i++) {
		const struct conf_section *s = &conf_vm_schema.section[i];
		_cleanup_(free_ptr) char *dot = xasprintf("%s.", s->name);

		if (s->size)
			complete_add(b, l, dot, strlen(dot));
		for (size_t k = 0; !s->size && k < s->keys; k++) {
			_cleanup_(free_ptr) char *key =
				xasprintf("%s%s%s", dot, s->key[k].name, end);

			complete_add(b, l, key, strlen(key));
		}
	}
}

static void complete_add_operands(
	struct buf *b, const struct line *l, complete_names_fn *names, void *data)
{
	const struct api_arg *arg = complete_current_operand(l);
	enum api_target target = l->verb->target;
	struct buf found = BUF_INIT;

	if (!arg)
		return;
	if (arg->choices)
		complete_add_choices(b, l, arg);
	else if (streq(arg->name, "changes") || streq(arg->name, "keys"))
		complete_add_keys(b, l, *arg->name == 'c' ? "=" : "");
	else if (streq(arg->name, "name") && (target == API_NETWORK || target == API_NETWORKS))
		names(data, "net-list", NULL, "name", &found);
	else if (streq(arg->name, "name") || streq(arg->name, "pattern"))
		names(data, "vm-list", NULL, "name", &found);
	else if (streq(arg->name, "image"))
		names(data, "image-list", NULL, "name", &found);
	else if (streq(arg->name, "snapshot") && !streq(l->verb->execute, "snapshot-create"))
		names(data, "snapshot-list", l->first_operand, "snapshot", &found);
	for (const char *p = found.data; p && *p;) {
		size_t len = strcspn(p, "\n");

		complete_add(b, l, p, len);
		p += len + (p[len] == '\n');
	}
	buf_release(&found);
}

void complete_words(
	struct buf *b, const char *const *words, size_t n, complete_names_fn *names, void *data)
{
	struct line l = { 0 };

	complete_read_line(&l, words, n);
	if (l.wants_value) {
		if (l.value_of)
			complete_add_choices(b, &l, l.value_of);
	} else if (l.last[0] == '-') {
		complete_add_options(b, &l);
	} else if (!l.verb) {
		complete_add_commands(b, &l);
	} else {
		complete_add_operands(b, &l, names, data);
	}
}

/* Names from the daemon; completion cannot show its errors. */
static void complete_ask_names(
	void *data, const char *execute, const char *target, const char *column, struct buf *b)
{
	json_t *arguments = json_object(), *list = NULL, *row;
	struct conn conn = CONN_INIT;
	struct err ignored = ERR_INIT;
	size_t i;

	if (target)
		json_object_set_new(arguments, "name", json_string(target));
	if (conn_open(&conn, conn_run_dir(data), &ignored) == 0)
		list = conn_call(&conn, execute, arguments, &ignored);
	json_array_foreach (json_object_get(list, "rows"), i, row) {
		const char *name = json_string_value(value_cell(list, row, column));

		if (name)
			buf_printf(b, "%s\n", name);
	}
	json_decref(list);
	json_decref(arguments);
	conn_release(&conn);
}

int complete_run(const char *const *words, size_t n)
{
	struct buf b = BUF_INIT;
	const char *run = NULL;

	for (size_t i = 0; i + 1 < n; i++)
		if (strcmp(words[i], "--run") == 0)
			run = words[i + 1];
	complete_words(&b, words, n, complete_ask_names, (void *)(uintptr_t)run);
	file_write_all(STDOUT_FILENO, b.data, b.len);
	buf_release(&b);
	return EXIT_SUCCESS;
}
