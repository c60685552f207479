/* SPDX-License-Identifier: MIT */
/*
 * scripts/gendoc.c - fills manual page templates from the tables, at build time
 *
 * Copies a page in mdoc(7) from standard input to standard output and replaces each line "@what which" with text from
 * the tables: "@keys vm", "@commands vm-", "@verbs", "@events", "@classes", "@options", "@os". An unknown word is an
 * error, so that no page silently loses a part.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/schema.h"
#include "scripts/roff.h"
#include "supervisor/api/api.h"
#include "supervisor/client/args.h"
#include "supervisor/client/help.h"
#include "supervisor/client/option.h"

enum { LINE_MAX_LEN = 4096, COMMANDS_MAX = 256 };

/* --- configuration ------------------------------------------------------------------------- */

/* "[a size such as 512M, at least 1M; default 1G; applies: start]" */
static void key_facts(const struct conf_key *k)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, k->list ? "[any number of: " : "[");
	conf_key_type(k, &b);
	if (k->preset)
		buf_printf(&b, "; default: %s", k->preset);
	buf_printf(&b, "; applies: %s", conf_apply_name(k->apply));
	if (k->own)
		buf_adds(&b, "; not in [Defaults]");
	if (k->root)
		buf_adds(&b, "; root only");
	if (k->operators)
		buf_adds(&b, "; not for owners");
	buf_adds(&b, "]");
	fputs("\\&", stdout);
	roff_put(b.data, b.len);
	putchar('\n');
	buf_release(&b);
}

static void key(const struct conf_key *k)
{
	_cleanup_(free_ptr) char *name = xasprintf("%s=", k->name);

	roff_word(".It Cm", name);
	putchar('\n');
	roff_text_as_is(k->help); /* may begin with a value: kvm */
	key_facts(k);
}

static int keys(const char *which)
{
	static const struct {
		const char *name;
		const struct conf_schema *schema;
	} schemas[] = {
		{ "vm", &conf_vm_schema },
		{ "network", &conf_network_schema },
		{ "daemon", &conf_daemon_schema },
		{ "image", &conf_image_schema },
	};
	const struct conf_schema *schema = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(schemas); i++)
		if (streq(schemas[i].name, which))
			schema = schemas[i].schema;
	for (size_t i = 0; schema && i < schema->sections; i++) {
		const struct conf_section *s = &schema->section[i];
		_cleanup_(free_ptr) char *header =
			xasprintf("[%s%s]", s->name, s->size ? " ID" : "");

		roff_word(".Ss", header);
		putchar('\n');
		roff_text(s->help);
		if (!s->keys)
			continue;
		roff_list_begin(false);
		for (size_t k = 0; k < s->keys; k++)
			key(&s->key[k]);
		roff_list_end();
	}
	return schema ? 0 : -1;
}

/* --- verbs --------------------------------------------------------------------------------- */

static void choices(const struct api_arg *arg)
{
	if (!arg->choices)
		return;
	fputs("One of: ", stdout);
	for (size_t i = 0; arg->choices[i]; i++)
		printf("%s%s", i ? ", " : "", arg->choices[i]);
	puts(".");
}

static void aliases(const struct api_verb *v)
{
	if (!v->aliases[0])
		return;
	fputs("Also accepted: ", stdout);
	for (size_t i = 0; i < API_ALIASES_MAX && v->aliases[i]; i++) {
		fputs(i ? ", " : "", stdout);
		roff_put(v->aliases[i], strlen(v->aliases[i]));
	}
	puts(".");
}

static void verb_words(const struct api_verb *v)
{
	roff_text(v->help);
	if (v->text)
		roff_text(v->text);
}

/* Targets and --no-wait mean the same for all verbs: the page explains them once. */
static bool is_own_option(const struct api_verb *v, size_t i, const struct api_arg *arg)
{
	bool target = i == 0 && v->target != API_NO_TARGET;

	return !target && arg->option && !streq(arg->option, "--no-wait");
}

static void command_options(const struct api_verb *v)
{
	const struct api_arg *arg;
	bool begun = false;

	for (size_t i = 0; (arg = api_verb_arg(v, i)); i++) {
		if (!is_own_option(v, i, arg))
			continue;
		if (!begun)
			roff_list_begin(true);
		begun = true;
		roff_word(".It", arg->option);
		putchar('\n');
		roff_text(arg->help);
		choices(arg);
	}
	if (begun)
		roff_list_end();
}

static void command(const struct api_verb *v)
{
	struct buf usage = BUF_INIT;

	help_usage(&usage, v);
	roff_word(".It Ic", v->command);
	if (usage.len > strlen(v->command))
		roff_word(" No", usage.data + strlen(v->command) + 1);
	putchar('\n');
	verb_words(v);
	command_options(v);
	aliases(v);
	printf("Role: %s.\n", api_role_name(v->role));
	buf_release(&usage);
}

/* Verbs whose name on the wire begins with this; without a prefix, all that have not been printed
 * yet. */
static int commands(const char *which)
{
	static bool printed[COMMANDS_MAX];
	size_t n = 0;

	assert(api_verbs_n <= COMMANDS_MAX);
	roff_list_begin(false);
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		if (printed[i] || !v->command || strncmp(v->execute, which, strlen(which)) != 0)
			continue;
		printed[i] = true;
		n++;
		command(v);
	}
	roff_list_end();
	return n ? 0 : -1;
}

