/* SPDX-License-Identifier: MIT */
/*
 * Proves that help and completion match the verb table: each command once in the overview, each
 * option on its verb's page, lines that fit a terminal, and the right candidates for each position.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/client/complete.h"
#include "supervisor/client/help.h"

enum { LINE_MAX_WIDTH = 80, SCREEN_LINES = 24, WORDS_MAX = 8 };

static void lines_fit(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > LINE_MAX_WIDTH || (len && text[len - 1] == ' '))
			fail_msg("%.*s", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part))) {
		n++;
		text++;
	}
	return n;
}

static void the_overview_has_each_command_once(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	help_overview(&b, NULL);
	lines_fit(b.data);
	assert_null(strstr(b.data, "|\n"));
	for (size_t i = 0; i < api_verbs_n; i++) {
		const char *command = api_verbs[i].command;
		_cleanup_(free_ptr) char *row = xasprintf("\n  %s ", command ? command : "help");

		if (count(b.data, row) != (command ? 1 : 0))
			fail_msg("%s stands there %zu times", row, count(b.data, row));
	}
	buf_release(&b);
}

static void the_short_page_fits_one_screen(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	help_short(&b);
	lines_fit(b.data);
	assert_true(strncmp(b.data, "Usage: vmkeep ", strlen("Usage: vmkeep ")) == 0);
	assert_true(count(b.data, "\n") <= SCREEN_LINES - 2); /* the command and the next prompt */
	for (size_t i = 0; i < api_verbs_n; i++) {
		const char *command = api_verbs[i].command;

		if (command && !strchr(command, ' '))
			assert_true(count(b.data, command) >= 1);
		else if (command)
			assert_true(count(b.data, strchr(command, ' ') + 1) >= 1);
	}
	buf_release(&b);
}

static void a_group_has_its_own_commands_only(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	help_overview(&b, "net");
	assert_non_null(strstr(b.data, "\n  net list "));
	assert_null(strstr(b.data, "\n  list "));
	assert_null(strstr(b.data, "Virtual machines"));
	buf_release(&b);
}

static void a_page_has_all_options_and_aliases(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];
		const struct api_arg *arg;
		struct buf b = BUF_INIT;

		if (!v->command)
			continue;
		help_verb(&b, v);
		lines_fit(b.data);
		assert_null(strstr(b.data, "|\n")); /* a text is not broken within "a|b" */
		for (size_t k = 0; (arg = api_verb_arg(v, k)); k++)
			assert_true(!arg->option || count(b.data, arg->option) >= 2);
		for (size_t k = 0; k < API_ALIASES_MAX && v->aliases[k]; k++)
			assert_non_null(strstr(b.data, v->aliases[k]));
		buf_release(&b);
	}
}

static void a_page_reads_well(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	help_verb(&b, api_verb_by_command("log"));
	assert_string_equal(b.data,
		"Usage: vmkeep log NAME [WHICH] [-n, --lines N] [-f, --follow]\n"
		"\n"
		"Print what a guest's console or its QEMU wrote.\n"
		"\n"
		"QEMU's log includes what a running QEMU has written so far: a line \"--- TIME:\n"
		"start\" begins the output of each start, and a line with the reason ends it.\n"
		"With -f, QEMU's log is followed across restarts.\n"
		"\n"
		"  NAME                    the VM\n"
		"  WHICH                   what the guest wrote to its console (the default),\n"
		"                          or what QEMU wrote\n"
		"  -n, --lines N           only the last N lines\n"
		"  -f, --follow            keep printing new output\n"
		"\n"
		"Requires the role view or higher.\n");
	buf_release(&b);
}

static void names(
	void *data, const char *execute, const char *target, const char *column, struct buf *b)
{
	(void)data;
	(void)column;
	if (streq(execute, "vm-list"))
		buf_adds(b, "web1\nweb2\ndb1\n");
	else if (streq(execute, "net-list"))
		buf_adds(b, "default\n");
	else if (streq(execute, "snapshot-list") && streq(target, "web1"))
		buf_adds(b, "clean\n");
}

