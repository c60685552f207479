/* SPDX-License-Identifier: MIT */
/*
 * Proves that the api tables are complete: every verb of the first release appears once, is found
 * by all its spellings, has text for the manual, and is described by query-schema; exit codes are
 * those documented; no spelling taken over from other programs deletes anything.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/api/api.h"

static void every_verb_is_found_by_each_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		assert_ptr_equal(api_verb_by_execute(v->execute), v);
		if (v->command)
			assert_ptr_equal(api_verb_by_command(v->command), v);
		for (size_t a = 0; a < API_ALIASES_MAX && v->aliases[a]; a++)
			assert_ptr_equal(api_verb_by_command(v->aliases[a]), v);
		assert_null(v->aliases[API_ALIASES_MAX - 1]);
	}
	assert_null(api_verb_by_execute("start"));
	assert_null(api_verb_by_execute(NULL));
	assert_null(api_verb_by_command("vm-start"));
	assert_null(api_verb_by_command(NULL));
}

static void spellings_lead_where_their_users_expect(void **state)
{
	/* clang-format off */
	static const struct {
		const char *typed, *execute;
	} rows[] = {
		{"list",		  "vm-list"	    },
		{ "info",		  "vm-info"	    },
		{ "state",		   "vm-info"	     },
		{ "start",		   "vm-start"	      },
		{ "stop",		  "vm-stop"	    },
		{ "kill",		  "vm-kill"	    },
		{ "reboot",		    "vm-reboot"	},
		{ "reset",		   "vm-reset"	      },
		{ "pause",		   "vm-pause"	      },
		{ "resume",		    "vm-resume"	},
		{ "wait",		  "vm-wait"	    },
		{ "console",		     "vm-console"	  },
		{ "log",			 "vm-log"	  },
		{ "cmdline",		     "vm-cmdline"	  },
		{ "check",		   "vm-check"	      },
		{ "cat",			 "vm-cat"	  },
		{ "diff",		  "vm-diff"	    },
		{ "reload",		    "reload"	     },
		{ "events",		    "subscribe"	},
		{ "version",		     "query-version"  },
		{ "schema",		    "query-schema"   },
		{ "qmp",			 "vm-qmp"	  },
		{ "net list",	      "net-list"	 },
		{ "net show",	      "net-show"	 },
		{ "net start",	       "net-start"	   },
		{ "net stop",	      "net-stop"	 },
		{ "net leases",		"net-leases"     },
		{ "store list",		     "store-list"     },
		{ "image list",		     "image-list"     },
		{ "image fetch",	     "image-fetch"	},
		{ "image rm",		     "image-rm"	},
		{ "image prune",	     "image-prune"	},
		{ "ip",			"vm-ip"		},
		{ "ssh",		"vm-ssh"	},
		{ "set-memory",		"vm-set-memory"	},
		{ "snapshot create",	     "snapshot-create"},
		{ "snapshot list",	   "snapshot-list"  },
		{ "snapshot revert",	     "snapshot-revert"},
		{ "snapshot delete",	     "snapshot-delete"},
		{ "jobs",		  "job-list"	     },
		{ "guest ping",		  "guest-ping"	     },
		{ "guest info",		  "guest-info"	     },
		{ "guest exec",		  "guest-exec"	     },
		{ "guest fs",		  "guest-fs"	     },
		{ "guest trim",		  "guest-trim"	     },
		{ "guest freeze",	  "guest-freeze"     },
		{ "guest thaw",		  "guest-thaw"	     },
		{ "guest time",		  "guest-time"	     },
		{ "guest passwd",	  "guest-passwd"     },
 /* virsh's */
		{ "shutdown",	      "vm-stop"	},
		{ "destroy",		     "vm-kill"	       },
		{ "suspend",		     "vm-pause"	},
		{ "dominfo",		     "vm-info"	       },
		{ "domstate",	      "vm-info"	},
		{ "dumpxml",		     "vm-cat"	      },
		{ "domifaddr",	       "vm-ip"	       },
		{ "domif-setlink",	       "nic-link"	       },
		{ "setmem",		    "vm-set-memory"  },
		{ "ttyconsole",		"vm-console"     },
		{ "domxml-to-native",     "vm-cmdline"	   },
		{ "qemu-monitor-command", "vm-qmp"	   },
		{ "net-info",	      "net-show"	 },
		{ "net-destroy",		 "net-stop"	    },
		{ "net-dhcp-leases",	     "net-leases"	  },
		{ "pool-list",		     "store-list"	  },
		{ "snapshot-create-as",	"snapshot-create"},
		{ "qemu-agent-command",	  "guest-command"    },
		{ "guestinfo",		  "guest-info"	     },
		{ "domfsinfo",		  "guest-fs"	     },
		{ "domfstrim",		  "guest-trim"	     },
		{ "domfsfreeze",	  "guest-freeze"     },
		{ "domfsthaw",		  "guest-thaw"	     },
		{ "domtime",		  "guest-time"	     },
		{ "set-user-password",	  "guest-passwd"     },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct api_verb *v = api_verb_by_command(rows[i].typed);

		assert_non_null(v);
		assert_string_equal(v->execute, rows[i].execute);
	}
}

