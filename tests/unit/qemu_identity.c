/* SPDX-License-Identifier: MIT */
/*
 * The identity of a VM is stable: across changes of its file, and for devices that are removed and
 * added again.
 */
#include "tests/unit/identity.h"

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
	/* another VM may have the address in MACAddress=: it is recorded only at a start that may
	 * have it */
	assert_memory_not_equal(identity_nic(&f->id, "own")->mac, nics[2].mac.byte, ETH_ALEN);
	assert_int_equal(f->id.disks, 3); /* the empty drive has no file */
	assert_string_equal(identity_disk(&f->id, "root")->path, "/images/web1.qcow2");
	assert_int_equal(identity_disk(&f->id, "root")->format, CONF_FORMAT_QCOW2);
	assert_int_equal(identity_disk(&f->id, "data")->format, CONF_FORMAT_RAW);
	assert_int_equal(identity_disk(&f->id, "odd")->format, CONF_FORMAT_RAW);
	assert_null(identity_disk(&f->id, "cd"));

	/* the second time nothing changes */
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

	/* an address that it already has is not checked again */
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

	/* removed NICs come back unchanged; a MAC that the file no longer sets stays */
	nic.mac.set = false;
	assert_int_equal(complete(f, &c), 0);
	assert_int_equal(complete(f, &vm), 0);
	assert_memory_equal(identity_nic(&f->id, "lan")->mac, lan, ETH_ALEN);
	assert_memory_equal(identity_nic(&f->id, "own")->mac, nics[2].mac.byte, ETH_ALEN);

	/* the format is pinned for this file, by name or by Format=; another file gets its own */
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

	/* a UUID set by the operator wins, and stays */
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
		unsigned slot; /* for a device that requests one from 10 up */
	} cases[] = {
		{"q35",	 "pc-q35-7.2",    "pc-q35-7.2",    10},
		{ "q35",	 "pc-q35-9.0",    "pc-q35-7.2",    10}, /* QEMU is newer, the VM is not */
		{ "pc-q35-9.0", "pc-q35-9.0",    "pc-q35-9.0",    10}, /* asked for */
		{ "pc",		"pc-i440fx-9.0", "pc-i440fx-9.0", 20}, /* another board: new slots for all */
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
	assert_int_equal(identity_slot(&f->id, "a", 5, 6), 3); /* keeps its slot forever */
	assert_false(f->id.dirty);
	assert_int_equal(identity_slot(&f->id, "c", 3, 6), 5);
	assert_int_equal(identity_slot(&f->id, "d", 3, 6), 6); /* full */
	assert_int_equal(f->id.slots, 3);
}

/* Recorded at the first use; without a record, by name if the VM ran before. */
static void test_bases(void **state)
{
	static const char *bases[] = { "b.img", "/srv/c.qcow2" };
	const struct conf_disk disk = { .path = "r.qcow2", .base = { bases, 2 } };
	struct fixture *f = *state;
	json_t *rows = json_pack("[{s:s, s:s, s:s, s:I, s:I}]", "path", "/images/b.img", "format",
		"qcow2", "stated", "raw", "size", (json_int_t)7, "mtime", (json_int_t)8);
	json_t *doc;

	assert_int_equal(identity_base_format(&f->id, &disk, 0, "/images"), CONF_FORMAT_AUTO);
	identity_saw(&f->id, "/images/r.qcow2", INT64_C(1795401793));
	assert_int_equal(identity_base_format(&f->id, &disk, 0, "/images"), CONF_FORMAT_RAW);
	assert_int_equal(identity_base_format(&f->id, &disk, 1, "/images"), CONF_FORMAT_QCOW2);
	assert_true(identity_read_bases(&f->id, rows));
	json_decref(rows);
	identity_make_uuid(&f->id);
	doc = identity_json(&f->id);
	assert_true(identity_parse(&f->id, doc));
	json_decref(doc);
	assert_int_equal(identity_base_format(&f->id, &disk, 0, "/images"), CONF_FORMAT_QCOW2);
	/* ImageDir= has changed */
	assert_int_equal(identity_base_format(&f->id, &disk, 0, "/moved"), CONF_FORMAT_QCOW2);
	/* a new base */
	assert_int_equal(identity_base_format(&f->id, &disk, 1, "/images"), CONF_FORMAT_AUTO);
	assert_string_equal(f->id.base[0].stated, "raw");
	assert_int_equal(f->id.base[0].size, 7);
	assert_int_equal(f->id.base[0].mtime, 8);
	doc = json_pack("[{s:s}]", "path", "/b");
	assert_false(identity_read_bases(&f->id, doc));
	json_decref(doc);
}

/* An image that a start found is recognized by its path, whichever disk uses it and whatever
 * ImageDir= is. */
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
		strlen(identity_image_day(&f->id, "root", "/images/web1.qcow2", "web1.qcow2", day)),
		10);
	assert_int_equal(
		strlen(identity_image_day(&f->id, "root", "/other/web1.qcow2", "web1.qcow2", day)),
		10);
	assert_string_equal(
		identity_image_day(&f->id, "root", "/other/web1.qcow2", "/other/web1.qcow2", day),
		"");
	assert_string_equal(
		identity_image_day(&f->id, "root", "/images/1.qcow2", "1.qcow2", day), "");
	/* but not by the relative path of another disk, in another store */
	identity_set_text(&f->id, &identity_add_disk(&f->id, "data")->path, "/images/web1.qcow2");
	assert_string_equal(
		identity_image_day(&f->id, "root", "/other/web1.qcow2", "web1.qcow2", day), "");
	assert_int_equal(
		strlen(identity_image_day(&f->id, "data", "/other/web1.qcow2", "web1.qcow2", day)),
		10);
	for (int i = 0; i < IDENTITY_IMAGES_MAX; i++) {
		char path[32];

		snprintf(path, sizeof path, "/many/%d", i);
		identity_saw(&f->id, path, 100 + i);
	}
	assert_int_equal(f->id.images, IDENTITY_IMAGES_MAX);
	assert_string_equal(identity_image_day(&f->id, "root", "/srv/x", "/srv/x", day),
		""); /* the oldest entry was dropped */
	assert_int_equal(
		strlen(identity_image_day(&f->id, "root", "/images/web1.qcow2", "web1.qcow2", day)),
		10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_complete, setup, teardown),
		cmocka_unit_test(test_uuid_is_random),
		cmocka_unit_test_setup_teardown(test_mac_collisions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_images, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm identity", tests, NULL, NULL);
}
