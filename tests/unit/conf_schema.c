/* SPDX-License-Identifier: MIT */
/*
 * The tables themselves: names, help, presets and fields of every row. New rows are tested
 * automatically.
 */
#include "conf/schema.h"

#include <ctype.h>

#include "conf/value.h"
#include "tests/unit/conf_case.h"

enum { SCHEMAS = 4 };
static const struct conf_schema *const schemas[SCHEMAS] = {
	&conf_vm_schema,
	&conf_network_schema,
	&conf_daemon_schema,
	&conf_image_schema,
};

typedef void row_fn(const struct conf_section *s, const struct conf_key *k);

static void each_row(row_fn *f)
{
	for (size_t i = 0; i < SCHEMAS; i++)
		for (size_t j = 0; j < schemas[i]->sections; j++) {
			const struct conf_section *s = &schemas[i]->section[j];

			for (size_t k = 0; k < s->keys; k++)
				f(s, &s->key[k]);
		}
}

/* A zeroed object that has the fields of the section's keys. */
static void *object_new(void)
{
	return xcalloc(1, sizeof(struct conf_vm));
}

static bool is_sentence(const char *help)
{
	return help && strlen(help) > 4 && help[strlen(help) - 1] == '.' && !strstr(help, "  ");
}

static void row_reads_well(const struct conf_section *s, const struct conf_key *k)
{
	struct buf type = BUF_INIT;

	assert_true(isupper((unsigned char)*k->name));
	assert_true(strlen(k->name) <= CONF_KEY_MAX);
	assert_null(strpbrk(k->name, "._-= "));
	assert_true(is_sentence(k->help));
	assert_ptr_equal(
		conf_key_find(s, k->name), k); /* the first row with that name: there is only one */
	conf_key_type(k, &type);
	assert_true(type.len >= 3);
	assert_true(k->apply < CONF_APPLIES);
	buf_release(&type);
}

static void rows_read_well(void **state)
{
	(void)state;
	each_row(row_reads_well);
	for (size_t i = 0; i < SCHEMAS; i++)
		for (size_t j = 0; j < schemas[i]->sections; j++) {
			const struct conf_section *s = &schemas[i]->section[j];

			assert_true(is_sentence(s->help));
			assert_ptr_equal(conf_section_find(schemas[i], s->name), s);
			assert_true(s->keys || s->defaults);
		}
}

/* Dump recognizes the preset by its text. */
static void preset_is_canonical(const struct conf_section *s, const struct conf_key *k)
{
	_cleanup_(free_ptr) void *object = object_new();
	struct arena a = ARENA_INIT;
	struct buf text = BUF_INIT;

	(void)s;
	conf_value_reset(k, object, &a);
	assert_int_equal(conf_value_count(k, object), k->preset ? 1 : 0);
	if (k->preset) {
		assert_int_equal(conf_value_set(k, object, k->preset, &a), CONF_SET_OK);
		conf_value_text(k, object, 0, &text);
		assert_string_equal(text.data, k->preset);
	}
	buf_release(&text);
	arena_release(&a);
}

static void presets_are_canonical(void **state)
{
	(void)state;
	each_row(preset_is_canonical);
}

/* Finds and sets a value of the key other than its preset; false if there is none. */
static bool set_other(const struct conf_key *k, void *object, const void *preset, struct arena *a)
{
	static const char *const texts[] = {
		"no", "yes", "down", "3M", "7h", "7", "x1", "/x/y", "+x", "10.0.0.7", UUID,
		"52:54:00:00:00:07", "pc", "10.0.0.1/24", "10.0.0.2-10.0.0.7", "error", "700",
		"50%", "lease", "32M", "https://x/y",
		"sha256:0000000000000000000000000000000000000000000000000000000000000000",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7GVx1ZbW9rJ1d2cXl6a3Zta2VlcHZta2VlcHZta2Vl"
	};

	for (size_t i = 0; i < k->n_names; i++)
		if (k->names[i] && conf_value_set(k, object, k->names[i], a) == CONF_SET_OK &&
			!conf_value_same(k, object, preset))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (conf_value_set(k, object, texts[i], a) == CONF_SET_OK &&
			!conf_value_same(k, object, preset))
			return true;
	return false;
}

