/* SPDX-License-Identifier: MIT */
/* Proves that the messages that explain a failure are found in QEMU's output, whatever precedes and
 * follows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/vm/said.h"

#define QEMU "qemu-system-x86_64: "
#define BLOCKDEV                                                                                       \
	QEMU "-blockdev {\"driver\":\"qcow2\",\"node-name\":\"d-root\",\"file\":{\"driver\":\"file\"," \
	     "\"filename\":\"/srv/a: \\\"}: x\\\".qcow2\"}}: "

static const struct {
	const char *said, *why, *cure;
	bool host;
} cases[] = {
	/* clang-format off */
	{ "", "", NULL, false },
	{ "\n\n", "", NULL, false },
	{ BLOCKDEV "qcow2: Image is corrupt; cannot be opened read/write\n",
	  "/srv/a: \"}: x\".qcow2: qcow2: Image is corrupt; cannot be opened read/write", "qemu-img check -r all", false },
	{ BLOCKDEV "warning: odd\n" BLOCKDEV "Could not open '/srv/a: \"}: x\".qcow2': filesystem does not support O_DIRECT",
	  "Could not open '/srv/a: \"}: x\".qcow2': filesystem does not support O_DIRECT", "Cache=writeback", false },
	{ QEMU "-device {\"driver\":\"virtio-net-pci\",\"id\":\"nic-lan\"}: PCI: slot 0 in use",
	  "nic-lan: PCI: slot 0 in use", NULL, false },
	{ QEMU "-nonsense: invalid option", "-nonsense: invalid option", "correct Args=", false },
	{ QEMU "-device {broken: why", "-device {broken: why", NULL, false },
	{ QEMU "-device {}", "-device {}", NULL, false },
	{ QEMU "unsupported machine type\nUse -machine help to list supported machines\n", "unsupported machine type", NULL, false },
	{ QEMU "cannot set up guest memory 'a': Cannot allocate memory\n" QEMU "warning: host doesn't support it\n\n",
	  "cannot set up guest memory 'a': Cannot allocate memory", "Memory=", true },
	{ "Could not access KVM kernel module: No such file or directory\n" QEMU "failed to initialize kvm: No such file or directory",
	  "failed to initialize kvm: No such file or directory", "vmkeep host check", true },
	{ QEMU "-vnc x: Failed to listen: Address already in use", "-vnc x: Failed to listen: Address already in use", "ss -lntup", true },
	{ "**\nERROR:../hw/x.c:12:f: assertion failed: (a)\nBail out!\n", "Bail out!", NULL, false },
	{ "it says\nwhat it likes\x1b[2J\n", "what it likes\\x1b[2J", NULL, false },
	{ "a:", "a:", NULL, false },
	{ "a: ", "a: ", NULL, false },
	/* clang-format on */
};

static void says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(free_ptr) char *why = said_why(cases[i].said, strlen(cases[i].said));
		struct err e = ERR_INIT;

		assert_string_equal(why, cases[i].why);
		assert_int_equal(said_known(why, &e), cases[i].host);
		if (cases[i].cure)
			assert_non_null(strstr(e.hint, cases[i].cure));
		else
			assert_string_equal(e.hint, "");
	}
}

static void fatal(void **state)
{
	static const struct {
		const char *said, *fatal;
	} rows[] = {
		/* clang-format off */
		{ "", "" },
		{ "qemu-system-x86_64: warning: KVM internal error is what it is not\n", "" },
		{ "warning\nKVM internal error. Suberror: 1\nextra data[0]: 0\nemulation failure\nEAX=1 EBX=2\n",
		  "KVM internal error. Suberror: 1, emulation failure" },
		{ "KVM internal error. Suberror: 3\nextra data[0]: 80000b0e\nRAX=0", "KVM internal error. Suberror: 3" },
		{ "KVM: entry failed, hardware error 0x80000021\n\nIf you're running a guest on an Intel machine\nEAX=0\n",
		  "KVM: entry failed, hardware error 0x80000021" },
		{ "error: kvm run failed Bad address\nRAX=0\n", "error: kvm run failed Bad address" },
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(free_ptr) char *why = said_fatal(rows[i].said);

		assert_string_equal(why, rows[i].fatal);
	}
}

