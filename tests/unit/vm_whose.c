/* SPDX-License-Identifier: MIT */
/* Proves which VM a process without a record belongs to: its own claims never make it another
 * VM's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/vm/whose.h"

#define UUID_A "aaaaaaaa-0000-4000-8000-000000000001"
#define UUID_B "bbbbbbbb-0000-4000-8000-000000000002"
#define UUID_C "cccccccc-0000-4000-8000-000000000003"

/* c has lost its identity */
static const struct whose_vm vms[] = { { "a", 1001, UUID_A }, { "b", 1002, UUID_B },
	{ "c", 0, "" } };

static void chosen(void **state)
{
	/* clang-format off */
	static const struct {
		struct whose_process p; /* uid, group, root, name, uuid */
		enum whose ours, shared; /* the uids are only ours, or may be another daemon's too */
		const char *owner;
	} cases[] = {
		/* cgroup and root decide */
		{ { 1001, "a", "",  "a", UUID_A }, WHOSE_OWN,     WHOSE_OWN,     "a" },
		{ { 1001, "",  "a", "a", UUID_A }, WHOSE_OWN,     WHOSE_OWN,     "a" },
		{ { 1001, "a", "a", "b", UUID_B }, WHOSE_HOSTILE, WHOSE_HOSTILE, "a" },
		{ { 1001, "",  "a", "b", UUID_B }, WHOSE_HOSTILE, WHOSE_HOSTILE, "a" },
		{ { 1001, "a", "",  "a", UUID_B }, WHOSE_HOSTILE, WHOSE_HOSTILE, "a" },
		{ { 1001, "a", "",  "",  ""     }, WHOSE_OWN,     WHOSE_OWN,     "a" },
		/* also if the identity was lost and recreated, and for an orphan */
		{ { 1009, "a", "",  "a", UUID_A }, WHOSE_OWN,     WHOSE_OWN,     "a" },
		{ { 1009, "c", "",  "c", UUID_C }, WHOSE_OWN,     WHOSE_OWN,     "c" },
		{ { 1009, "",  "c", "a", UUID_A }, WHOSE_HOSTILE, WHOSE_HOSTILE, "c" },
		{ { 1009, "d", "",  "d", UUID_C }, WHOSE_OWN,     WHOSE_OWN,     "d" },
		{ { 1009, "",  "d", "a", UUID_A }, WHOSE_HOSTILE, WHOSE_HOSTILE, "d" },
		/* without these the uid decides; another daemon's VM may have the same uid, but not
		 * the UUID */
		{ { 1001, "",  "",  "a", UUID_A }, WHOSE_OWN,     WHOSE_OWN,     "a" },
		{ { 1001, "",  "",  "b", UUID_B }, WHOSE_HOSTILE, WHOSE_NOBODYS, "a" },
		{ { 1001, "",  "",  "b", UUID_A }, WHOSE_HOSTILE, WHOSE_HOSTILE, "a" },
		{ { 1001, "",  "",  "",  ""     }, WHOSE_OWN,     WHOSE_NOBODYS, "a" },
		/* a process with only its own claims can only be a VM that no other process is */
		{ { 1009, "",  "",  "c", UUID_C }, WHOSE_OWN,     WHOSE_NOBODYS, "c" },
		{ { 1009, "",  "",  "d", UUID_C }, WHOSE_OWN,     WHOSE_NOBODYS, "d" },
		{ { 1009, "",  "",  "a", UUID_A }, WHOSE_NOBODYS, WHOSE_NOBODYS, "" },
		{ { 1009, "",  "",  "../a", "" },  WHOSE_NOBODYS, WHOSE_NOBODYS, "" },
		{ { 1009, "",  "",  "",  ""     }, WHOSE_NOBODYS, WHOSE_NOBODYS, "" },
	};
	/* clang-format on */
	char owner[WHOSE_NAME];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("case %zu\n", i);
		assert_int_equal(
			whose(&cases[i].p, vms, ARRAY_SIZE(vms), true, owner), cases[i].ours);
		assert_string_equal(owner, cases[i].owner);
		assert_int_equal(
			whose(&cases[i].p, vms, ARRAY_SIZE(vms), false, owner), cases[i].shared);
		assert_string_equal(owner, cases[i].shared == WHOSE_NOBODYS ? "" : cases[i].owner);
	}
}

static void groups(void **state)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{ "0::/vmkeep.slice/vmkeep-web1.scope\n", "web1" },
		{ "0::/vmkeep.slice/vmkeep-a-b.scope\n", "a-b" },
		{ "0::/vmkeep/web1\n", "web1" },
		{ "12:pids:/vmkeep/web1\n1:name=systemd:/user.slice\n0::/\n", "web1" },
		{ "0::/system.slice/docker.scope/vmkeep.slice/vmkeep-a.scope\n", "a" },
		{ "0::/vmkeep.slice/vmkeep12345678-web1.scope\n",
			"" }, /* belongs to another run directory */
		{ "0::/vmkeep12345678/web1\n", "" },
		{ "0::/user.slice/vmkeep-web1.scope\n", "" },
		{ "0::/vmkeep.slice/vmkeep-.scope\n", "" },
		{ "0::/vmkeep.slice/vmkeep-web1.service\n", "" },
		{ "0::/vmkeep/web1/more\n", "" },
		{ "0::/system.slice/vmkeepd.service\n", "" },
		{ "0::/\n", "" },
		{ "nonsense\n", "" },
		{ "", "" },
	};
	char name[WHOSE_NAME];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		whose_group(cases[i].text, "vmkeep", name);
		assert_string_equal(name, cases[i].name);
	}
}

static void claims(void **state)
{
	static const char words[] =
		"qemu\0-name\0guest=web1,process=vmkeep:web1\0-uuid\0" UUID_A "\0-S";
	struct whose_process p = { 0 };

	(void)state;
	whose_claims(words, sizeof words - 1, &p);
	assert_string_equal(p.name, "web1");
	assert_string_equal(p.uuid, UUID_A);
	whose_claims("qemu\0-name\0web1\0-uuid\0short", 27, &p);
	assert_string_equal(p.name, "");
	assert_string_equal(p.uuid, "");
	whose_claims("", 0, &p);
	assert_string_equal(p.name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen),
		cmocka_unit_test(groups),
		cmocka_unit_test(claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