/* The key can be set, is read back, changes no other key's field, and returns to its preset. */
static void row_has_its_field(const struct conf_section *s, const struct conf_key *k)
{
	_cleanup_(free_ptr) void *preset = object_new(), *object = object_new(),
				 *back = object_new();
	struct arena a = ARENA_INIT;
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < s->keys; i++) {
		conf_value_reset(&s->key[i], preset, &a);
		conf_value_reset(&s->key[i], object, &a);
	}
	if (k->type == CONF_TYPE_ENUM && k->n_names == 1)
		return; /* Mode=nat is the only value so far */
	if (!set_other(k, object, preset, &a))
		fail_msg("no text of the test is a value of [%s] %s", s->name, k->name);
	for (size_t i = 0; i < s->keys; i++)
		assert_int_equal(conf_value_same(&s->key[i], object, preset), &s->key[i] != k);

	conf_value_text(k, object, 0, &text);
	assert_int_equal(conf_value_set(k, back, text.data, &a), CONF_SET_OK);
	assert_true(conf_value_same(k, object, back));
	conf_value_reset(k, object, &a);
	assert_true(conf_value_same(k, object, preset));
	buf_release(&text);
	arena_release(&a);
}

static void rows_have_their_fields(void **state)
{
	(void)state;
	each_row(row_has_its_field);
}

static void only_root_names_programs_and_host_files(void **state)
{
	static const char *const root[] = { "Boot.Kernel", "Boot.Initrd", "RNG.Source",
		"Hooks.Failed", "QEMU.Binary", "QEMU.Args", "CloudInit.PasswordFile",
		"CloudInit.UserData", "CloudInit.NetworkConfig" };
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < conf_vm_schema.sections; i++)
		for (size_t j = 0; j < conf_vm_schema.section[i].keys; j++) {
			found += conf_vm_schema.section[i].key[j].root;
			/* or set, which compares key by key, would have to look into new ones */
			assert_true(!conf_vm_schema.section[i].key[j].root ||
				    !conf_vm_schema.section[i].size);
		}
	assert_int_equal(found, ARRAY_SIZE(root));
	for (size_t i = 0; i < ARRAY_SIZE(root); i++) {
		_cleanup_(free_ptr) char *section = xstrdup(root[i]);
		char *dot = strchr(section, '.');

		*dot = '\0';
		assert_true(
			conf_key_find(conf_section_find(&conf_vm_schema, section), dot + 1)->root);
	}
}

static void tells_what_a_value_must_be(void **state)
{
	static const struct {
		const char *section, *key, *type;
	} cases[] = {
		{ "VM", "CPUs", "a number from 1 to 1024" },
		{ "VM", "Accel", "kvm, tcg or auto" },
		{ "VM", "Owner", "a user name or @group" },
		{ "Disk", "Base", "a path without '..'" },
		{ "CDROM", "Bus", "auto, scsi, sata or ide" },
		{ "Display", "Port", "auto or a number from 1 to 65535" },
		{ "Lifecycle", "RestartSec", "a time such as 5min, at most 24h" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct conf_key *k = conf_key_find(
			conf_section_find(&conf_vm_schema, cases[i].section), cases[i].key);
		struct buf type = BUF_INIT;

		conf_key_type(k, &type);
		assert_string_equal(type.data, cases[i].type);
		buf_release(&type);
	}
	assert_string_equal(conf_format_name(CONF_FORMAT_QCOW2), "qcow2");
	assert_string_equal(conf_bus_name(CONF_BUS_VIRTIO), "virtio");
	assert_string_equal(conf_accel_name(CONF_ACCEL_TCG), "tcg");
	assert_string_equal(conf_aio_name(CONF_AIO_IO_URING), "io_uring");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_read_well),
		cmocka_unit_test(presets_are_canonical),
		cmocka_unit_test(rows_have_their_fields),
		cmocka_unit_test(only_root_names_programs_and_host_files),
		cmocka_unit_test(tells_what_a_value_must_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
