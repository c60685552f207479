/* SPDX-License-Identifier: MIT */
/*
 * From the text that an operator writes to the command line that QEMU gets:
 * tests/golden/argv/NAME.vm gives exactly NAME.argv, with a recorded probe and fixed identity.
 * UPDATE_GOLDEN=1 writes them anew: then read the diff. That the real QEMU takes each of them is
 * vm_qemu.c's proof.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/golden.h"

static void test_golden(void **state)
{
	const char *name = *state;
	struct golden g = { .image_dir = GOLDEN_IMAGES };
	struct buf want = BUF_MAX(1 << 20);
	char *path = xasprintf(GOLDEN_DIR "/%s.argv", name), *got, *again;

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

	/* once the slots are given, nothing changes any more */
	g.id.dirty = false;
	golden_build(&g);
	again = argv_shell(&g.argv);
	assert_string_equal(again, got);
	assert_false(g.id.dirty);

	golden_release(&g);
	buf_release(&want);
	free(path);
	free(got);
	free(again);
}

int main(void)
{
	struct CMUnitTest tests[GOLDEN_MAX];
	char *names[GOLDEN_MAX];
	size_t n = golden_names(names);
	int r;

	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ names[i], test_golden, NULL, NULL, names[i] };
	r = _cmocka_run_group_tests("golden command lines", tests, n, NULL, NULL);
	while (n)
		free(names[--n]);
	return r;
}
