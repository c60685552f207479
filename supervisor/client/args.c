/* SPDX-License-Identifier: MIT */
#include "supervisor/client/args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/help.h"
#include "supervisor/client/virt_install.h"

enum { OPTIONS_MAX = ARGS_COMMONS + API_ARGS_MAX + 2 /* target and wait */ };

struct parser {
	struct args *a;
	const char *const *word;
	size_t words;
	const char **operand;
	size_t operands;
};

static void args_usage_hint(struct err *e, const struct api_verb *verb)
{
	struct buf b = BUF_INIT;

	help_usage(&b, verb);
	err_hint(e, "usage: vmkeep %s", b.data);
	buf_release(&b);
}

/* Long options are compared without their dashes, which would make all of them similar. */
static const char *args_nearest_option(const struct parser *p, const char *word)
{
	static char found[64];
	const char *near, *rest, *s;
	const struct api_arg *arg;
	char *name[OPTIONS_MAX];
	size_t n = 0, len;

	for (size_t i = 0; (rest = option_at(p->a->verb, i, &arg)); i++)
		while (n < ARRAY_SIZE(name) && (s = option_spelling(&rest, &len)))
			if (strncmp(s, "--", 2) == 0 && !(arg && arg->harms))
				name[n++] = xstrndup(s + 2, len - 2);
	near = text_nearest(word, (const char *const *)name, n);
	snprintf(found, sizeof found, "--%s", near ? near : "");
	while (n)
		free(name[--n]);
	return near ? found : NULL;
}

/* After the first word of a program with options of its own: "guest exec web1 uname -a". */
static bool args_is_of_program(const struct parser *p)
{
	const struct api_arg *arg;

	for (size_t i = 0; p->operands > 1 && p->a->verb && (arg = api_verb_arg(p->a->verb, i));
		i++)
		if (arg->type == API_WORDS && streq(arg->option, "COMMAND..."))
			return true;
	return false;
}

static int args_unknown_option(const struct parser *p, const struct option *o, struct err *e)
{
	_cleanup_(free_ptr) char *word = xstrndup(o->word, o->len);
	const char *near = args_nearest_option(p, word + strspn(word, "-"));

	err_set(e, ERR_USAGE, "unknown option '%s'", word);
	if (args_is_of_program(p))
		return err_hint(e, "put -- before the command: vmkeep %s %s -- COMMAND...",
			p->a->verb->command, api_verb_arg(p->a->verb, 0)->option);
	if (near)
		return err_hint(e, "did you mean '%s'?", near);
	if (p->a->verb)
		args_usage_hint(e, p->a->verb);
	return -EINVAL;
}

/* The value of an option: attached, or the next word, which is then consumed. */
static int args_take_value(
	struct parser *p, const char *option, struct option *o, size_t *i, struct err *e)
{
	const char *name = option_value_name(option);

	if (!name || o->value)
		return 0;
	if (*i + 1 >= p->words) {
		err_set(e, ERR_USAGE, "option '%.*s' needs a value", (int)o->len, o->word);
		return err_hint(e, "write %.*s %s", (int)o->len, o->word, name);
	}
	o->value = p->word[++*i];
	return 0;
}

static int args_set_argument(
	struct args *a, const struct api_arg *arg, const char *text, struct err *e)
{
	json_t *v = option_value(arg, text, e), *to = arg->client ? a->own : a->arguments;

	if (!v)
		return err_wrap(e, -EINVAL, "%s", arg->option);
	if (arg->type == API_WORDS && json_object_get(to, arg->name)) {
		json_array_extend(json_object_get(to, arg->name), v);
		json_decref(v);
		return 0;
	}
	return json_object_set_new(to, arg->name, v);
}

/* "--no-wait" sets "wait" to false, but "--no-input" is that argument's own name. */
static const char *args_switch_value(const struct api_arg *arg, const struct option *o)
{
	static const char no[] = "--no-";

	return strncmp(o->word, no, strlen(no)) == 0 && strncmp(arg->name, no + 2, 3) != 0 ? "no"
											   : "yes";
}

