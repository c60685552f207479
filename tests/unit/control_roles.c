/* SPDX-License-Identifier: MIT */
/*
 * Proves what a client may do on the control socket depending on its user: roles, owners of a VM,
 * and guests, which are refused. For the classification of users see control_peer.c.
 */
#include "tests/unit/control.h"

static void who_connects_decides_what_he_may(void **state)
{
	/* clang-format off */
	static const struct {
		const char *request;
		enum api_role least;
	} verbs[] = {
		{"{\"execute\":\"query-version\"}",					     API_ROLE_NONE	   },
		{ "{\"execute\":\"query-schema\"}",					    API_ROLE_NONE	  },
		{ "{\"execute\":\"vm-list\"}",					       API_ROLE_VIEW    },
		{ "{\"execute\":\"subscribe\"}",						 API_ROLE_VIEW    },
		{ "{\"execute\":\"vm-info\",\"arguments\":{\"name\":\"x\"}}",	      API_ROLE_VIEW    },
		{ "{\"execute\":\"vm-create\",\"arguments\":{\"name\":\"x\"}}",	      API_ROLE_CREATE  },
		{ "{\"execute\":\"vm-kill\",\"arguments\":{\"name\":\"x\"}}",	      API_ROLE_OWNER   },
		{ "{\"execute\":\"job-cancel\",\"arguments\":{\"job\":1}}",		    API_ROLE_OWNER   },
		{ "{\"execute\":\"reload\"}",					      API_ROLE_OPERATOR},
		{ "{\"execute\":\"net-stop\",\"arguments\":{\"name\":\"x\"}}",	       API_ROLE_OPERATOR},
		{ "{\"execute\":\"vm-qmp\",\"arguments\":{\"name\":\"x\",\"command\":1}}",
			API_ROLE_ROOT									      },
	};
	/* clang-format on */
	/* clang-format off */
	static const struct {
		uid_t uid;
		gid_t group;
		enum api_role role;
		const char *class; /* if refused */
	} people[] = {
		{0,	     0,		API_ROLE_ROOT,     NULL},
		{ NOBODY, OPERATORS, API_ROLE_OPERATOR, NULL},
		{ NOBODY, VIEWERS,   API_ROLE_VIEW,	  NULL},
		{ NOBODY, CREATORS,  API_ROLE_CREATE,   NULL},
		{ NOBODY, 0,	     API_ROLE_NONE,	    NULL},
		{ 1234,	0,	   API_ROLE_NONE,	  NULL},
	};
	/* clang-format on */

	(void)state;
	need_root();
	for (size_t p = 0; p < ARRAY_SIZE(people); p++) {
		struct client c;

		call_as(&c, people[p].uid, people[p].group);
		json_decref(read_line(&c));
		for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
			json_t *o = ask(&c, verbs[v].request);

			if (people[p].role >= verbs[v].least) {
				assert_non_null(json_object_get(o, "return"));
			} else {
				assert_string_equal(error_text(o, "class"), "Permission");
				assert_non_null(strstr(error_text(o, "hint"), "use sudo"));
			}
			json_decref(o);
		}
		hang_up(&c);
	}
}

static void an_owner_may_with_his_own_vm(void **state)
{
	/* clang-format off */
	static const struct {
		const char *request;
		bool allowed;
	} rows[] = {
		{"{\"execute\":\"vm-start\",\"arguments\":{\"name\":\"his\"}}",		 true },
		{ "{\"execute\":\"vm-info\",\"arguments\":{\"name\":\"his\"}}",		true },
		{ "{\"execute\":\"vm-start\",\"arguments\":{\"name\":\"other\"}}",	   false},
		{ "{\"execute\":\"vm-info\",\"arguments\":{\"name\":\"other\"}}",		  false},
		{ "{\"execute\":\"vm-qmp\",\"arguments\":{\"name\":\"his\",\"command\":1}}",
			false									    },
		{ "{\"execute\":\"net-show\",\"arguments\":{\"name\":\"his\"}}",		 false},
		{ "{\"execute\":\"job-cancel\",\"arguments\":{\"job\":7}}",		    true },
		{ "{\"execute\":\"job-cancel\",\"arguments\":{\"job\":8}}",		    false},
		{ "{\"execute\":\"vm-list\"}",					       false},
	};
	/* clang-format on */
	struct client c;

	(void)state;
	need_root();
	call_as(&c, NOBODY, 0);
	json_decref(read_line(&c));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		json_t *o = ask(&c, rows[i].request),
		       *role = json_object_get(json_object_get(o, "return"), "role");

		if (rows[i].allowed)
			assert_string_equal(json_string_value(role), "owner");
		else
			assert_string_equal(error_text(o, "class"), "Permission");
		json_decref(o);
	}
	hang_up(&c);
}

static void a_guest_is_turned_away(void **state)
{
	static const uid_t guests[] = { 1879048192, 1879048192 + 65535,
		1879048192 + 69631 /* a dnsmasq */, 1879048192 + 131072 /* another daemon's */,
		1879048192 + 69632 /* a relay */, 1879048192 + 69633 /* a probed QEMU */ };
	struct client c;
	json_t *o;

	(void)state;
	need_root();
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		call_as(&c, guests[i], 0);
		o = read_line(&c);
		assert_string_equal(error_text(o, "class"), "Permission");
		json_decref(o);
		WAIT_FOR(c.end);
		hang_up(&c);
	}
	call_as(&c, guests[ARRAY_SIZE(guests) - 1] + 1, 0);
	o = read_line(&c);
	assert_non_null(json_object_get(o, "QMP"));
	json_decref(o);
	hang_up(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_connects_decides_what_he_may),
		TEST(an_owner_may_with_his_own_vm),
		TEST(a_guest_is_turned_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
