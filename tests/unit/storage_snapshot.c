/* SPDX-License-Identifier: MIT */
/*
 * Proves what QEMU does not check: that a snapshot covers every writable disk, that it exists on
 * all of them, and that saved memory fits the machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "supervisor/storage/snapshot_private.h"

static void parse(struct conf_vm *c, const char *text)
{
	struct conf_source source = { .file = "a.vm", .text = text, .len = strlen(text) };
	struct conf_context ctx = { .uuid = "", .state_dir = "/state" };
	struct conf_problems problems = { 0 };

	*c = (struct conf_vm)CONF_VM_INIT;
	conf_vm_parse(c, "a", &source, 1, &ctx, &problems);
	if (problems.count)
		fail_msg("%s", problems.item[0].reason);
	conf_problems_release(&problems);
}

/* Writes "name:bytes of memory:seconds" for each snapshot. */
static json_t *infos(const char *text)
{
	json_t *list = json_array();
	char name[64];
	int memory, at, used;

	while (sscanf(text, " %63[^:]:%d:%d%n", name, &memory, &at, &used) == 3) {
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:i, s:s}", "name", name, "vm-state-size",
				      memory, "date-sec", at, "id", "1"));
		text += used;
	}
	return list;
}

static void hold(struct snapshot_disks *s, const char *const text[2])
{
	assert_int_equal(s->n, 2);
	for (size_t i = 0; i < s->n; i++) {
		json_decref(s->disk[i].snapshots);
		s->disk[i].snapshots = text[i] ? infos(text[i]) : NULL;
	}
}

static const char three_disks[] =
	"[Disk root]\nPath=root.qcow2\n[Disk data]\nPath=/srv/data\nFormat=qcow2\n"
	"[Disk old]\nPath=old.raw\nReadOnly=yes\n[CDROM cd]\nPath=cd.iso\n";

static void test_disks(void **state)
{
	/* clang-format off */
	static const struct {
		const char *conf, *nvram, *disks, *says; /* says NULL: all can hold a snapshot */
	} cases[] = {
		{ three_disks, NULL, "root d-root /images/root.qcow2; data d-data /srv/data; ", NULL },
		{ three_disks, "/state/nvram.qcow2",
		  "root d-root /images/root.qcow2; data d-data /srv/data; uefi pflash1 /state/nvram.qcow2; ", NULL },
		{ "[Disk a]\nPath=a.qcow2\n[Disk b]\nPath=b.img\n", NULL,
		  "a d-a /images/a.qcow2; b d-b /images/b.img; ", "disk 'b' is raw" },
		{ "[Disk a]\nPath=a.raw\nReadOnly=yes\n[CDROM cd]\n", NULL, "", "no writable disk" },
	};
	/* clang-format on */
	struct identity id = IDENTITY_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot_disks s;
		struct conf_vm c;
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;

		parse(&c, cases[i].conf);
		snapshot_disks_init(&s, &c, &id, "/images");
		if (cases[i].nvram)
			snapshot_disks_add(&s, "uefi", "pflash1", cases[i].nvram, true);
		for (size_t k = 0; k < s.n; k++)
			buf_printf(
				&text, "%s %s %s; ", s.disk[k].id, s.disk[k].node, s.disk[k].path);
		assert_string_equal(text.data ? text.data : "", cases[i].disks);
		snapshot_check_disks(&s, &e);
		if (cases[i].says ? !strstr(e.text, cases[i].says) : e.number != 0)
			fail_msg("case %zu: '%s'", i, e.text);
		buf_release(&text);
		snapshot_disks_release(&s);
		conf_vm_release(&c);
	}
}

