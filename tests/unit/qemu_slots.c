/* SPDX-License-Identifier: MIT */
/*
 * Devices keep their place whatever is added and removed around them, no two share one, and there
 * is room for hot plug.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/unit/command.h"

/* A device's place: all properties that determine it on a bus. */
static char *place(json_t *dev)
{
	static const char *const parts[] = { "bus", "addr", "unit", "scsi-id", "lun", "port", "nr",
		"chassis", "slot", "index" };
	json_t *where = json_object();
	char *text;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (json_object_get(dev, parts[i]))
			json_object_set(where, parts[i], json_object_get(dev, parts[i]));
	text = json_dumps(where, JSON_SORT_KEYS);
	json_decref(where);
	return text;
}

static const char *const parts[] = {
	"[Disk a]\nPath=a.raw\n",
	"[Disk b]\nPath=b.raw\n",
	"[Disk c]\nPath=c.raw\nBus=scsi\n",
	"[Disk d]\nPath=d.raw\nBus=scsi\n",
	"[CDROM e]\n",
	"[CDROM f]\nBus=scsi\n",
	"[NIC g]\n",
	"[NIC h]\nModel=e1000\n",
	"[NIC i]\nModel=e1000e\n",
	"[Memory]\nBalloon=no\n",
	"[RNG]\nSource=none\n",
	"[Display]\nType=none\n",
	"[Serial j]\nType=virtio\n",
	"[Agent]\nEnable=no\n",
};

enum { PARTS = ARRAY_SIZE(parts) };

/* The parts in this set, in forward or reverse order. */
static json_t *devices_with(const char *machine, unsigned set, bool backwards, struct identity *id)
{
	struct buf text = BUF_INIT;
	json_t *all;

	buf_printf(&text, "[VM]\nMachine=%s\nNetworks=none\n[Disk root]\nPath=root.raw\n", machine);
	for (size_t i = 0; i < PARTS; i++) {
		size_t n = backwards ? PARTS - 1 - i : i;

		if (set & 1U << n)
			buf_adds(&text, parts[n]);
	}
	all = devices_of(text.data, id);
	buf_release(&text);
	return all;
}

static void check_unique(json_t *all)
{
	json_t *seen = json_object(), *dev;
	const char *id;

	json_object_foreach (all, id, dev) {
		char *where = place(dev);

		if (json_object_get(seen, where))
			fail_msg("'%s' and '%s' are both at %s", id,
				json_string_value(json_object_get(seen, where)), where);
		if (!json_object_get(dev, "bus") && strncmp(id, "serial-", 7) != 0 &&
			strcmp(id, "generation0") != 0)
			fail_msg("'%s' has no place of its own", id);
		json_object_set_new(seen, where, json_string(id));
		free(where);
	}
	json_decref(seen);
}

/* Devices in both sets have the same place. */
static void check_stays(json_t *before, json_t *after)
{
	const char *id;
	json_t *dev;

	json_object_foreach (before, id, dev) {
		json_t *now = json_object_get(after, id);
		char *was = place(dev), *is = now ? place(now) : NULL;

		if (is && !streq(was, is))
			fail_msg("'%s' moved from %s to %s", id, was, is);
		free(was);
		free(is);
	}
}

static void test_nothing_moves(void **state)
{
	const char *machine = *state;
	struct identity id = IDENTITY_INIT;
	json_t *known = json_object(), *all;
	unsigned seed = 1;

	/* each part alone, each part missing, then random sets, all with one identity */
	for (unsigned i = 0; i < 2 * PARTS + 200; i++) {
		unsigned set = i < PARTS       ? 1U << i
			       : i < 2 * PARTS ? ~(1U << (i - PARTS))
					       : (seed >> 8);

		seed = seed * 1103515245 + 12345;
		all = devices_with(machine, set, i & 1, &id);
		check_unique(all);
		check_stays(known, all);
		json_object_update(known, all);
		json_decref(all);
	}
	json_decref(known);
	identity_release(&id);
}