static int args_parse_common(
	struct parser *p, enum args_common_id id, struct option *o, size_t *i, struct err *e)
{
	bool takes = option_value_name(args_common[id].option);

	if (o->value && !takes)
		return err_set(e, ERR_USAGE, "option '%.*s' takes no value", (int)o->len, o->word);
	if (takes && args_take_value(p, args_common[id].option, o, i, e) < 0)
		return -EINVAL;
	p->a->given[id] = true;
	if (id == ARGS_RUN)
		p->a->run = o->value;
	return 0;
}

/* virt-install's command line has the name in an option; it comes before all keys here. */
static void args_name_first(struct parser *p, const char *name)
{
	memmove(p->operand + 1, p->operand, p->operands++ * sizeof *p->operand);
	p->operand[0] = name;
}

static int args_parse_virt_install(
	struct parser *p, const struct virt_install *v, struct option *o, size_t *i, struct err *e)
{
	if (args_take_value(p, v->option, o, i, e) < 0)
		return -EINVAL;
	if (virt_install_is_name(v))
		args_name_first(p, o->value);
	else if (v->note && !p->a->given[ARGS_QUIET])
		errors_note("%.*s is ignored: %s", (int)o->len, o->word, v->note);
	return v->take ? v->take(p->a->arguments, o->value, e) : 0;
}

static int args_parse_option(struct parser *p, size_t *i, struct err *e)
{
	const struct virt_install *v;
	struct option o = option_split(p->word[*i]);
	const struct api_verb *verb = p->a->verb;
	const struct api_arg *arg;

	for (size_t k = 0; verb && (arg = api_verb_arg(verb, k)); k++) {
		if (!arg->option || !option_is(arg->option, &o))
			continue;
		if (args_take_value(p, arg->option, &o, i, e) < 0)
			return -EINVAL;
		return args_set_argument(
			p->a, arg, o.value ? o.value : args_switch_value(arg, &o), e);
	}
	for (unsigned id = 0; id < ARGS_COMMONS; id++)
		if (option_is(args_common[id].option, &o))
			return args_parse_common(p, (enum args_common_id)id, &o, i, e);
	if (!verb && p->a->given[ARGS_HELP] && option_is("-a, --all", &o)) {
		p->a->all = true;
		return 0;
	}
	v = verb && streq(verb->command, "create") ? virt_install_find(&o) : NULL;
	return v ? args_parse_virt_install(p, v, &o, i, e) : args_unknown_option(p, &o, e);
}

static bool args_is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

/* True if there is a two-word command that starts with this word. */
static bool args_is_group(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < api_verbs_n; i++) {
		const char *c = api_verbs[i].command;

		if (c && strncmp(c, word, len) == 0 && c[len] == ' ')
			return true;
	}
	return false;
}

/* The nearest command, or NULL; also NULL if that harms. */
static const char *args_nearest_verb(const char *word)
{
	const struct api_verb *v;
	const char **name = xcalloc(api_verbs_n * (1 + API_ALIASES_MAX), sizeof *name), *near;
	size_t n = 0;

	for (size_t i = 0; i < api_verbs_n; i++) {
		if (!api_verbs[i].command)
			continue;
		name[n++] = api_verbs[i].command;
		for (size_t k = 0; k < API_ALIASES_MAX && api_verbs[i].aliases[k]; k++)
			name[n++] = api_verbs[i].aliases[k];
	}
	near = text_nearest(word, name, n);
	free(name);
	v = near ? api_verb_by_command(near) : NULL;
	return v && !(v->traits & API_HARMS) ? near : NULL;
}