static void test_names(void **state)
{
	static const char long_name[] =
		"a23456789012345678901234567890123456789012345678901234567890123";
	static const char *const good[] = { "a", "_", "before-upgrade", "A.b_c-9", long_name };
	static const char *const bad[] = { "", "1", "-d", ".", "a b", "a/b", "a'b", "\xc3\xa4",
		"a\n", "a234567890123456789012345678901234567890123456789012345678901234" };
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(strlen(long_name), 63);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(snapshot_check_name(good[i], &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(snapshot_check_name(bad[i], &e) < 0);
		assert_int_equal(e.class, ERR_USAGE);
	}
}

static void test_there(void **state)
{
	enum { FINE = -1 };
	/* clang-format off */
	static const struct {
		const char *on[2];
		int is_free, on_all, on_one; /* error class, or FINE */
		int memory, created;
	} cases[] = {
		{ { NULL, NULL },	      FINE,	    ERR_NOT_FOUND, ERR_NOT_FOUND, 0,   0 },
		{ { "y:0:5", "" },	      FINE,	    ERR_NOT_FOUND, ERR_NOT_FOUND, 0,   0 },
		{ { "x:0:5", NULL },	      ERR_CONFLICT, ERR_CONFLICT,  FINE,	  0,   5 },
		{ { NULL, "y:1:2 x:7:5" },    ERR_CONFLICT, ERR_CONFLICT,  FINE,	  7,   5 },
		{ { "x:0:9", "x:0:8" },	      ERR_CONFLICT, FINE,	   FINE,	  0,   8 },
		{ { "x:300:9", "y:0:1 x:0:9" }, ERR_CONFLICT, FINE,	   FINE,	  300, 9 },
	};
	/* clang-format on */
	struct identity id = IDENTITY_INIT;
	struct snapshot_disks s;
	struct conf_vm c;

	(void)state;
	parse(&c, three_disks);
	snapshot_disks_init(&s, &c, &id, "/images");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = ERR_INIT;

		hold(&s, cases[i].on);
		assert_int_equal(snapshot_check_free(&s, "x", &e) < 0 ? (int)e.class : FINE,
			cases[i].is_free);
		assert_int_equal(
			snapshot_check_there(&s, "a", "x", true, &e) < 0 ? (int)e.class : FINE,
			cases[i].on_all);
		assert_int_equal(
			snapshot_check_there(&s, "a", "x", false, &e) < 0 ? (int)e.class : FINE,
			cases[i].on_one);
		assert_int_equal(snapshot_memory(&s, "x"), cases[i].memory);
		assert_int_equal(snapshot_created(&s, "x"), cases[i].created);
	}
	snapshot_disks_release(&s);
	conf_vm_release(&c);
}

static void test_table(void **state)
{
	static const char *const on[] = { "late:0:30 half:0:20", "early:5:10 late:9:31 also:0:10" };
	struct identity id = IDENTITY_INIT;
	struct snapshot_disks s;
	struct conf_vm c;
	json_t *table, *wanted = json_pack(
			       "[[s,i,i,[s],n], [s,i,i,[s],n], [s,i,i,[s],n], [s,i,i,[s,s],n]]",
			       "also", 10, 0, "data", "early", 10, 5, "data", "half", 20, 0, "root",
			       "late", 30, 9, "root", "data");

	(void)state;
	parse(&c, three_disks);
	snapshot_disks_init(&s, &c, &id, "/images");
	hold(&s, on);
	table = snapshot_table(&s);
	assert_true(json_equal(json_object_get(table, "rows"), wanted));
	json_decref(table);
	json_decref(wanted);
	snapshot_disks_release(&s);
	conf_vm_release(&c);
}

/* Answers of a QEMU, including nodes that are not ours. An invalid answer never means "none". */
static void test_nodes(void **state)
{
	static const struct {
		const char *answer, *says; /* says NULL: x is only on data */
	} cases[] = {
		{ "[{\"node-name\": \"d-root\", \"image\": {}},"
		  " {\"node-name\": \"other\", \"image\": {\"snapshots\": [1]}},"
		  " {\"node-name\": \"d-data\", \"image\": {\"snapshots\": [{\"name\": \"x\"}]}},"
		  " {\"image\": 1}, 7]",
			NULL },
		{ "[]", "QEMU reports nothing about disk 'root'" },
		{ "{}", "QEMU reports nothing about disk 'root'" },
		{ "[{\"node-name\": \"d-root\", \"image\": {}}]",
			"QEMU reports nothing about disk 'data'" },
		{ "[{\"node-name\": \"d-root\"}]", "disk 'root': its contents could not be read" },
		{ "[{\"node-name\": \"d-root\", \"image\": {\"snapshots\": {}}}]",
			"disk 'root': its contents could not be read" },
	};
	struct identity id = IDENTITY_INIT;
	struct snapshot_disks s;
	struct conf_vm c;

	(void)state;
	parse(&c, three_disks);
	snapshot_disks_init(&s, &c, &id, "/images");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *nodes = json_loads(cases[i].answer, 0, NULL);
		struct err e = ERR_INIT;

		assert_non_null(nodes);
		snapshot_disks_take_nodes(&s, nodes, &e);
		assert_string_equal(e.text, cases[i].says ? cases[i].says : "");
		if (!cases[i].says) {
			assert_null(snapshot_find(&s.disk[0], "x"));
			assert_non_null(snapshot_find(&s.disk[1], "x"));
		}
		json_decref(nodes);
	}
	snapshot_disks_release(&s);
	conf_vm_release(&c);
}