/* New VMs have the important devices first, and optional ones after them. */
static void test_disks_first(void **state)
{
	struct identity id = IDENTITY_INIT;
	json_t *all = devices_with("pc", ~(1U << 9 | 1U << 10 | 1U << 11), false, &id);
	const char *balloon =
		json_string_value(json_object_get(json_object_get(all, "balloon0"), "addr"));
	static const char *const first[] = { "disk-root", "disk-a", "disk-b", "nic-g", "nic-h",
		"nic-i" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		const char *addr =
			json_string_value(json_object_get(json_object_get(all, first[i]), "addr"));

		assert_true(strtol(addr, NULL, 16) == (long)(3 + i));
		assert_true(strtol(addr, NULL, 16) < strtol(balloon, NULL, 16));
	}
	json_decref(all);
	identity_release(&id);
}

static void test_ports(void **state)
{
	static const struct {
		size_t disks;
		unsigned ports;
	} cases[] = { { 1, 5 }, { 5, 9 }, { 60, 64 }, { 63, 64 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct identity id = IDENTITY_INIT;
		struct argv_context ctx = usual;
		struct argv a = ARGV_INIT;
		struct buf text = BUF_INIT;
		struct err e = ERR_INIT;
		json_t *all;
		char last[16];

		buf_adds(&text, "[VM]\nNetworks=none\n");
		for (size_t d = 0; d < cases[i].disks; d++)
			buf_printf(&text, "[Disk d%zu]\nPath=%zu.raw\n", d, d);
		assert_int_equal(build(&a, text.data, &id, &ctx, &e), 0);
		all = devices(&a);
		check_unique(all);
		snprintf(last, sizeof last, "rp%u", cases[i].ports);
		assert_non_null(json_object_get(all, last));
		snprintf(last, sizeof last, "rp%u", cases[i].ports + 1);
		assert_null(json_object_get(all, last));
		json_decref(all);
		argv_release(&a);
		identity_release(&id);
		buf_release(&text);
	}
}

/* A hot-plugged disk gets the first spare port. */
static void test_hot_plug(void **state)
{
	struct identity id = IDENTITY_INIT;
	struct device_bus bus = { DEVICE_Q35, &id };
	const struct conf_disk late = { .id = "late", .path = "late.qcow2", .iothread = true };
	struct err e = ERR_INIT;
	json_t *all = devices_with("q35", 1, false, &id), *dev = device_disk(&late, &bus, 0, &e),
	       *thread;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(dev, "bus")), "rp3");
	assert_null(json_object_get(dev, "bootindex"));
	assert_non_null(json_object_get(all, "rp3"));
	thread = device_disk_iothread(&late);
	assert_string_equal(json_string_value(json_object_get(dev, "iothread")),
		json_string_value(json_object_get(thread, "id")));
	json_decref(thread);
	json_decref(dev);
	json_decref(all);
	identity_release(&id);
}

static void test_full_bus(void **state)
{
	struct identity id = IDENTITY_INIT;
	struct argv a = ARGV_INIT;
	struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	(void)state;
	buf_adds(&text, "[VM]\nMachine=pc\n");
	for (int i = 0; i < 30; i++)
		buf_printf(&text, "[Disk d%d]\nPath=%d.raw\n", i, i);
	assert_true(build(&a, text.data, &id, &usual, &e) < 0);
	assert_string_equal(e.text, "no free PCI slot for 'disk-d29'");
	assert_non_null(strstr(e.hint, "Bus=scsi"));
	assert_non_null(strstr(e.hint, "q35"));
	buf_release(&text);
	identity_release(&id);
}

int main(void)
{
	static char q35[] = "q35", pc[] = "pc";
	const struct CMUnitTest tests[] = {
		{ "nothing moves on q35", test_nothing_moves, NULL, NULL, q35 },
		{ "nothing moves on pc", test_nothing_moves, NULL, NULL, pc },
		cmocka_unit_test(test_disks_first),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_hot_plug),
		cmocka_unit_test(test_full_bus),
	};

	return cmocka_run_group_tests_name("vm slots", tests, setup, teardown);
}