static int args_unknown_subcommand(const char *group, const char *second, struct err *e)
{
	_cleanup_(free_ptr) char *both = second ? xasprintf("%s %s", group, second) : NULL;
	const char *near = both ? args_nearest_verb(both) : NULL;
	struct buf all = BUF_INIT;
	size_t len = strlen(group);

	if (near)
		buf_printf(&all, "did you mean '%s'?", near);
	for (size_t i = 0; !near && i < api_verbs_n; i++) {
		const char *c = api_verbs[i].command;

		if (c && strncmp(c, group, len) == 0 && c[len] == ' ')
			buf_printf(&all, "%s%s", all.len ? "|" : "", c + (all.len ? len + 1 : 0));
	}
	if (both)
		err_set(e, ERR_USAGE, "unknown command '%s'", both);
	else
		err_set(e, ERR_USAGE, "missing subcommand: %s", all.data);
	if (both)
		err_hint(e, near ? "%s" : "vmkeep %s", all.data);
	else
		err_hint(e, "vmkeep help %s", group);
	buf_release(&all);
	return -EINVAL;
}

/* "qm list": the command is behind the program's name. */
static bool args_is_behind(struct args *a, const char *const words[3])
{
	unsigned used;
	const struct foreign *whole = foreign_find(words[0], words[1], &used);

	if (!foreign_is_program(words[0]) || !words[1] || (whole && used == 2))
		return false;
	a->foreign = foreign_find(words[1], words[2], &used);
	a->foreign_vm = a->foreign && used == 1 ? words[2] : NULL;
	return a->foreign || api_verb_by_command(words[1]) || args_is_group(words[1]);
}

/* words: the command's two and the one after them, as far as they were given. */
static int args_unknown_verb(struct args *a, const char *const words[3], struct err *e)
{
	const char *near;
	unsigned used;

	if (args_is_behind(a, words)) {
		err_set(e, ERR_USAGE, "unknown command '%s'", words[0]);
		return a->foreign ? e->number
				  : err_hint(e, "leave that word out: vmkeep %s", words[1]);
	}
	a->foreign = foreign_find(words[0], words[1], &used);
	if (a->foreign) {
		a->foreign_vm = words[used];
		return err_set(e, ERR_USAGE,
			used == 2 ? "unknown command '%s %s'" : "unknown command '%s'", words[0],
			words[1]);
	}
	if (args_is_group(words[0]))
		return args_unknown_subcommand(words[0], words[1], e);
	near = args_nearest_verb(words[0]);
	err_set(e, ERR_USAGE, "unknown command '%s'", words[0]);
	if (near)
		return err_hint(e, "did you mean '%s'?", near);
	return err_hint(e, "'vmkeep help' lists the commands");
}

/* Finds the verb's words and keeps the others in order. Options of a verb come after it or carry
 * their value with '=': before the verb is known, it is unknown which options take one. */
static int args_find_verb(struct parser *p, const char **rest, size_t *n, struct err *e)
{
	struct args *a = p->a;
	const char *word[3] = { NULL };
	size_t at[5] = { 0 }, found = 0, used = 0;
	bool help = false;

	for (size_t i = 0; i < p->words && found < 3 + used && strcmp(p->word[i], "--") != 0; i++) {
		if (args_is_option(p->word[i])) {
			help = help || streq(p->word[i], "-h") || streq(p->word[i], "--help");
			/* also needed where there is no verb: to tell of the daemon's files */
			if (strncmp(p->word[i], "--run=", 6) == 0)
				a->run = p->word[i] + 6;
			else if (streq(p->word[i], "--run") && ++i < p->words)
				a->run = p->word[i];
			continue;
		}
		if (found == used && used < 2 && strcmp(p->word[i], "help") == 0) {
			a->given[ARGS_HELP] = true;
			at[found++] = i;
			used++;
			continue;
		}
		word[found - used] = p->word[i];
		at[found++] = i;
	}
	if (word[1]) {
		a->spelling = xasprintf("%s %s", word[0], word[1]);
		a->verb = api_verb_by_command(a->spelling);
		used += a->verb ? 2 : 0;
	}
	if (word[0] && !a->verb) {
		free(a->spelling);
		a->spelling = xstrdup(word[0]);
		a->verb = api_verb_by_command(word[0]);
		if (!a->verb && (help || a->given[ARGS_HELP]) && args_is_group(word[0]) && !word[1])
			a->topic = word[0];
		else if (!a->verb)
			return args_unknown_verb(a, word, e);
		used++;
	}
	for (size_t i = 0, k = 0; i < p->words; i++) {
		if (k < used && at[k] == i)
			k++;
		else
			rest[(*n)++] = p->word[i];
	}
	return 0;
}