static void nothing_deletes_but_what_says_so(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		if (!strstr(v->execute, "delete"))
			continue;
		assert_non_null(strstr(v->command, "delete"));
		for (size_t a = 0; a < API_ALIASES_MAX && v->aliases[a]; a++)
			assert_non_null(strstr(v->aliases[a], "delete"));
	}
}

static void assert_sentence(const char *s)
{
	assert_non_null(s);
	assert_true(strlen(s) > 3);
	assert_true(islower((unsigned char)*s) || strncmp(s, "QEMU", 4) == 0 || *s == '{');
	assert_int_not_equal(s[strlen(s) - 1], '.');
	assert_null(strchr(s, '\n'));
	assert_null(strstr(s, "  "));
}

static void every_row_has_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		assert_sentence(v->help);
		assert_sentence(v->result);
		assert_true(strlen(v->help) <= 90);
		if (v->text)
			assert_int_equal(v->text[strlen(v->text) - 1], '.');
	}
	for (size_t i = 0; i < api_events_n; i++) {
		assert_sentence(api_events[i].data);
		assert_sentence(api_events[i].help);
	}
	for (size_t i = 0; i < ERR_CLASSES; i++)
		assert_sentence(api_class((enum err_class)i)->help);
}

static void arguments_can_be_given_on_a_command_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];
		const struct api_arg *arg;
		bool optional = false;

		for (size_t k = 0; (arg = api_verb_arg(v, k)); k++) {
			bool positional = arg->option && arg->option[0] != '-';

			assert_sentence(arg->help);
			assert_true(arg->type < API_TYPES);
			assert_true(!arg->choices || arg->type == API_STRING);
			/* "cmd [A] B" would be ambiguous */
			assert_false(positional && arg->required && optional);
			optional = optional || (positional && !arg->required);
			assert_true(!arg->required || positional);
			for (size_t j = 0; j < k; j++)
				assert_string_not_equal(api_verb_arg(v, j)->name, arg->name);
		}
		assert_true(v->target == API_NO_TARGET || streq(api_verb_arg(v, 0)->name, "name"));
		assert_null(v->arg[API_ARGS_MAX - 1].name);
	}
}

static void a_job_can_be_sent_off(void **state)
{
	const struct api_verb *start = api_verb_by_execute("vm-start"),
			      *list = api_verb_by_execute("vm-list");
	const struct api_arg *arg, *last = NULL;

	(void)state;
	for (size_t i = 0; (arg = api_verb_arg(start, i)); i++)
		last = arg;
	assert_string_equal(last->name, "wait");
	assert_int_equal(last->type, API_BOOL);
	for (size_t i = 0; (arg = api_verb_arg(list, i)); i++)
		assert_string_not_equal(arg->name, "wait");
}

static void exit_codes_are_the_contract(void **state)
{
	/* clang-format off */
	static const struct {
		enum err_class class;
		const char *name;
		int exit;
	} rows[] = {
		{ERR_FAILED,	      "Failed",	1 },
		{ ERR_USAGE,	     "Usage",	      2 },
		{ ERR_INVALID_CONFIG, "InvalidConfig", 2 },
		{ ERR_CONFLICT,	"Conflict",	    3 },
		{ ERR_NOT_FOUND,	 "NotFound",	     4 },
		{ ERR_WRONG_STATE,	   "WrongState",	 5 },
		{ ERR_TIMEOUT,	       "Timeout",	  6 },
		{ ERR_QEMU_FAILED,	   "QemuFailed",	 7 },
		{ ERR_GUEST_REFUSED,  "GuestRefused",  8 },
		{ ERR_PERMISSION,	  "Permission",	9 },
		{ ERR_UNREACHABLE,	   "Unreachable",	  10},
		{ ERR_NO_RESOURCES,   "NoResources",   11},
		{ ERR_DIFFERS,	      "Differs",       12},
	};
	/* clang-format on */
	enum err_class c;

	(void)state;
	assert_int_equal(ARRAY_SIZE(rows), ERR_CLASSES);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(api_class(rows[i].class)->name, rows[i].name);
		assert_int_equal(api_class(rows[i].class)->exit, rows[i].exit);
		assert_true(api_class_parse(rows[i].name, &c));
		assert_int_equal(c, rows[i].class);
	}
	assert_false(api_class_parse("GenericError", &c));
	assert_false(api_class_parse(NULL, &c));
}

