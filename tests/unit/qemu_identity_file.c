/* SPDX-License-Identifier: MIT */
/*
 * An identity is saved and loaded unchanged. A damaged file costs the identity, never the daemon's
 * start, and is remembered; one of a newer version is refused.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "supervisor/host/uids.h"
#include "tests/unit/identity.h"

static size_t damaged(struct fixture *f)
{
	DIR *dir = opendir(f->dir);
	size_t n = 0;

	for (struct dirent *d; (d = readdir(dir));)
		n += strncmp(d->d_name, "identity.json.damaged-", 22) == 0;
	closedir(dir);
	return n;
}

static void test_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_string_equal(f->id.uuid, "");
	assert_int_equal(f->e.number, 0);
	assert_int_equal(identity_draft(&f->id, f->dirfd, &f->e), 0);
	assert_int_equal(faccessat(f->dirfd, "identity.json", F_OK, 0), -1); /* nothing to record */
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	char *first, *second;

	assert_int_equal(complete(f, &vm), 0);
	f->id.uid = UIDS_FIRST + 7;
	identity_pin_machine(&f->id, "q35", "pc-q35-7.2");
	identity_slot(&f->id, "disk-root", 33, 97);
	identity_slot(&f->id, "nic-lan", 33, 97);
	identity_nic(&f->id, "lan")->address = 0xc0a87a05;
	identity_nic(&f->id, "lan")->network = xstrdup("default");
	identity_disk(&f->id, "root")->created = INT64_C(1795401793);
	keep(f);
	first = get(f);
	assert_non_null(strstr(first, "192.168.122.5"));

	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_false(f->id.dirty);
	assert_int_equal(f->id.uid, UIDS_FIRST + 7);
	assert_string_equal(f->id.machine, "pc-q35-7.2");
	assert_int_equal(identity_nic(&f->id, "lan")->address, 0xc0a87a05);
	assert_int_equal(identity_disk(&f->id, "root")->created, INT64_C(1795401793));
	assert_string_equal(identity_disk(&f->id, "odd")->path, "/srv/odd, \"x\".bin");
	assert_int_equal(identity_slot(&f->id, "nic-lan", 33, 97), 34);
	assert_int_equal(complete(f, &vm), 0);
	assert_false(f->id.dirty);
	keep(f);
	second = get(f);
	assert_string_equal(first, second);
	free(first);
	free(second);
}

/* A draft of a VM that never ran is returned again, does not count as saved, and never replaces a
 * saved identity. */
