/* SPDX-License-Identifier: MIT */
/*
 * Proves that handlers get only arguments that match the table: right names, right types, no
 * control characters, sizes and times as numbers; and that errors for other arguments say how to
 * fix them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/api/api.h"

static int check(const char *execute, const char *arguments, json_t **out, struct err *e)
{
	json_error_t why;
	json_t *args = json_loads(arguments, JSON_ALLOW_NUL, &why);
	const struct api_verb *v = api_verb_by_execute(execute);
	int r;

	if (!args)
		fail_msg("%s: %s", arguments, why.text);
	assert_non_null(v);
	err_clear(e);
	r = api_check_arguments(v, args, e);
	if (out)
		*out = args;
	else
		json_decref(args);
	return r;
}

static void good_arguments_pass_and_become_numbers(void **state)
{
	/* clang-format off */
	static const struct {
		const char *execute, *arguments, *after;
	} rows[] = {
		{"vm-start",	      "{\"name\":\"web1\"}",					     NULL},
		{ "vm-start",	      "{\"name\":\"web1\",\"paused\":true,\"wait\":false}",	    NULL},
		{ "vm-list",	     "{}",							 NULL},
		{ "vm-list",	     "{\"pattern\":\"web* \\u00e9 \\\"x\\\" %n\"}",		    NULL},
		{ "vm-set-memory",	   "{\"name\":\"a\",\"size\":\"512M\"}",
			"{\"name\":\"a\",\"size\":536870912}"						      },
		{ "vm-set-memory",	   "{\"name\":\"a\",\"size\":1}",				  NULL},
		{ "vm-set-memory",	   "{\"name\":\"a\",\"size\":0}",				  NULL},
		{ "vm-set-memory",	   "{\"name\":\"a\",\"size\":9223372036854775807}",		    NULL},
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":\"2min\"}",
			"{\"name\":\"a\",\"timeout\":120.0}"						     },
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":\"1500ms\"}",
			"{\"name\":\"a\",\"timeout\":1.5}"							   },
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":\"infinity\"}",
			"{\"name\":\"a\",\"timeout\":1000000000.0}"					    },
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":0.25}",			  NULL},
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":0}",			       NULL},
		{ "vm-log",	    "{\"name\":\"a\",\"which\":\"qemu\",\"lines\":0}",	       NULL},
		{ "vm-qmp",	    "{\"name\":\"a\",\"command\":{\"execute\":\"x\\u0000\\n\"}}", NULL},
		{ "vm-qmp",	    "{\"name\":\"a\",\"command\":null}",				 NULL},
		{ "job-cancel",	"{\"job\":3}",						NULL},
		{ "guest-exec",	"{\"name\":\"a\",\"command\":[\"sh\",\"-c\",\"a\\nb\",\"\"]}", NULL},
		{ "qmp_capabilities", "{\"enable\":[\"oob\"]}",					NULL},
		{ "snapshot-create",  "{\"name\":\"a\",\"snapshot\":\"before-upgrade.1\"}",	   NULL},
		{ "vm-info",
			"{\"name\":\"a23456789012345678901234567890123456789012345678901234567890123\"}",	NULL},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *after = rows[i].after ? rows[i].after : rows[i].arguments;
		json_t *args, *wanted = json_loads(after, JSON_ALLOW_NUL, NULL);
		struct err e = ERR_INIT;

		if (check(rows[i].execute, rows[i].arguments, &args, &e) < 0)
			fail_msg("%s %s: %s", rows[i].execute, rows[i].arguments, e.text);
		assert_true(json_equal(args, wanted));
		json_decref(args);
		json_decref(wanted);
	}
}

