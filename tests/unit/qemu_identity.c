/* SPDX-License-Identifier: MIT */
/*
 * What of a VM must not move does not: through save and load, through changes of its file, and for
 * devices that go and come back. A damaged file costs the identity, never the start; one from the
 * future is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/host/uids.h"
#include "supervisor/qemu/identity.h"

struct fixture {
	char dir[64];
	int dirfd;
	struct identity id;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	strcpy(f->dir, "/tmp/vmkeep-identity-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	identity_release(&f->id);
	close(f->dirfd);
	file_remove_tree(AT_FDCWD, f->dir, NULL);
	free(f);
	return 0;
}

static void put(struct fixture *f, const char *text)
{
	assert_int_equal(
		file_replace(f->dirfd, "identity.json", 0600, text, strlen(text), false, NULL), 0);
}

/* As vmkeep-jail does it. */
static void keep(struct fixture *f)
{
	json_t *doc = identity_json(&f->id);
	char *text = json_dumps(doc, JSON_INDENT(1));

	put(f, text);
	free(text);
	json_decref(doc);
}

static char *get(struct fixture *f)
{
	struct buf b = BUF_MAX(1 << 20);

	assert_int_equal(file_read(f->dirfd, "identity.json", &b, &f->e), 0);
	return buf_steal(&b);
}

static size_t damaged(struct fixture *f)
{
	DIR *dir = opendir(f->dir);
	size_t n = 0;

	for (struct dirent *d; (d = readdir(dir));)
		n += strncmp(d->d_name, "identity.json.damaged-", 22) == 0;
	closedir(dir);
	return n;
}

/* clang-format off */
static struct conf_disk disks[] = {
	{.id = "root",	.path = "web1.qcow2"	     },
	{ .id = "data", .path = "/dev/vg0/data"	},
	{ .id = "odd",  .path = "/srv/odd, \"x\".bin", .format = CONF_FORMAT_RAW },
	{ .id = "cd",	      .cdrom = true				    },
};
/* clang-format on */

/* clang-format off */
static struct conf_nic nics[] = {
	{.id = "lan",					   .network = "default"},
	{	   .id = "wan",				 .network = "default"		    },
	{ .id = "own", .network = "default",		     .mac = { true, { 0x52, 0x54, 0, 0xb5, 0xac, 0x8f } } },
};
/* clang-format on */

static const struct conf_vm vm = {
	.name = "web1",
	.disk = disks,
	.disks = ARRAY_SIZE(disks),
	.nic = nics,
	.nics = ARRAY_SIZE(nics),
};

static int complete(struct fixture *f, const struct conf_vm *c)
{
	return identity_complete(&f->id, c, "/images", NULL, NULL, &f->e);
}

static void test_none(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_string_equal(f->id.uuid, "");
	assert_int_equal(f->e.number, 0);
	assert_int_equal(identity_draft(&f->id, f->dirfd, &f->e), 0);
	assert_int_equal(faccessat(f->dirfd, "identity.json", F_OK, 0), -1); /* nothing to say */
}

static void test_complete(void **state)
{
	struct fixture *f = *state;
	static const uint8_t ours[] = { 0x52, 0x54, 0 };

	assert_int_equal(complete(f, &vm), 0);
	assert_true(f->id.dirty);
	assert_int_equal(strlen(f->id.uuid), 36);
	assert_int_equal(f->id.uuid[14], '4');		 /* version */
	assert_non_null(strchr("89ab", f->id.uuid[19])); /* variant */
	assert_int_equal(f->id.nics, 3);
	assert_memory_equal(identity_nic(&f->id, "lan")->mac, ours, 3);
	assert_memory_not_equal(
		identity_nic(&f->id, "lan")->mac, identity_nic(&f->id, "wan")->mac, ETH_ALEN);
	/* MACAddress= may be another VM's: a start that may have it keeps it */
	assert_memory_not_equal(identity_nic(&f->id, "own")->mac, nics[2].mac.byte, ETH_ALEN);
	assert_int_equal(f->id.disks, 3); /* the empty drive has no file */
	assert_string_equal(identity_disk(&f->id, "root")->path, "/images/web1.qcow2");
	assert_int_equal(identity_disk(&f->id, "root")->format, CONF_FORMAT_QCOW2);
	assert_int_equal(identity_disk(&f->id, "data")->format, CONF_FORMAT_RAW);
	assert_int_equal(identity_disk(&f->id, "odd")->format, CONF_FORMAT_RAW);
	assert_null(identity_disk(&f->id, "cd"));

	/* a second time there is nothing to do */
	f->id.dirty = false;
	assert_int_equal(complete(f, &vm), 0);
	assert_false(f->id.dirty);
}

