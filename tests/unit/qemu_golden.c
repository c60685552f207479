/* SPDX-License-Identifier: MIT */
/*
 * From a VM's file to QEMU's command line: tests/golden/argv/NAME.vm yields exactly QEMU/NAME.argv
 * there for each QEMU with a recorded probe, with a fixed identity. UPDATE_GOLDEN=1 rewrites them:
 * then read the diff. qemu_started.c proves that the real QEMU accepts each of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/golden.h"

/* state: "QEMU/NAME" */
static void test_golden(void **state)
{
	const char *name = strchr(*state, '/') + 1;
	char *qemu = xstrndup(*state, (size_t)(name - 1 - (const char *)*state));
	struct golden g = { .image_dir = GOLDEN_IMAGES, .qemu = qemu };
	struct buf want = BUF_MAX(1 << 20);
	char *path = xasprintf(GOLDEN_DIR "/%s.argv", (const char *)*state), *got, *again;

	golden_load(&g, name);
	golden_build(&g);
	got = argv_shell(&g.argv);
	if (getenv("UPDATE_GOLDEN")) {
		char *text = xasprintf("%s\n", got);

		assert_int_equal(
			file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, NULL), 0);
		free(text);
	}
	assert_int_equal(file_read(AT_FDCWD, path, &want, NULL), 0);
	assert_int_equal(want.data[want.len - 1], '\n');
	want.data[want.len - 1] = '\0';
	assert_string_equal(got, want.data);

	/* once slots are assigned, nothing changes */
	g.id.dirty = false;
	golden_build(&g);
	again = argv_shell(&g.argv);
	assert_string_equal(again, got);
	assert_false(g.id.dirty);

	golden_release(&g);
	buf_release(&want);
	free(qemu);
	free(path);
	free(got);
	free(again);
}

int main(void)
{
	struct CMUnitTest tests[GOLDEN_MAX * ARRAY_SIZE(golden_qemus)];
	char *names[GOLDEN_MAX], *both;
	size_t n = golden_names(names), count = 0;
	int r;

	for (size_t q = 0; q < ARRAY_SIZE(golden_qemus); q++)
		for (size_t i = 0; i < n; i++) {
			both = xasprintf("%s/%s", golden_qemus[q], names[i]);
			tests[count++] = (struct CMUnitTest){ both, test_golden, NULL, NULL, both };
		}
	r = _cmocka_run_group_tests("golden command lines", tests, count, NULL, NULL);
	while (count)
		free(tests[--count].initial_state);
	while (n)
		free(names[--n]);
	return r;
}
