/* SPDX-License-Identifier: MIT */
#include "supervisor/client/help.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/client/option.h"

enum { TEXT_COLUMN = 26, NAMES_COLUMN = 18, LINE_WIDTH = 78 };

static void help_add_word(struct buf *b, const char *word, bool required)
{
	buf_printf(b, required ? " %s" : " [%s]", word);
}

void help_usage(struct buf *b, const struct api_verb *verb)
{
	const struct api_arg *arg;

	buf_adds(b, verb->command);
	for (int positional = 1; positional >= 0; positional--)
		for (size_t i = 0; (arg = api_verb_arg(verb, i)); i++)
			if (arg->option && option_is_positional(arg) == positional)
				help_add_word(b, arg->option, arg->required);
}

/* Length of the next word with the space before it; "[--timeout TIME]" is one word. bar: "a|" of "a|b" too. */
static size_t help_word(const char *text, bool bar)
{
	size_t space = strspn(text, " ");
	const char *end = text[space] == '[' ? strchr(text + space, ']') : NULL;

	end = end ? end : text + 1;
	end += strcspn(end, bar ? " |\n" : " \n");
	return (size_t)(end - text) + (*end == '|');
}

/* Text in its own column, wrapped at spaces, and after bars if bar. */
static void help_wrap(struct buf *b, const char *text, size_t column, size_t at, bool bar)
{
	while (*text) {
		size_t len = 0, room = LINE_WIDTH - column;

		buf_printf(b, "%*s", (int)(column > at ? column - at : 0), "");
		while (text[len] && text[len] != '\n' && len <= room) {
			size_t word = help_word(text + len, bar);

			if (len && len + word > room)
				break;
			len += word;
		}
		buf_printf(b, "%.*s\n", (int)len, text);
		text += len;
		text += strspn(text, " \n");
		at = 0;
	}
}

static void help_add_text(struct buf *b, const char *text, size_t column, size_t at)
{
	help_wrap(b, text, column, at, false);
}

static void help_add_row(struct buf *b, const char *left, const char *text)
{
	size_t width = strlen(left) + 2;

	buf_printf(b, "  %s", left);
	if (width + 2 > TEXT_COLUMN) {
		buf_addc(b, '\n');
		width = 0;
	}
	help_add_text(b, text, TEXT_COLUMN, width);
}

static void help_add_aliases(struct buf *b, const struct api_verb *verb)
{
	if (!verb->aliases[0])
		return;
	buf_adds(b, "\nAlso accepted: ");
	for (size_t i = 0; i < API_ALIASES_MAX && verb->aliases[i]; i++)
		buf_printf(b, "%s%s", i ? ", " : "", verb->aliases[i]);
	buf_addc(b, '\n');
}

/* A phrase of the tables as a sentence. */
static void help_add_sentence(struct buf *b, const char *phrase)
{
	_cleanup_(free_ptr) char *sentence = xasprintf("%s.", phrase);

	sentence[0] = (char)toupper((unsigned char)sentence[0]);
	help_add_text(b, sentence, 0, 0);
}

void help_verb(struct buf *b, const struct api_verb *verb)
{
	_cleanup_(buf_release) struct buf usage = BUF_INIT;
	const size_t column = strlen("Usage: ");
	const struct api_arg *arg;
	bool first = true;

	buf_adds(&usage, "vmkeep ");
	help_usage(&usage, verb);
	buf_adds(b, "Usage: ");
	help_add_text(b, usage.data, column, column);
	buf_addc(b, '\n');
	help_add_sentence(b, verb->help);
	if (verb->text) {
		buf_addc(b, '\n');
		help_add_text(b, verb->text, 0, 0);
	}
	for (size_t i = 0; (arg = api_verb_arg(verb, i)); i++)
		if (arg->option) {
			buf_adds(b, first ? "\n" : "");
			first = false;
			help_add_row(b, arg->option, arg->help);
		}
	help_add_aliases(b, verb);
	if (verb->role != API_ROLE_NONE)
		buf_printf(b, "\nRequires the role %s%s.\n", api_role_name(verb->role),
			verb->role == API_ROLE_ROOT ? "" : " or higher");
}