static void the_schema_tells_all(void **state)
{
	json_t *schema = api_schema(), *verbs = json_object_get(schema, "verbs"), *start = NULL, *v;
	size_t i;

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(schema, "api")), API_VERSION);
	assert_int_equal(json_array_size(verbs), api_verbs_n);
	assert_int_equal(json_array_size(json_object_get(schema, "events")), api_events_n);
	assert_int_equal(json_array_size(json_object_get(schema, "classes")), ERR_CLASSES);
	json_array_foreach (verbs, i, v) {
		const struct api_verb *row = &api_verbs[i];
		const struct api_arg *arg;
		size_t args = 0;

		for (size_t k = 0; (arg = api_verb_arg(row, k)); k++)
			args += !arg->client;
		assert_string_equal(json_string_value(json_object_get(v, "execute")), row->execute);
		assert_string_equal(
			json_string_value(json_object_get(v, "role")), api_role_name(row->role));
		assert_int_equal(json_array_size(json_object_get(v, "arguments")), args);
		if (row == api_verb_by_execute("vm-wait"))
			start = v;
	}
	v = json_array_get(json_object_get(start, "arguments"), 1);
	assert_string_equal(json_string_value(json_object_get(v, "name")), "condition");
	assert_string_equal(json_string_value(json_object_get(v, "type")), "string");
	assert_true(json_is_true(json_object_get(v, "required")));
	assert_int_equal(json_array_size(json_object_get(v, "choices")), 4);
	json_decref(schema);
}

static void a_typing_error_is_met_with_the_nearest(void **state)
{
	(void)state;
	assert_string_equal(api_verb_nearest("vm-strat"), "vm-start");
	assert_string_equal(api_verb_nearest("net-lists"), "net-list");
	assert_null(api_verb_nearest("make-coffee-now"));
	assert_null(api_verb_nearest("vm-stp"));
	assert_null(api_verb_nearest("snapshot-delet"));
}

/* A new verb needs API_HARMS, or a row here if it may be suggested for a mistyped word. */
static void what_harms_is_marked(void **state)
{
	static const char *const harmless[] = { "vm-start", "vm-resume", "vm-wait", "vm-list",
		"vm-info", "vm-ip", "vm-ssh", "vm-console", "vm-log", "vm-history", "subscribe",
		"vm-check", "vm-cat", "vm-diff", "vm-cmdline", "vm-create", "vm-run", "vm-set",
		"vm-unset", "vm-enable", "vm-disable", "vm-rename", "vm-clone", "vm-file",
		"vm-edit", "vm-set-memory", "vm-cd", "disk-attach", "nic-attach", "snapshot-create",
		"snapshot-list", "guest-ping", "guest-info", "guest-exec", "guest-pull", "guest-fs",
		"guest-trim", "guest-thaw", "guest-time", "guest-command", "job-list", "vm-qmp",
		"net-list", "net-show", "net-leases", "net-start", "store-list", "image-list",
		"image-fetch", "host-check", "reload", "reexec", "query-version", "query-schema",
		"debug-loop", "qmp_capabilities" };

	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		bool harms = true;

		for (size_t k = 0; k < ARRAY_SIZE(harmless); k++)
			harms = harms && !streq(api_verbs[i].execute, harmless[k]);
		if (harms != !!(api_verbs[i].traits & API_HARMS))
			fail_msg("%s", api_verbs[i].execute);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_is_found_by_each_spelling),
		cmocka_unit_test(spellings_lead_where_their_users_expect),
		cmocka_unit_test(nothing_deletes_but_what_says_so),
		cmocka_unit_test(every_row_has_words),
		cmocka_unit_test(arguments_can_be_given_on_a_command_line),
		cmocka_unit_test(a_job_can_be_sent_off),
		cmocka_unit_test(exit_codes_are_the_contract),
		cmocka_unit_test(the_schema_tells_all),
		cmocka_unit_test(a_typing_error_is_met_with_the_nearest),
		cmocka_unit_test(what_harms_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