/* Names and ids as other programs leave them: either QEMU selects the right snapshot, or the
 * request is refused. */
static void test_exact(void **state)
{
	static const char one[] =
		"[{\"id\": \"1\", \"name\": \"a\"}, {\"id\": \"2\", \"name\": \"1\"},"
		" {\"id\": \"3\", \"name\": \"x\"}, {\"id\": \"4\", \"name\": \"x\"},"
		" {\"id\": \"5\", \"name\": \"5\"}, {\"id\": \"6\", \"name\": \"\"},"
		" {\"id\": \"7\", \"name\": \"b\\ufffd\"}, {\"id\": \"7\", \"name\": \"c\"},"
		" {\"id\": \"8\", \"name\": \"\\n\"}, {\"id\": \"9\", \"name\": \"-\"},"
		" {\"id\": \"10\", \"name\": \"a b\"}, {\"id\": \"\", \"name\": \"no id\"}]";
	/* clang-format off */
	static const struct {
		const char *name, *id, *word[2]; /* word: name and id for QEMU */
		const char *says[3]; /* by id, by name, by tag; NULL: QEMU selects the right one */
	} cases[] = {
		{ "a", NULL, { "a", "1" }, { NULL } },
		{ "1", NULL, { "1", "2" }, { NULL, NULL, "QEMU would load another snapshot, whose id on disk 'root' is '1'" } },
		{ "5", NULL, { "5", "5" }, { NULL } },
		{ "x", NULL, { "x", "3" }, { "disk 'root' has 2 snapshots called 'x'",
			"2 snapshots called 'x'", "2 snapshots called 'x'" } },
		{ "x", "3", { "x", "3" }, { NULL } },
		{ "x", "4", { "x", "4" }, { NULL, "QEMU finds only the first of the snapshots called 'x'",
			"QEMU finds only the first" } },
		{ "b\xef\xbf\xbd", NULL, { "b\xef\xbf\xbd", "7" }, { NULL, "is not UTF-8", "is not UTF-8" } },
		{ "c", NULL, { "c", "7" }, { "several snapshots with the id '7'", NULL, NULL } },
		{ "\\x0a", NULL, { "\n", "8" }, { NULL } },
		{ "\n", NULL, { "\n", "8" }, { NULL } },
		{ "-", NULL, { "", "6" }, { "2 snapshots called '-'", "2 snapshots", "2 snapshots" } },
		{ "-", "9", { "-", "9" }, { NULL } },
		{ "", NULL, { "", "6" }, { NULL, NULL, "QEMU would load another snapshot" } },
		{ "a b", "10", { "a b", "10" }, { NULL } },
		{ "no id", NULL, { "no id", "" }, { "with the id ''", NULL, NULL } },
	};
	/* clang-format on */
	struct snapshot_disk disk = { .id = (char[]){ "root" },
		.snapshots = json_loads(one, 0, NULL) };
	const struct snapshot_disks s = { .disk = &disk, .n = 1 };
	struct err taken = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		disk.id_wanted = cases[i].id;
		assert_non_null(snapshot_find(&disk, cases[i].name));
		assert_string_equal(snapshot_word(&disk, cases[i].name, false), cases[i].word[0]);
		assert_string_equal(snapshot_word(&disk, cases[i].name, true), cases[i].word[1]);
		for (enum snapshot_way way = SNAPSHOT_BY_ID; way <= SNAPSHOT_BY_TAG; way++) {
			const char *says = cases[i].says[way];
			struct err e = ERR_INIT;

			snapshot_check_exact(&s, cases[i].name, way, &e);
			if (says ? !strstr(e.text, says) : e.number)
				fail_msg("case %zu, %d: '%s'", i, (int)way, e.text);
		}
	}
	disk.id_wanted = "3";
	assert_null(snapshot_find(&disk, "a"));
	assert_int_equal(snapshot_check_no_id(&s, "y", &taken), 0);
	assert_true(snapshot_check_no_id(&s, "4", &taken) < 0);
	json_decref(disk.snapshots);
}