static void each_place_has_its_candidates(void **state)
{
	/* clang-format off */
	static const struct {
		const char *word[WORDS_MAX];
		const char *want;
	} rows[] = {
		{ { "sta" },			     "start\nstatus\nstate\n"			       },
		{ { "shut" },			     "shutdown-all\nshutdown\n" },
		{ { "k" },			     "kill\n" },
		{ { "snap" },			      "snapshot\n"			   },
		{ { "he" },			     "help\n"			     },
		{ { "help", "stop" },		     "stop\n"			      },
		{ { "net", "" },			 "list\nshow\nleases\nstart\nstop\n"},
		{ { "net", "s" },			  "show\nstart\nstop\n"		},
		{ { "help", "net", "le" },		   "leases\n"			      },
		{ { "stop", "" },			  "web1\nweb2\ndb1\n"		      },
		{ { "stop", "web1", "d" },		   "db1\n"				   },
		{ { "shutdown", "d" },		       "db1\n"			       },
		{ { "net", "stop", "" },		 "default\n"			     },
		{ { "net-destroy", "" },		 "default\n"			     },
		{ { "cat", "" },			 "web1\nweb2\ndb1\n"		     },
		{ { "cat", "web1", "" },		 ""				    },
		{ { "list", "d" },			   "db1\n"				   },
		{ { "check", "d" },			    "db1\n"			    },
		{ { "wait", "web1", "" },		  "stopped\nrunning\npaused\nip\n"   },
		{ { "log", "web1", "q" },		  "qemu\n"			   },
		{ { "snapshot", "revert", "web1", "" }, "clean\n"			  },
		{ { "snapshot", "create", "web1", "" }, ""				   },
		{ { "set", "d" },			  "db1\n"				   },
		{ { "set", "web1", "VM.Me" },		  "VM.Memory=\n"			   },
		{ { "set", "web1", "VM.CPUs=2", "N" },	  "NIC.\n"			   },
		{ { "unset", "web1", "Watchdog.", },	  "Watchdog.Model\n"			   },
		{ { "guest", "exec", "web1", "w" },	  ""			   },
		{ { "stop", "--t" },		     "--timeout\n"			   },
		{ { "stop", "--timeout", "" },	       ""				  },
		{ { "stop", "--timeout", "5", "d" },    "db1\n"			     },
		{ { "stop", "--timeout=5", "d" },	  "db1\n"				  },
		{ { "--run", "/x", "sto" },		    "stop\nstore\n"			     },
		{ { "--run", "" },			   ""				      },
		{ { "--js" },			      "--json\n"			 },
		{ { "nothing", "" },		     ""					},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct buf b = BUF_INIT;
		size_t n = 0;

		while (n < WORDS_MAX && rows[i].word[n])
			n++;
		complete_words(&b, rows[i].word, n, names, NULL);
		if (!streq(b.data ? b.data : "", rows[i].want))
			fail_msg("row %zu (%s %s): %s", i, rows[i].word[0],
				rows[i].word[1] ? rows[i].word[1] : "",
				b.data ? b.data : "nothing");
		buf_release(&b);
	}
}

static void no_command_is_offered_twice(void **state)
{
	const char *word[] = { "" };
	struct buf b = BUF_INIT;

	(void)state;
	complete_words(&b, word, 1, names, NULL);
	for (const char *p = b.data; *p;) {
		size_t len = strcspn(p, "\n");
		_cleanup_(free_ptr) char *line = xasprintf("\n%.*s\n", (int)len, p);
		_cleanup_(free_ptr) char *all = xasprintf("\n%s", b.data);

		if (count(all, line) != 1)
			fail_msg("%.*s", (int)len, p);
		p += len + 1;
	}
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_overview_has_each_command_once),
		cmocka_unit_test(the_short_page_fits_one_screen),
		cmocka_unit_test(a_group_has_its_own_commands_only),
		cmocka_unit_test(a_page_has_all_options_and_aliases),
		cmocka_unit_test(a_page_reads_well),
		cmocka_unit_test(each_place_has_its_candidates),
		cmocka_unit_test(no_command_is_offered_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