/* Headings of the overview, by prefixes of the verb's name on the wire. */
/* clang-format off */
static const struct topic {
	const char *heading, *prefix[2];
} topics[] = {
	{ "Virtual machines",  { "vm-" } },
	{ "Hot plug",          { "disk-", "nic-" } },
	{ "Snapshots",         { "snapshot-" } },
	{ "Guest agent",       { "guest-" } },
	{ "Images and stores", { "image-", "store-" } },
	{ "Networks",          { "net-" } },
	{ "Jobs",              { "job-" } },
	{ "Daemon",            { "" } },
};
/* clang-format on */

static bool help_is_of(const struct api_verb *verb, const struct topic *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->prefix) && t->prefix[i]; i++)
		if (strncmp(verb->execute, t->prefix[i], strlen(t->prefix[i])) == 0)
			return true;
	return false;
}

static const struct topic *help_topic_of(const struct api_verb *verb)
{
	const struct topic *t = topics;

	while (!help_is_of(verb, t))
		t++;
	return t;
}

static bool help_in_group(const struct api_verb *verb, const char *group)
{
	size_t len = group ? strlen(group) : 0;

	return verb->command &&
	       (!group || (strncmp(verb->command, group, len) == 0 && verb->command[len] == ' '));
}

/* "snapshot create NAME TAG": the overview shows required arguments only, the verb's help all. */
static void help_add_verb(struct buf *b, const struct api_verb *verb)
{
	const struct api_arg *arg;
	struct buf left = BUF_INIT;

	buf_adds(&left, verb->command);
	for (size_t i = 0; (arg = api_verb_arg(verb, i)); i++)
		if (option_is_positional(arg) && arg->required)
			help_add_word(&left, arg->option, true);
	help_add_row(b, left.data, verb->help);
	buf_release(&left);
}

#define HELP_SYNOPSIS "Usage: vmkeep [--json] [-q] [--run DIR] COMMAND [NAME|GLOB ...] [options]\n"

/* "net list|show|..." where verbs share their first word, else "start, stop, ...". */
static void help_add_names(struct buf *b, const struct topic *t)
{
	const char *before = "";

	for (size_t i = 0; i < api_verbs_n; i++) {
		const char *command = api_verbs[i].command;
		size_t len = command ? strcspn(command, " ") : 0;

		if (!command || help_topic_of(&api_verbs[i]) != t)
			continue;
		if (command[len] && strncmp(before, command, len + 1) == 0)
			buf_printf(b, "|%s", command + len + 1);
		else
			buf_printf(b, "%s%s", b->len ? ", " : "", command);
		before = command;
	}
}

void help_short(struct buf *b)
{
	buf_adds(b, HELP_SYNOPSIS "\n");
	for (size_t t = 0; t < ARRAY_SIZE(topics); t++) {
		_cleanup_(buf_release) struct buf names = BUF_INIT;

		help_add_names(&names, &topics[t]);
		buf_printf(b, "%s", topics[t].heading);
		help_wrap(b, names.data, NAMES_COLUMN, strlen(topics[t].heading), true);
	}
	buf_adds(b, "\nA VM is a file, /etc/vmkeep/NAME.vm: see 'man vmkeep.vm'.\n"
		    "'vmkeep help COMMAND' explains a command, 'vmkeep help -a' lists them all.\n");
}

void help_overview(struct buf *b, const char *group)
{
	buf_adds(b, HELP_SYNOPSIS);
	for (size_t t = 0; t < ARRAY_SIZE(topics); t++) {
		bool first = true;

		for (size_t i = 0; i < api_verbs_n; i++) {
			const struct api_verb *verb = &api_verbs[i];

			if (!help_in_group(verb, group) || help_topic_of(verb) != &topics[t])
				continue;
			if (first)
				buf_printf(b, "\n%s\n", topics[t].heading);
			first = false;
			help_add_verb(b, verb);
		}
	}
	buf_adds(b, "\nOptions\n");
	for (size_t i = 0; i < ARGS_COMMONS; i++)
		help_add_row(b, args_common[i].option, args_common[i].help);
	buf_adds(b,
		"\n'vmkeep help COMMAND' explains a command. Names of virsh are accepted too.\n");
}
