/* SPDX-License-Identifier: MIT */
/*
 * Proves how users are classified: roles by uid and groups, primary or not; guests by their uids;
 * owners by name, number and group, from the files of this host.
 */
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/control/peer.h"

static struct peer *person(uid_t uid, gid_t first, gid_t second)
{
	struct peer *p = xcalloc(1, sizeof *p + 2 * sizeof(gid_t));

	p->refs = 1;
	p->uid = uid;
	p->group[p->groups++] = first;
	p->group[p->groups++] = second;
	return p;
}

static void roles_follow_uid_and_groups(void **state)
{
	/* clang-format off */
	static const struct {
		uid_t uid;
		gid_t first, second;
		struct peer_groups groups;
		enum api_role role;
	} rows[] = {
		{0,     0,	0,	   { 50, 52, 51 },	       API_ROLE_ROOT    },
		{ 1000, 50, 7,	       { 50, 52, 51 },		   API_ROLE_OPERATOR},
		{ 1000, 7,  50,	       { 50, 52, 51 },		   API_ROLE_OPERATOR},
		{ 1000, 51, 50,	{ 50, 52, 51 },		    API_ROLE_OPERATOR},
		{ 1000, 7,  51,	       { 50, 52, 51 },		   API_ROLE_VIEW	 },
		{ 1000, 51, 52,	{ 50, 52, 51 },		    API_ROLE_CREATE  },
		{ 1000, 52, 50,	{ 50, 52, 51 },		    API_ROLE_OPERATOR},
		{ 1000, 7,  8,	      { 50, 52, 51 },		  API_ROLE_NONE	},
		{ 1000, 0,  0,	      { 50, 52, 51 },		  API_ROLE_NONE	},
 /* this host has no such groups */
		{ 1000, 7,  (gid_t)-1, { (gid_t)-1, (gid_t)-1, (gid_t)-1 }, API_ROLE_NONE    },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct peer *p = person(rows[i].uid, rows[i].first, rows[i].second);

		assert_int_equal(peer_role(p, &rows[i].groups), rows[i].role);
		peer_unref(p);
	}
}

static void guests_are_known_by_uid(void **state)
{
	/* clang-format off */
	static const struct {
		uid_t uid;
		bool jail;
	} rows[] = {
		{0,		     false},
		{ 1000,		false},
		{ 1879048191,	      false},
		{ 1879048192,	      true },
		{ 1879048192 + 65535, true },
		{ 1879048192 + 65536, true }, /* networks' dnsmasq */
		{ 1879048192 + 69631, true },
		{ 1879048192 + 69632, true }, /* relays */
		{ 1879048192 + 69633, true }, /* a probed QEMU */
		{ 1879048192 + 69634, false},
		{ 1879048192 + 131072, true }, /* another daemon's */
		{ 1895825407,	       true },
		{ 1895825408,	       false},
		{ UINT32_MAX,	      false},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct peer *p = person(rows[i].uid, 1, 1);

		assert_int_equal(peer_is_jail(p), rows[i].jail);
		peer_unref(p);
	}
}

static void owners_are_named_in_several_ways(void **state)
{
	/* clang-format off */
	static const struct {
		const char *owner;
		bool is;
	} rows[] = {
		{"daemon",		    true },
		{ "1",		       true },
		{ "@sys",		  true },
		{ "@3",			true },
		{ "@1",			true },
		{ "root",		  false},
		{ "0",		       false},
		{ "@root",		   false},
		{ "@4",			false},
		{ "@daemonx",	      false},
		{ "nobody-of-that-name", false},
		{ "",		      false},
		{ "@",		       false},
		{ "-1",			false},
		{ "4294967295",		false},
		{ "1x",			false},
	};
	/* clang-format on */
	struct peer *p = person(1, 1, 3);
	const struct passwd *user = getpwnam("daemon");
	const struct group *group = getgrnam("sys");

	(void)state;
	if (!user || user->pw_uid != 1 || !group || group->gr_gid != 3) {
		print_message("skipped: user daemon is not 1 or group sys not 3 here\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (peer_is(p, rows[i].owner) != rows[i].is)
			fail_msg("owner '%s'", rows[i].owner);
	peer_unref(p);
}

static void the_kernel_tells_who_it_is(void **state)
{
	gid_t groups[256];
	int fd[2], n = getgroups(ARRAY_SIZE(groups), groups);
	const struct passwd *user = getpwuid(geteuid());
	struct peer *p;
	char who[64];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	p = peer_new(fd[0], NULL);
	assert_non_null(p);
	assert_int_equal(p->uid, geteuid());
	assert_int_equal(p->pid, getpid());
	assert_int_equal(p->groups, n + 1);
	assert_int_equal(p->group[0], getegid());
	if (user)
		snprintf(who, sizeof who, "%s", user->pw_name);
	else
		snprintf(who, sizeof who, "uid %u", geteuid());
	assert_string_equal(p->who, who);
	assert_ptr_equal(peer_ref(p), p);
	peer_unref(p);
	peer_unref(p);
	peer_unref(NULL);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_follow_uid_and_groups),
		cmocka_unit_test(guests_are_known_by_uid),
		cmocka_unit_test(owners_are_named_in_several_ways),
		cmocka_unit_test(the_kernel_tells_who_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