static void test_uuid_is_random(void **state)
{
	struct identity a = IDENTITY_INIT, b = IDENTITY_INIT;

	(void)state;
	identity_make_uuid(&a);
	identity_make_uuid(&b);
	assert_string_not_equal(a.uuid, b.uuid);
	memcpy(b.uuid, a.uuid, sizeof b.uuid);
	identity_make_uuid(&b);
	assert_string_equal(a.uuid, b.uuid); /* kept */
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

/* What was told of a VM that never ran is told again, and is not taken for safely kept; it is never
 * written over what is. */
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

/* Cut anywhere, or wrong in any member: set aside, and the VM gets a new identity. */
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

/* What is no file at all is a damage like any other. */
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

struct taken {
	unsigned calls, refuse;
	uint8_t last[ETH_ALEN];
};

static bool is_taken(void *data, const uint8_t mac[ETH_ALEN])
{
	struct taken *t = data;

	t->calls++;
	memcpy(t->last, mac, ETH_ALEN);
	return t->calls <= t->refuse;
}

static void test_mac_collisions(void **state)
{
	const struct conf_vm one = { .name = "web1", .nic = nics, .nics = 1 };
	struct fixture *f = *state;
	struct taken t = { .refuse = 3 };

	assert_int_equal(identity_complete(&f->id, &one, "/images", is_taken, &t, &f->e), 0);
	assert_int_equal(t.calls, 4);
	assert_memory_equal(identity_nic(&f->id, "lan")->mac, t.last, ETH_ALEN);

	/* one that it already has is never asked about again */
	t.refuse = 1000000;
	assert_int_equal(identity_complete(&f->id, &one, "/images", is_taken, &t, &f->e), 0);
	assert_int_equal(t.calls, 4);

	identity_release(&f->id);
	assert_true(identity_complete(&f->id, &one, "/images", is_taken, &t, &f->e) < 0);
	assert_int_equal(f->e.class, ERR_CONFLICT);
}

static void test_changes(void **state)
{
	static const char uuid[] = "1c4d0a5e-9b0f-4a6e-8d2c-3f5b6a7c8d9e";
	struct conf_disk disk = disks[0];
	struct conf_nic nic = nics[2];
	struct conf_vm c = { .name = "web1", .disk = &disk, .disks = 1, .nic = &nic, .nics = 1 };
	struct fixture *f = *state;
	uint8_t lan[ETH_ALEN];

	assert_int_equal(complete(f, &vm), 0);
	memcpy(lan, identity_nic(&f->id, "lan")->mac, ETH_ALEN);
	memcpy(identity_nic(&f->id, "own")->mac, nics[2].mac.byte, ETH_ALEN);

	/* what left the file comes back as it was; a MAC that is no longer written stays */
	nic.mac.set = false;
	assert_int_equal(complete(f, &c), 0);
	assert_int_equal(complete(f, &vm), 0);
	assert_memory_equal(identity_nic(&f->id, "lan")->mac, lan, ETH_ALEN);
	assert_memory_equal(identity_nic(&f->id, "own")->mac, nics[2].mac.byte, ETH_ALEN);

	/* the format is pinned with the file, by name or by Format=, and another file is another
	 * matter */
	identity_disk(&f->id, "root")->created = 5;
	disk.format = CONF_FORMAT_RAW;
	assert_int_equal(complete(f, &c), 0);
	disk.format = CONF_FORMAT_AUTO;
	assert_int_equal(complete(f, &c), 0);
	assert_int_equal(identity_disk(&f->id, "root")->format, CONF_FORMAT_RAW);
	assert_int_equal(identity_disk(&f->id, "root")->created, 5);
	disk.path = "other.qcow2";
	assert_int_equal(complete(f, &c), 0);
	assert_int_equal(identity_disk(&f->id, "root")->format, CONF_FORMAT_QCOW2);
	assert_int_equal(identity_disk(&f->id, "root")->created, 0);
	disk.path = "other";
	assert_true(complete(f, &c) < 0);
	assert_string_equal(
		f->e.text, "disk 'root': cannot tell the format from 'other', add Format=");
	disk.path = "other.raw";

	/* a UUID that the operator writes wins, and stays */
	c.uuid = uuid;
	assert_int_equal(complete(f, &c), 0);
	assert_string_equal(f->id.uuid, uuid);
	c.uuid = NULL;
	assert_int_equal(complete(f, &c), 0);
	assert_string_equal(f->id.uuid, uuid);
}

static void test_machine(void **state)
{
	/* clang-format off */
	static const struct {
		const char *wish, *machine, *kept;
		unsigned slot; /* of a device that asks for one from 10 up */
	} cases[] = {
		{"q35",	 "pc-q35-7.2",    "pc-q35-7.2",    10},
		{ "q35",	 "pc-q35-9.0",    "pc-q35-7.2",    10}, /* QEMU is newer, the VM is not */
		{ "pc-q35-9.0", "pc-q35-9.0",    "pc-q35-9.0",    10}, /* asked for */
		{ "pc",		"pc-i440fx-9.0", "pc-i440fx-9.0", 20}, /* another board: all anew */
	};
	/* clang-format on */
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		identity_pin_machine(&f->id, cases[i].wish, cases[i].machine);
		assert_string_equal(f->id.machine, cases[i].kept);
		assert_int_equal(identity_slot(&f->id, "x", i == 3 ? 20 : 10, 30), cases[i].slot);
	}
}