/* For an image the bitmaps in the file count, for a node those that QEMU reports. */
static void test_bitmaps(void **state)
{
	static const struct {
		const char *nodes, *says; /* says NULL: none */
	} cases[] = {
		{ "[]", NULL },
		{ "[{\"name\": \"b0\"}]", "disk 'root' has the dirty bitmap 'b0': " },
		{ "[{\"name\": \"b0\"}, {}]",
			"disk 'root' has the dirty bitmap 'b0', and others: " },
		{ "[{\"persistent\": false}]", "disk 'root' has the dirty bitmap ''" },
		{ "[{\"name\": \"\\u001b[31m\"}]", "bitmap '\\x1b[31m'" },
	};
	struct identity id = IDENTITY_INIT;
	struct snapshot_disks s;
	struct conf_vm c;

	(void)state;
	parse(&c, three_disks);
	snapshot_disks_init(&s, &c, &id, "/images");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *image = xasprintf(
			"{\"format-specific\": {\"data\": {\"bitmaps\": %s}}}", cases[i].nodes);
		_cleanup_(free_ptr) char *nodes = xasprintf(
			"[{\"node-name\": \"d-data\", \"image\": %s},"
			" {\"node-name\": \"d-root\", \"image\": {}, \"dirty-bitmaps\": %s}]",
			image, cases[i].nodes);
		json_t *of_image = json_loads(image, 0, NULL),
		       *of_nodes = json_loads(nodes, 0, NULL);

		for (int live = 0; live < 2; live++) {
			struct err e = ERR_INIT;

			assert_int_equal(live ? snapshot_disks_take_nodes(&s, of_nodes, &e)
					      : snapshot_disk_take(&s.disk[0], of_image, &e),
				0);
			snapshot_check_bitmaps(&s, &e);
			if (cases[i].says ? !strstr(e.text, cases[i].says) : e.number)
				fail_msg("case %zu: '%s'", i, e.text);
		}
		json_decref(of_image);
		json_decref(of_nodes);
	}
	snapshot_disks_release(&s);
	conf_vm_release(&c);
}

/* The maximum number, in random order, half of them on both disks; one more is refused. */
static void test_many(void **state)
{
	struct identity id = IDENTITY_INIT;
	struct snapshot_disks s;
	struct err e = ERR_INIT;
	struct conf_vm c;
	json_t *table, *rows, *row, *image = json_pack("{s:[]}", "snapshots");
	json_int_t before = 0;
	size_t i;

	(void)state;
	parse(&c, three_disks);
	snapshot_disks_init(&s, &c, &id, "/images");
	for (i = 0; i < SNAPSHOTS_MAX; i++)
		json_array_append_new(json_object_get(image, "snapshots"),
			json_pack("{s:o, s:I, s:i}", "name", json_sprintf("s%zu", i * 1021 % 4096),
				"date-sec", (json_int_t)(i * 7919 % 2048 + 1), "vm-state-size", 0));
	assert_int_equal(snapshot_disk_take(&s.disk[0], image, &e), 0);
	for (i = 0; i < SNAPSHOTS_MAX / 2; i++)
		json_array_remove(json_object_get(image, "snapshots"), i);
	image = json_deep_copy(image);
	assert_int_equal(snapshot_disk_take(&s.disk[1], image, &e), 0);
	table = snapshot_table(&s);
	rows = json_object_get(table, "rows");
	assert_true(json_array_size(rows) >= SNAPSHOTS_MAX / 2);
	json_array_foreach (rows, i, row) {
		assert_true(json_integer_value(json_array_get(row, 1)) >= before);
		before = json_integer_value(json_array_get(row, 1));
	}
	json_decref(table);
	while (json_array_size(json_object_get(image, "snapshots")) <= SNAPSHOTS_MAX)
		json_array_append_new(json_object_get(image, "snapshots"), json_object());
	assert_true(snapshot_disk_take(&s.disk[1], image, &e) < 0);
	assert_non_null(strstr(e.text, "2049 snapshots, more than 2048"));
	json_decref(image);
	snapshot_disks_release(&s);
	conf_vm_release(&c);
}

