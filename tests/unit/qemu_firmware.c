/* SPDX-License-Identifier: MIT */
/* Firmware is selected by its descriptors, as in QEMU's specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/qemu/firmware.h"

static void test_firmware(void **state)
{
	/* clang-format off */
	static const struct {
		const char *machine;
		bool secure;
		const char *code, *vars;
		bool smm;
	} cases[] = {
		{"pc-q35-7.2",	false, "OVMF_CODE_4M.fd",	  "OVMF_VARS_4M.fd",    false},
		{ "pc-i440fx-7.2", false, "OVMF_CODE_4M.fd",    "OVMF_VARS_4M.fd",	false},
		{ "pc-q35-7.2",	true,  "OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd", true },
		{ "pc-i440fx-7.2", true,	 NULL,		       NULL,		     false},
		{ "microvm",	     false, NULL,		  NULL,			false},
	};
	/* clang-format on */
	const char *const dirs[] = { "tests/golden/firmware" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct firmware *f;
		struct err e = ERR_INIT;
		int r = firmware_choose_in(&f, dirs, 1, cases[i].machine, cases[i].secure, &e);

		if (!cases[i].code) {
			assert_true(r < 0);
			assert_int_equal(e.class, ERR_NOT_FOUND);
			assert_string_equal(e.hint, "install the package ovmf");
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(strrchr(f->code, '/') + 1, cases[i].code);
		assert_string_equal(strrchr(f->vars, '/') + 1, cases[i].vars);
		assert_int_equal(f->needs_smm, cases[i].smm);
		firmware_free(f);
	}
}

/* As in QEMU's specification: /etc overrides /usr by name, an empty file disables. */
static void test_firmware_masks(void **state)
{
	static const char own[] =
		"{\"interface-types\": [\"uefi\"], \"mapping\": {\"device\": \"flash\","
		" \"executable\": {\"filename\": \"/own/code\", \"format\": \"qcow2\"},"
		" \"nvram-template\": {\"filename\": \"/own/vars\", \"format\": \"raw\"}},"
		" \"targets\": [{\"architecture\": \"x86_64\", \"machines\": [\"pc-q35-*\"]}],"
		" \"features\": []}";
	static const char name[] = "60-edk2-x86_64.json";
	char dir[] = "/tmp/vmkeep-firmware-XXXXXX";
	const char *const dirs[] = { mkdtemp(dir), "/no/such/dir", "tests/golden/firmware" };
	struct firmware *found;
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", dir, name);
	struct err e = ERR_INIT;

	(void)state;
	assert_non_null(dirs[0]);
	assert_int_equal(file_replace(AT_FDCWD, path, 0644, own, strlen(own), false, NULL), 0);
	assert_int_equal(firmware_choose_in(&found, dirs, 3, "pc-q35-7.2", false, &e), 0);
	assert_string_equal(found->code, "/own/code");
	assert_int_equal(found->code_format, CONF_FORMAT_QCOW2);
	assert_int_equal(found->vars_format, CONF_FORMAT_RAW);
	firmware_free(found);
	for (size_t cut = 0; cut < strlen(own); cut += 7) { /* damaged descriptors are skipped */
		assert_int_equal(file_replace(AT_FDCWD, path, 0644, own, cut, false, NULL), 0);
		assert_true(firmware_choose_in(&found, dirs, 3, "pc-q35-7.2", false, &e) < 0);
	}
	file_remove_tree(AT_FDCWD, dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_firmware_masks),
	};

	return cmocka_run_group_tests_name("qemu firmware", tests, NULL, NULL);
}