static void test_draft(void **state)
{
	struct fixture *f = *state;
	char uuid[37], *text;
	struct stat st;

	assert_int_equal(complete(f, &vm), 0);
	memcpy(uuid, f->id.uuid, sizeof uuid);
	assert_int_equal(identity_draft(&f->id, f->dirfd, &f->e), 0);
	assert_true(f->id.dirty);
	assert_int_equal(fstatat(f->dirfd, "identity.json", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_string_equal(f->id.uuid, uuid);
	assert_true(f->id.dirty);
	keep(f);
	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_false(f->id.dirty);
	identity_pin_machine(&f->id, "q35", "pc-q35-7.2");
	assert_true(f->id.dirty);
	assert_int_equal(identity_draft(&f->id, f->dirfd, &f->e), 0);
	text = get(f);
	assert_null(strstr(text, "pc-q35-7.2"));
	free(text);
}

/* Truncated anywhere, or with any member wrong: set aside, and the VM gets a new identity. */
static void test_damaged(void **state)
{
	static const char *const wrong[] = {
		"[]",
		"{\"version\": 1}",
		"{\"version\": 1, \"uuid\": \"short\", \"uid\": 1, \"nics\": [], \"disks\": [], \"slots\": {}}",
		"{\"version\": 1, \"uuid\": \"5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa\", \"uid\": -1, \"nics\": [],"
		" \"disks\": [], \"slots\": {}}",
		"{\"version\": 1, \"uuid\": \"5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa\", \"uid\": 1, \"nics\": [],"
		" \"disks\": [], \"slots\": {\"a\": 5, \"b\": 5}}",
		"{\"version\": 1, \"uuid\": \"5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa\", \"uid\": 1, \"nics\": [],"
		" \"disks\": [], \"slots\": {\"a\": 250}}",
		"{\"version\": 1, \"uuid\": \"5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa\", \"uid\": 1, \"nics\":"
		" [{\"id\": \"lan\", \"mac\": \"52:54:00:1\"}], \"disks\": [], \"slots\": {}}",
		"{\"version\": 1, \"uuid\": \"5f4dcc3b-5aa7-4c5d-8327-deb882cf99aa\", \"uid\": 1, \"nics\": [],"
		" \"disks\": [{\"id\": \"root\", \"format\": \"vmdk\", \"created\": 0}], \"slots\": {}}",
	};
	struct fixture *f = *state;
	char *whole;

	assert_int_equal(complete(f, &vm), 0);
	keep(f);
	whole = get(f);
	for (size_t cut = 0; cut + 2 < strlen(whole); cut += 13) {
		char *part = xstrndup(whole, cut);

		put(f, part);
		assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
		assert_string_equal(f->id.uuid, "");
		assert_int_equal(faccessat(f->dirfd, "identity.json", F_OK, 0), -1);
		free(part);
	}
	assert_true(damaged(f) > 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		put(f, wrong[i]);
		assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
		assert_string_equal(f->id.uuid, "");
		assert_int_equal(f->id.nics + f->id.disks + f->id.slots, 0);
	}
	free(whole);
}

/* A path that is not a file counts as damaged. */
static void test_no_file(void **state)
{
	static const mode_t kinds[] = { S_IFIFO, S_IFSOCK, S_IFDIR };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(kinds[i] == S_IFDIR
					 ? mkdirat(f->dirfd, "identity.json", 0700)
					 : mknodat(f->dirfd, "identity.json", kinds[i] | 0600, 0),
			0);
		assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
		assert_int_equal(f->e.number, 0);
		assert_memory_equal(f->id.damaged, "identity.json.damaged-", 22);
		assert_int_equal(
			faccessat(f->dirfd, "identity.json", F_OK, AT_SYMLINK_NOFOLLOW), -1);
		assert_int_equal(
			unlinkat(f->dirfd, f->id.damaged, kinds[i] == S_IFDIR ? AT_REMOVEDIR : 0),
			0);
	}
}

static void test_from_the_future(void **state)
{
	struct fixture *f = *state;

	put(f, "{\"version\": 2, \"more\": true}");
	assert_true(identity_load(&f->id, f->dirfd, &f->e) < 0);
	assert_non_null(strstr(f->e.text, "version 2"));
	assert_int_equal(damaged(f), 0); /* it is left alone */
}

/* A damaged file that was set aside is remembered until another identity is saved, and so is its
 * UUID if that is readable. */
static void test_damaged_is_remembered(void **state)
{
	static const char uuid[] = "7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d";
	struct fixture *f = *state;
	struct conf_vm named = vm;

	put(f, "{\"version\": 1, \"uuid\": \"7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d\", \"ui");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
		assert_memory_equal(f->id.damaged, "identity.json.damaged-", 22);
		assert_string_equal(f->id.damaged_uuid, uuid);
		assert_false(f->id.kept);
	}
	assert_int_equal(complete(f, &vm), 0);
	assert_int_equal(identity_draft(&f->id, f->dirfd, &f->e), 0);
	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_string_equal(f->id.damaged_uuid, uuid);
	named.uuid = uuid;
	assert_int_equal(complete(f, &named), 0);
	assert_string_equal(f->id.uuid, uuid);
	keep(f);
	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_string_equal(f->id.damaged, "");
	named.uuid =
		"00000000-7c3b-4a69-9f0e-0d8f1a2b3c4d"; /* a start refuses it: the identity does not change */
	assert_int_equal(complete(f, &named), 0);
	assert_string_equal(f->id.uuid, uuid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_draft, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_the_future, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_is_remembered, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm identity file", tests, NULL, NULL);
}
