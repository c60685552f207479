/* SPDX-License-Identifier: MIT */
#include "supervisor/client/help.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/client/option.h"

enum { TEXT_COLUMN = 26, LINE_WIDTH = 78 };

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

/* Text in its own column, wrapped at spaces. */
static void help_add_text(struct buf *b, const char *text, size_t column, size_t at)
{
	while (*text) {
		size_t len = 0, room = LINE_WIDTH - column;

		buf_printf(b, "%*s", (int)(column > at ? column - at : 0), "");
		while (text[len] && text[len] != '\n' && len <= room) {
			size_t word = strcspn(text + len + 1, " \n") + 1;

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

void help_verb(struct buf *b, const struct api_verb *verb)
{
	const struct api_arg *arg;
	bool first = true;

	buf_adds(b, "vmkeep ");
	help_usage(b, verb);
	buf_adds(b, "\n\n");
	help_add_text(b, verb->help, 0, 0);
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
		buf_printf(
			b, "\nNeeds the role '%s' or a higher one.\n", api_role_name(verb->role));
}

/* Headings of the overview, by prefix of the verb's name on the wire. */
/* clang-format off */
static const struct topic {
	const char *prefix, *heading;
} topics[] = {
	{ "vm-",       "Virtual machines" },
	{ "snapshot-", "Snapshots" },
	{ "guest-",    "Guest agent" },
	{ "net-",      "Networks" },
	{ "job-",      "Jobs" },
	{ "",          "Daemon" },
};
/* clang-format on */

static const struct topic *help_topic_of(const struct api_verb *verb)
{
	const struct topic *t = topics;

	while (strncmp(verb->execute, t->prefix, strlen(t->prefix)) != 0)
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

void help_overview(struct buf *b, const char *group)
{
	buf_adds(b, "vmkeep [--json] [-q] [--run DIR] COMMAND [NAME|GLOB ...] [options]\n");
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
	buf_adds(b, "\n'vmkeep help COMMAND' tells more; virsh's names are understood too.\n");
}
