/* SPDX-License-Identifier: MIT */
/*
 * Proves, with recorded answers of a daemon (tests/golden/cli/VERB[+CASE].in: the command line and
 * the result), that each verb prints exactly VERB[+CASE].txt for people and .json for programs, and
 * that no verb lacks such an answer. GOLDEN=write writes the expected output.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "tests/unit/line.h"

#define GOLDEN_DIR "tests/golden/cli"

enum { CASES_MAX = 128 };

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted; each the caller's to free. */
static size_t case_names(char *names[CASES_MAX])
{
	DIR *dir = opendir(GOLDEN_DIR);
	size_t n = 0;

	for (struct dirent *d; dir && (d = readdir(dir));) {
		const char *dot = strrchr(d->d_name, '.');

		if (!dot || !streq(dot, ".in"))
			continue;
		assert_true(n < CASES_MAX);
		names[n++] = xstrndup(d->d_name, (size_t)(dot - d->d_name));
	}
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof *names, compare);
	return n;
}

/* Returns the same result to every request. */
static void serve(int fd, void *result)
{
	struct codec codec;
	struct err e = ERR_INIT;
	char chunk[4096];
	json_t *request;
	ssize_t got;

	codec_init(&codec, 1 << 20);
	while ((got = read(fd, chunk, sizeof chunk)) > 0) {
		codec_feed(&codec, chunk, (size_t)got);
		while (codec_next(&codec, &request, &e) == CODEC_MESSAGE)
			line_reply(fd, json_pack("{s:O, s:O}", "return", result, "id",
					       json_object_get(request, "id")));
	}
	_exit(0);
}

/* What the command prints, on stderr too, and its exit status if that is not 0. */
static char *shown(const char *line, json_t *result)
{
	static char out[LINE_OUTPUT_MAX], err[LINE_OUTPUT_MAX];
	pid_t pid = line_daemon(serve, result);
	int code = line_run(line, out, err), status;
	struct buf b = BUF_INIT;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	buf_adds(&b, out);
	if (*err)
		buf_printf(&b, "--- stderr\n%s", err);
	if (code)
		buf_printf(&b, "--- exit %d\n", code);
	return buf_steal(&b);
}

static void check(const char *name, const char *end, const char *text)
{
	_cleanup_(free_ptr) char *path = xasprintf(GOLDEN_DIR "/%s.%s", name, end);
	struct buf want = BUF_INIT;
	struct err e = ERR_INIT;

	if (streq(getenv("GOLDEN"), "write"))
		file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, NULL);
	if (file_read(AT_FDCWD, path, &want, &e) < 0)
		fail_msg("%s; GOLDEN=write writes it", e.text);
	if (!streq(want.data ? want.data : "", text))
		fail_msg("%s: is now\n%s", path, text);
	buf_release(&want);
}

static void answers_are_shown_as_ever(void **state)
{
	char *names[CASES_MAX];
	size_t n = case_names(names);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		_cleanup_(free_ptr) char *path = xasprintf(GOLDEN_DIR "/%s.in", names[i]);
		json_t *doc = json_load_file(path, 0, NULL),
		       *result = json_object_get(doc, "return");
		const char *line = json_string_value(json_object_get(doc, "line"));
		_cleanup_(free_ptr) char *json = xasprintf("--json %s", line ? line : "");
		_cleanup_(free_ptr) char *text = NULL, *object = NULL;

		if (!line || !result)
			fail_msg("%s: has no line or no return", path);
		text = shown(line, result);
		check(names[i], "txt", text);
		object = shown(json, result);
		check(names[i], "json", object);
		json_decref(doc);
		free(names[i]);
	}
}

static bool has_case(char *const names[], size_t n, const char *execute)
{
	size_t len = strlen(execute);

	for (size_t i = 0; i < n; i++)
		if (strncmp(names[i], execute, len) == 0 &&
			(!names[i][len] || names[i][len] == '+'))
			return true;
	return false;
}

/* Events and streams have no result. */
static void every_verb_has_an_answer(void **state)
{
	char *names[CASES_MAX];
	size_t n = case_names(names);

	(void)state;
	for (size_t i = 0; i < api_verbs_n; i++) {
		const struct api_verb *v = &api_verbs[i];

		if (v->command && !(v->traits & API_STREAM) && !streq(v->execute, "subscribe") &&
			!has_case(names, n, v->execute))
			fail_msg(GOLDEN_DIR " has no answer of %s", v->execute);
	}
	while (n)
		free(names[--n]);
}

static int setup(void **state)
{
	setenv("TZ", "UTC", 1);
	setenv("VISUAL", "sed -i s/1G/2G/", 1); /* edit */
	/* guest passwd reads a line */
	if (dup2(open("tests/golden/cli/stdin", O_RDONLY | O_CLOEXEC), STDIN_FILENO) < 0)
		return -1;
	return line_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_shown_as_ever),
		cmocka_unit_test(every_verb_has_an_answer),
	};

	return cmocka_run_group_tests(tests, setup, line_teardown);
}