static void bad_arguments_are_refused_with_words(void **state)
{
	/* clang-format off */
	static const struct {
		const char *execute, *arguments, *text, *hint;
	} rows[] = {
		{"vm-start",	      "{}",							    "vm-start: argument 'name' is missing", ""		       },
		{ "vm-start",      "{\"nmae\":\"a\"}",						  "unknown argument 'nmae'",
			"did you mean 'name'?"															    },
		{ "vm-start",      "{\"name\":\"a\",\"zzzzzz\":1}",				       "unknown argument 'zzzzzz'",
			"query-schema lists the arguments"														},
		{ "query-version", "{\"a\":1}",						     "unknown argument 'a'",			"it takes no arguments"},
		{ "vm-start",      "{\"name\":1}",						  "argument 'name' is not a name",	       ""			  },
		{ "vm-start",      "{\"name\":null}",						 "argument 'name' is not a name",	  ""		     },
		{ "vm-start",      "{\"name\":\"\"}",						 "argument 'name' is not a name",	  ""		     },
		{ "vm-start",      "{\"name\":\"../etc\"}",					       "argument 'name' is not a name",	""			   },
		{ "vm-start",      "{\"name\":\".a\"}",						   "argument 'name' is not a name",	    ""		       },
		{ "vm-start",      "{\"name\":\"a b\"}",					    "argument 'name' is not a name",	     ""			},
		{ "vm-start",      "{\"name\":\"a\\u0000b\"}",					  "argument 'name' is not a name",	   ""		      },
		{ "vm-start",      "{\"name\":\"a\\n\"}",					     "argument 'name' is not a name",	      ""			 },
		{ "vm-info",
			"{\"name\":\"a234567890123456789012345678901234567890123456789012345678901234\"}", "argument 'name' is not a name",	 ""			    },
		{ "vm-start",      "{\"name\":\"a\",\"paused\":\"yes\"}",
			"'paused' is not true or false",											   ""			    },
		{ "vm-start",      "{\"name\":\"a\",\"wait\":0}",				     "'wait' is not true or false",	    ""		       },
		{ "vm-list",	     "{\"wait\":true}",						"unknown argument 'wait'",		   NULL			},
		{ "vm-list",	     "{\"pattern\":\"a\\u001b[2J\"}",				      "'pattern' is not a text",		 ""			    },
		{ "vm-list",	     "{\"pattern\":\"a\\u007f\"}",					   "'pattern' is not a text",	      ""			 },
		{ "vm-list",	     "{\"pattern\":\"a\\u009b\"}",					   "'pattern' is not a text",	      ""			 },
		{ "vm-list",	     "{\"pattern\":\"a\\u0000\"}",					   "'pattern' is not a text",	      ""			 },
		{ "vm-list",	     "{\"pattern\":[]}",						 "'pattern' is not a text",		    ""		       },
		{ "guest-exec", "{\"name\":\"a\",\"command\":[]}", "'command' is not a list of texts", "" },
		{ "guest-exec", "{\"name\":\"a\",\"command\":\"ls\"}", "'command' is not a list", "" },
		{ "guest-exec", "{\"name\":\"a\",\"command\":[\"ls\",1]}", "'command' is not a list", "" },
		{ "guest-exec", "{\"name\":\"a\",\"command\":[\"l\\u0000s\"]}", "'command' is not a list", "" },
		{ "vm-set-memory", "{\"name\":\"a\"}",					       "argument 'size' is missing",	     ""			},
		{ "vm-set-memory", "{\"name\":\"a\",\"size\":-1}",				   "'size' is not a size",		   ""		      },
		{ "vm-set-memory", "{\"name\":\"a\",\"size\":1.5}",				    "'size' is not a size",		    ""		       },
		{ "vm-set-memory", "{\"name\":\"a\",\"size\":\"12 apples\"}",
			"'size' is not a size",												    ""			   },
		{ "vm-set-memory", "{\"name\":\"a\",\"size\":\"16777216T\"}",
			"'size' is not a size",												    ""			   },
		{ "vm-set-memory", "{\"name\":\"a\",\"size\":\"8388608T\"}",			     "'size' is not a size",
			""																		},
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":-1}",				"'timeout' is not a time",		   ""		      },
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":1e300}",				   "'timeout' is not a time",	      ""			 },
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":\"soon\"}",			      "'timeout' is not a time",
			""																		},
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":true}",				  "'timeout' is not a time",		     ""			},
		{ "vm-stop",	     "{\"name\":\"a\",\"timeout\":\"99999999999999w\"}",
			"'timeout' is not a time",												 ""		      },
		{ "vm-log",	    "{\"name\":\"a\",\"which\":\"kernel\"}",
			"'which' is not one of: console, qemu",										    ""			   },
		{ "vm-log",	    "{\"name\":\"a\",\"lines\":-5}",				     "'lines' is not a whole number",	      ""			 },
		{ "vm-log",	    "{\"name\":\"a\",\"lines\":2.0}",				      "'lines' is not a whole number",	       ""			  },
		{ "vm-wait",	     "{\"name\":\"a\",\"condition\":\"ready\"}",
			"'condition' is not one of: stopped, running, paused, ip",								   ""		      },
		{ "vm-qmp",	    "{\"name\":\"a\"}",						"argument 'command' is missing",	 ""			    },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;

		if (check(rows[i].execute, rows[i].arguments, NULL, &e) == 0)
			fail_msg("%s takes %s", rows[i].execute, rows[i].arguments);
		assert_int_equal(e.class, ERR_USAGE);
		if (!strstr(e.text, rows[i].text))
			fail_msg("%s: '%s' not in '%s'", rows[i].arguments, rows[i].text, e.text);
		if (rows[i].hint)
			assert_string_equal(e.hint, rows[i].hint);
	}
}

/* A long key sent by a hostile client must not push the message out of the text. */
static void a_long_name_is_cut(void **state)
{
	char args[4000];
	struct err e = ERR_INIT;

	(void)state;
	snprintf(args, sizeof args, "{\"%0*d\":1}", 3000, 7);
	assert_true(check("vm-list", args, NULL, &e) < 0);
	assert_true(strlen(e.text) < 200);
}

/* Text influenced by QEMU may be cut inside a character, or contain anything. */
static void an_error_can_always_be_said(void **state)
{
	/* clang-format off */
	static const struct {
		const char *text, *hint, *desc;
	} rows[] = {
		{"disk 'a' is missing",	 "mount it", "disk 'a' is missing"   },
		{ "caf\xc3\xa9 \xe2\x82", "",	      "caf\xc3\xa9 \\xe2\\x82"},
		{ "two\nlines \xff",	     "\xff",     "two\nlines \\xff"	},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = ERR_INIT;
		json_t *o;

		err_set(&e, ERR_QEMU_FAILED, "%s", rows[i].text);
		err_hint(&e, "%s", rows[i].hint);
		o = api_error_json(&e);
		assert_string_equal(json_string_value(json_object_get(o, "class")), "QemuFailed");
		assert_string_equal(json_string_value(json_object_get(o, "desc")), rows[i].desc);
		assert_int_equal(json_object_get(o, "hint") != NULL, *rows[i].hint != 0);
		json_decref(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_arguments_pass_and_become_numbers),
		cmocka_unit_test(bad_arguments_are_refused_with_words),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(an_error_can_always_be_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