static void test_record(void **state)
{
	static const char then[] =
		"[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n[NIC lan]\n";
	/* clang-format off */
	static const struct {
		const char *conf, *machine, *accel, *qemu, *says; /* says NULL: it fits */
	} cases[] = {
		{ then, "pc-q35-7.2", "tcg", "7.2.22", NULL },
		{ then, "pc-q35-7.2", NULL, NULL, NULL },
		{ then, "pc-q35-7.2", "tcg", "8.0.0", NULL },
		{ then, "pc-q35-7.2", "tcg", "7.1.9", "qemu was 7.2.22 and is 7.1.9" },
		{ then, "pc-q35-7.2", "kvm", "7.2.22", "accel was tcg and is kvm" },
		{ then, "pc-q35-8.0", "tcg", "7.2.22", "machine was pc-q35-7.2 and is pc-q35-8.0" },
		{ "[VM]\nMemory=256M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n[NIC lan]\n", "pc-q35-7.2", "tcg",
		  "7.2.22", "[VM] Memory was 128M and is 256M" },
		{ "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n", "pc-q35-7.2", "tcg", "7.2.22",
		  "[NIC lan] was there and is not there" },
		{ "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.qcow2\nBus=scsi\n[NIC lan]\nModel=e1000\n",
		  "pc-q35-7.2", "tcg", "7.2.22", "[Disk root] Bus was auto and is scsi, [NIC lan] Model was virtio" },
		{ "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n[NIC lan]\n[Agent]\nEnable=no\n"
		  "[Watchdog]\nModel=itco\n[Lifecycle]\nReadyWhen=notify\n",
		  "pc-q35-7.2", "tcg", "7.2.22", "[Agent] Enable was yes and is no, [Watchdog] Model was none and is itco, "
		  "[Lifecycle] ReadyWhen was started and is notify" },
		{ "[VM]\nMemory=128M\nNetworks=none\n[Disk root]\nPath=a.qcow2\n[NIC lan]\n[Lifecycle]\nReadyWhen=lease\n",
		  "pc-q35-7.2", "tcg", "7.2.22", NULL },
		{ "[VM]\nMemory=128M\nDescription=new\nNetworks=none\n[Disk root]\nPath=b.qcow2\nCache=unsafe\n"
		  "[NIC lan]\nLink=down\n[Lifecycle]\nRestart=no\n",
		  "pc-q35-7.2", "tcg", "7.2.22", NULL },
	};
	/* clang-format on */
	struct conf_vm c;
	json_t *record;

	(void)state;
	parse(&c, then);
	record = snapshot_record_new(
		&(struct snapshot_machine){ &c, "pc-q35-7.2", "tcg", "7.2.22" }, false, 1234);
	conf_vm_release(&c);
	assert_false(snapshot_record_running(record));
	assert_true(snapshot_record_running(NULL));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = ERR_INIT;
		struct snapshot_machine m = { &c, cases[i].machine, cases[i].accel, cases[i].qemu };
		int r;

		parse(&c, cases[i].conf);
		r = snapshot_record_check(record, &m, &e);
		if (cases[i].says ? r == 0 || !strstr(e.text, cases[i].says) : r != 0)
			fail_msg("case %zu: '%s'", i, e.text);
		assert_true(r == 0 || e.class == ERR_CONFLICT);
		assert_int_equal(snapshot_record_check(NULL, &m, &e), 0);
		conf_vm_release(&c);
	}
	json_decref(record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_there),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_bitmaps),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