/* Truncated anywhere: the kept tail may begin in the middle, and hostile bytes may end anywhere. */
static void cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t from = 0; from < strlen(cases[i].said); from++)
			for (size_t end = from; end <= strlen(cases[i].said); end++) {
				char *part = xstrndup(cases[i].said + from, end - from);

				free(said_why(part, end - from));
				free(part);
			}
}

/* Missing CPU features, with the line that removes them; otherwise QEMU's last lines. */
static void failures(void **state)
{
	/* clang-format off */
	static const struct {
		const char *said, *text, *hint;
		enum err_class class;
	} all[] = {
		{ QEMU "warning: TCG doesn't support requested feature: CPUID.07H:EBX.avx512f [bit 16]\n"
		  QEMU "warning: TCG doesn't support requested feature: CPUID.01H:ECX.sse4.2 [bit 20]\n"
		  QEMU "warning: TCG doesn't support requested feature: CPUID.0DH:EAX [bit 5]\n"
		  QEMU "warning: TCG doesn't support requested feature: MSR(10AH).rdctl-no [bit 0]\n"
		  QEMU "TCG doesn't support requested features\n",
		  "TCG lacks CPU features that it asks for: avx512f, sse4.2, rdctl-no",
		  "to do without them: Features=-avx512f -sse4.2 -rdctl-no in [CPU]; or write another Model=",
		  ERR_INVALID_CONFIG },
		{ QEMU "warning: host doesn't support requested feature: CPUID.80000001H:EDX.fxsr-opt [bit 25]\n"
		  QEMU "Host doesn't support requested features\n",
		  "this host lacks CPU features that it asks for: fxsr-opt",
		  "to do without them: Features=-fxsr-opt in [CPU]; or write another Model=", ERR_INVALID_CONFIG },
		{ QEMU "warning: host doesn't support requested feature: CPUID.0DH:EAX [bit 5]\n"
		  QEMU "Host doesn't support requested features\n",
		  "QEMU did not start: how\n" QEMU
		  "warning: host doesn't support requested feature: CPUID.0DH:EAX [bit 5]\n" QEMU
		  "Host doesn't support requested features", "", ERR_QEMU_FAILED },
		{ QEMU "warning: host doesn't support requested feature: CPUID.0DH:EBX.x [bit 5]\n" QEMU "why",
		  "QEMU did not start: how\n" QEMU
		  "warning: host doesn't support requested feature: CPUID.0DH:EBX.x [bit 5]\n" QEMU "why",
		  "", ERR_QEMU_FAILED },
		{ "", "QEMU did not start: how", "", ERR_QEMU_FAILED },
		/* the option is not repeated: people know the file */
		{ QEMU "warning: odd\n" BLOCKDEV "Bitmap '' is odd\nmore: -a {\n",
		  "QEMU did not start: how\n" QEMU "warning: odd\n" QEMU
		  "/srv/a: \"}: x\".qcow2: Bitmap '' is odd\nmore: -a {", "", ERR_QEMU_FAILED },
		{ BLOCKDEV "Could not open '/srv/a: \"}: x\".qcow2': odd", "QEMU did not start: how\n" QEMU
		  "Could not open '/srv/a: \"}: x\".qcow2': odd", "", ERR_QEMU_FAILED },
		{ BLOCKDEV "Too much extra metadata in snapshot table entry 0", "QEMU did not start: how\n" QEMU
		  "/srv/a: \"}: x\".qcow2: Too much extra metadata in snapshot table entry 0",
		  "copy the image, then: qemu-img check -r all", ERR_QEMU_FAILED },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		_cleanup_(free_ptr) char *why = NULL;
		struct err e = ERR_INIT;

		assert_false(said_failure(all[i].said, strlen(all[i].said), "how", &why, &e));
		assert_string_equal(e.text, all[i].text);
		assert_string_equal(e.hint, all[i].hint);
		assert_int_equal(e.class, all[i].class);
		assert_non_null(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says),
		cmocka_unit_test(fatal),
		cmocka_unit_test(failures),
		cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