static void test_slots(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(identity_slot(&f->id, "a", 3, 6), 3);
	assert_true(f->id.dirty);
	assert_int_equal(identity_slot(&f->id, "b", 3, 6), 4);
	f->id.dirty = false;
	assert_int_equal(identity_slot(&f->id, "a", 5, 6), 3); /* its own for ever */
	assert_false(f->id.dirty);
	assert_int_equal(identity_slot(&f->id, "c", 3, 6), 5);
	assert_int_equal(identity_slot(&f->id, "d", 3, 6), 6); /* full */
	assert_int_equal(f->id.slots, 3);
}

/* An image that a start found is known by its path, whatever disk it is and wherever ImageDir= leads. */
static void test_images(void **state)
{
	struct fixture *f = *state;
	char day[16];

	identity_make_uuid(&f->id);
	identity_saw(&f->id, "/images/web1.qcow2", INT64_C(1795401793));
	identity_saw(&f->id, "/images/web1.qcow2", INT64_C(1795501793));
	identity_saw(&f->id, "/srv/x", 1);
	keep(f);
	assert_int_equal(identity_load(&f->id, f->dirfd, &f->e), 0);
	assert_true(f->id.kept);
	assert_int_equal(f->id.images, 2);
	assert_int_equal(f->id.image[0].seen, INT64_C(1795501793));
	assert_int_equal(
		strlen(identity_image_day(&f->id, "/images/web1.qcow2", "web1.qcow2", day)), 10);
	assert_int_equal(
		strlen(identity_image_day(&f->id, "/other/web1.qcow2", "web1.qcow2", day)), 10);
	assert_string_equal(
		identity_image_day(&f->id, "/other/web1.qcow2", "/other/web1.qcow2", day), "");
	assert_string_equal(identity_image_day(&f->id, "/images/1.qcow2", "1.qcow2", day), "");
	for (int i = 0; i < IDENTITY_IMAGES_MAX; i++) {
		char path[32];

		snprintf(path, sizeof path, "/many/%d", i);
		identity_saw(&f->id, path, 100 + i);
	}
	assert_int_equal(f->id.images, IDENTITY_IMAGES_MAX);
	assert_string_equal(
		identity_image_day(&f->id, "/srv/x", "/srv/x", day), ""); /* the oldest went */
	assert_int_equal(
		strlen(identity_image_day(&f->id, "/images/web1.qcow2", "web1.qcow2", day)), 10);
}

/* What was set aside is found again as long as nothing else is kept, and its UUID where it can be read. */
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
		"00000000-7c3b-4a69-9f0e-0d8f1a2b3c4d"; /* refused at a start: who it is does not change */
	assert_int_equal(complete(f, &named), 0);
	assert_string_equal(f->id.uuid, uuid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_complete, setup, teardown),
		cmocka_unit_test(test_uuid_is_random),
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_draft, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_the_future, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mac_collisions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_images, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_is_remembered, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm identity", tests, NULL, NULL);
}