/* The tables use command-line terms. On the wire: one name, and false for --no-wait. */
static const char *argument_help(const struct api_verb *v, size_t i, const struct api_arg *arg)
{
	if (i == 0 && (v->target == API_VM || v->target == API_VMS))
		return "the VM";
	if (i == 0 && (v->target == API_NETWORK || v->target == API_NETWORKS))
		return "the network";
	if (arg->option && streq(arg->option, "--no-wait"))
		return "with false: return at once with a job in place of the result";
	return arg->help;
}

/* The name that --json uses, if it differs from that on the wire. */
static void own_name(const struct api_field *f)
{
	if (f->as)
		printf(" [%s]", f->as);
}

/* "memory (bytes): what the guest has; nics (list of objects: nic, network, ...)." */
static void fields(const char *what, const char *with, const struct api_field *f)
{
	if (!f || !f->name)
		return;
	printf("%s%s%s:\n", what, with ? " with " : "", with ? with : "");
	for (; f->name; f++) {
		const char *end = f[1].name ? ";" : ".";

		roff_word(".Ar", f->name);
		printf(" Pq %s", api_value_name(f->type));
		own_name(f);
		for (const struct api_field *m = f->of; m && m->name; m++) {
			printf("%s %s", m == f->of ? " of" : ",", m->name);
			own_name(m);
		}
		printf(" %s\n", f->help ? ":" : end);
		if (f->help) {
			fputs("\\&", stdout);
			roff_put(f->help, strlen(f->help));
			puts(end);
		}
	}
}

static void result(const struct api_result *r)
{
	fields("Members", r->with, r->members);
	fields("Columns", r->with, r->columns);
}

static void verb(const struct api_verb *v)
{
	const struct api_arg *arg = api_verb_arg(v, 0);

	roff_word(".It Ic", v->execute);
	putchar('\n');
	verb_words(v);
	if (arg)
		roff_list_begin(true);
	for (size_t i = 0; (arg = api_verb_arg(v, i)); i++) {
		if (arg->client)
			continue;
		roff_word(".It Ar", arg->name);
		printf(" Pq %s%s\n", api_type_name(arg->type), arg->required ? ", required" : "");
		roff_text(argument_help(v, i, arg));
		choices(arg);
	}
	if (api_verb_arg(v, 0))
		roff_list_end();
	fputs("Returns ", stdout);
	roff_put(v->result, strlen(v->result));
	puts(".");
	result(&v->returns);
	result(&v->other);
	if (v->traits & API_NOT_BUSY)
		puts("Refused with Conflict while an operation such as a snapshot holds the VM.");
	if (v->traits & API_NEEDS_GUEST)
		puts("Refused with WrongState unless the VM runs or is paused.");
	printf("Role: %s%s%s.\n", api_role_name(v->role), v->traits & API_JOB ? "; a job" : "",
		v->traits & API_STREAM ? "; a stream" : "");
}

static int verbs(const char *which)
{
	roff_list_begin(false);
	for (size_t i = 0; i < api_verbs_n; i++)
		verb(&api_verbs[i]);
	roff_list_end();
	return *which ? -1 : 0;
}

/* "name: the VM; state: where it is now" */
static void members(const char *data)
{
	roff_list_begin(true);
	while (*data) {
		size_t len = strcspn(data, ";"), name = strcspn(data, ":");
		_cleanup_(free_ptr) char *member = xstrndup(data, name);
		_cleanup_(free_ptr) char *meaning =
			name + 2 < len ? xstrndup(data + name + 2, len - name - 2)
				       : xstrdup(member);

		roff_word(".It Ar", member);
		putchar('\n');
		roff_text_as_is(meaning);
		data += len + strspn(data + len, "; ");
	}
	roff_list_end();
}

static int events(const char *which)
{
	roff_list_begin(false);
	for (size_t i = 0; i < api_events_n; i++) {
		roff_word(".It Ic", api_events[i].name);
		putchar('\n');
		roff_text(api_events[i].help);
		members(api_events[i].data);
	}
	roff_list_end();
	return *which ? -1 : 0;
}

static int classes(const char *which)
{
	for (size_t i = 0; i < ERR_CLASSES; i++) {
		const struct api_class *c = api_class((enum err_class)i);

		printf(".It %d", c->exit);
		roff_word(" Pq", c->name);
		putchar('\n');
		roff_text(c->help);
	}
	return *which ? -1 : 0;
}

static int options(const char *which)
{
	for (size_t i = 0; i < ARGS_COMMONS; i++) {
		roff_word(".It", args_common[i].option);
		putchar('\n');
		roff_text(args_common[i].help);
	}
	return *which ? -1 : 0;
}

static int os(const char *which)
{
	puts(".Os vmkeep " VMKEEP_VERSION);
	return *which ? -1 : 0;
}

/* --- the page ------------------------------------------------------------------------------ */

static int fill(char *line)
{
	static const struct {
		const char *what;
		int (*print)(const char *which);
	} parts[] = {
		{ "keys", keys },
		{ "commands", commands },
		{ "verbs", verbs },
		{ "events", events },
		{ "classes", classes },
		{ "options", options },
		{ "os", os },
	};
	char *which = line + strcspn(line, " ");

	if (*which)
		*which++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (streq(parts[i].what, line))
			return parts[i].print(which);
	return -1;
}

int main(void)
{
	char line[LINE_MAX_LEN];

	for (unsigned n = 1; fgets(line, sizeof line, stdin); n++) {
		if (*line != '@') {
			fputs(line, stdout);
			continue;
		}
		line[strcspn(line, "\n")] = '\0';
		if (fill(line + 1) < 0) {
			fprintf(stderr, "gendoc: line %u: nothing is known of this\n", n);
			return EXIT_FAILURE;
		}
	}
	return ferror(stdin) || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