/* Splits operands into targets and positional arguments: with several targets the arguments come
 * last. */
static int args_share_operands(struct parser *p, struct err *e)
{
	struct args *a = p->a;
	const struct api_verb *verb = a->verb;
	bool many = verb->target == API_VMS || verb->target == API_NETWORKS;
	size_t next, wanted = 0, left;

	for (size_t i = 0; i < API_ARGS_MAX && verb->arg[i].name; i++)
		wanted += option_is_positional(&verb->arg[i]) && verb->arg[i].required;
	if (verb->target == API_NO_TARGET)
		next = 0;
	else if (many)
		next = p->operands > wanted ? p->operands - wanted : 0;
	else
		next = p->operands ? 1 : 0;
	a->target = p->operand;
	a->targets = next;
	left = p->operands - next;
	for (size_t i = 0; i < API_ARGS_MAX && verb->arg[i].name; i++) {
		const struct api_arg *arg = &verb->arg[i];

		if (!option_is_positional(arg) || left == 0)
			continue;
		do {
			if (args_set_argument(a, arg, p->operand[next++], e) < 0)
				return -EINVAL;
			left--;
		} while (left && arg->type == API_WORDS);
	}
	if (left == 0)
		return 0;
	err_set(e, ERR_USAGE, "%s: unexpected argument '%s'", verb->command, p->operand[next]);
	args_usage_hint(e, verb);
	return -EINVAL;
}

static int args_check_complete(const struct args *a, struct err *e)
{
	const struct api_verb *verb = a->verb;
	const struct api_arg *arg;

	for (size_t i = 0; i < a->targets; i++) {
		json_t *name = option_value(api_verb_arg(verb, 0), a->target[i], e);

		if (!name)
			return err_wrap(e, -EINVAL, "%s", api_verb_arg(verb, 0)->option);
		json_decref(name);
	}
	for (size_t i = 0; (arg = api_verb_arg(verb, i)); i++) {
		bool given = i == 0 && verb->target != API_NO_TARGET
				     ? a->targets > 0
				     : json_object_get(arg->client ? a->own : a->arguments,
					       arg->name) != NULL;

		if (given || !arg->required || !arg->option)
			continue;
		err_set(e, ERR_USAGE, "%s: %s is missing", verb->command, arg->option);
		args_usage_hint(e, verb);
		return -EINVAL;
	}
	return 0;
}

int args_parse(struct args *a, size_t argc, const char *const *argv, struct err *e)
{
	const char **rest = xcalloc(argc, sizeof *rest);
	struct parser p = { .a = a, .word = argv, .words = argc };
	bool only_operands = false;
	size_t n = 0;
	int r;

	a->arguments = json_object();
	a->own = json_object();
	a->words = p.operand = xcalloc(argc, sizeof *p.operand);
	r = args_find_verb(&p, rest, &n, e);
	p.word = rest;
	p.words = n;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!only_operands && strcmp(rest[i], "--") == 0)
			only_operands = true;
		else if (!only_operands && args_is_option(rest[i]))
			r = args_parse_option(&p, &i, e);
		else
			p.operand[p.operands++] = rest[i];
	}
	free(rest);
	if (r < 0)
		return r;
	if (!a->verb && !a->given[ARGS_VERSION])
		a->given[ARGS_HELP] = true;
	if (a->given[ARGS_HELP] || a->given[ARGS_VERSION])
		return 0;
	r = args_share_operands(&p, e);
	return r < 0 ? r : args_check_complete(a, e);
}

void args_release(struct args *a)
{
	json_decref(a->arguments);
	json_decref(a->own);
	free(a->words);
	free(a->spelling);
	*a = (struct args)ARGS_INIT;
}
