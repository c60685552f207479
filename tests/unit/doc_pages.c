/* SPDX-License-Identifier: MIT */
/*
 * Proves that the manual is complete: each page as seen by a reader names every section, key and
 * default, verb, argument, spelling, event, error class and option in the tables; no line of a
 * template was left; and mandoc reports no problems.
 */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "conf/schema.h"
#include "supervisor/api/api.h"

static const char *const names[] = { "vmkeep.1", "vmkeepd.8", "vmkeep.vm.5", "vmkeep.network.5",
	"vmkeep-api.7", "vmkeep-security.7" };

/* BUILD/man, where this program is BUILD/tests/unit/doc_pages. */
static char *page_path(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	assert_true(n > 0);
	self[n] = '\0';
	for (int up = 0; up < 3; up++)
		*strrchr(self, '/') = '\0';
	return xasprintf("%s/man/%s", self, name);
}

static bool have_mandoc(void)
{
	return system("mandoc -T lint /dev/null >/dev/null 2>&1; test $? != 127") == 0;
}

/* A command's output; its exit status in *status. */
static void run(struct buf *out, int *status, const char *command)
{
	FILE *f = popen(command, "re");
	char chunk[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_add(out, chunk, n);
	*status = pclose(f);
	buf_adds(out, ""); /* data is not NULL here */
}

/* As shown on a terminal, without lines: bold is a letter typed over itself, and a space may be a
 * line break. */
static char *page_text(const char *name)
{
	_cleanup_(free_ptr) char *path = page_path(name);
	_cleanup_(free_ptr) char *command = xasprintf("mandoc -T ascii -O width=1000 %s", path);
	struct buf b = BUF_INIT;
	char *text, *to;
	int status;

	run(&b, &status, command);
	assert_int_equal(status, 0);
	text = to = buf_steal(&b);
	for (const char *from = text; *from; from++) {
		if (*from == '\b')
			to--;
		else if (*from != '\n' && *from != ' ')
			*to++ = *from;
		else if (to == text || to[-1] != ' ')
			*to++ = ' ';
	}
	*to = '\0';
	return text;
}

static void must_have(const char *page, const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("%s does not tell: %s", page, what);
}

static void pages_lint_clean(void **state)
{
	(void)state;
	if (!have_mandoc()) {
		print_message("no mandoc on this host: pages are not looked at\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(free_ptr) char *path = page_path(names[i]);
		_cleanup_(free_ptr) char *command = xasprintf("mandoc -T lint -W warning %s", path);
		struct buf said = BUF_INIT;
		int status;

		run(&said, &status, command);
		if (status || said.len)
			fail_msg("%s: %s", names[i], said.data);
		buf_release(&said);
	}
}

static void nothing_of_the_templates_is_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(free_ptr) char *path = page_path(names[i]);
		struct buf text = BUF_INIT;

		assert_int_equal(file_read(AT_FDCWD, path, &text, NULL), 0);
		assert_null(strstr(text.data, "\n@"));
		must_have(names[i], text.data, ".Os vmkeep " VMKEEP_VERSION "\n");
		buf_release(&text);
	}
}

/* In the order of the table, each key after the heading of its section. */
static void has_schema(const char *page, const struct conf_schema *schema)
{
	_cleanup_(free_ptr) char *text = page_text(page);
	const char *at = text;

	for (size_t i = 0; i < schema->sections; i++) {
		const struct conf_section *s = &schema->section[i];
		_cleanup_(free_ptr) char *header =
			xasprintf(" [%s%s] %s", s->name, s->size ? " ID" : "", s->help);

		must_have(page, at, header);
		at = strstr(at, header);
		for (size_t k = 0; k < s->keys; k++) {
			const struct conf_key *key = &s->key[k];
			_cleanup_(free_ptr) char *item =
				xasprintf(" %s= %s [", key->name, key->help);
			_cleanup_(free_ptr) char *preset = xasprintf(
				"; default: %s; applies: ", key->preset ? key->preset : "");

			must_have(page, at, item);
			at = strstr(at, item) + strlen(item);
			if (key->preset)
				must_have(page, at, preset);
		}
	}
}

static void every_key_is_told(void **state)
{
	(void)state;
	if (!have_mandoc())
		skip();
	has_schema("vmkeep.vm.5", &conf_vm_schema);
	has_schema("vmkeep.network.5", &conf_network_schema);
	has_schema("vmkeepd.8", &conf_daemon_schema);
	has_schema("vmkeepd.8", &conf_image_schema);
}

static void has_verb(const char *command, const char *api, const struct api_verb *v)
{
	_cleanup_(free_ptr) char *result = xasprintf(" Returns %s.", v->result);
	_cleanup_(free_ptr) char *execute = xasprintf(" %s ", v->execute);
	const char *at = strstr(api, " VERBS ");
	const struct api_arg *arg;

	assert_non_null(at);
	must_have("vmkeep-api.7", at, execute);
	at = strstr(at, execute);
	for (size_t i = 0; (arg = api_verb_arg(v, i)); i++) {
		_cleanup_(free_ptr) char *word =
			xasprintf(" %s (%s", arg->name, api_type_name(arg->type));

		if (!arg->client)
			must_have("vmkeep-api.7", at, word);
		if (v->command && arg->option)
			must_have("vmkeep.1", command, arg->option);
	}
	must_have("vmkeep-api.7", at, result);
	for (const struct api_field *f = v->returns.columns ? v->returns.columns
							    : v->returns.members;
		f && f->name; f++)
		if (f->as)
			must_have("vmkeep-api.7", at, f->as);
	if (v->command)
		must_have("vmkeep.1", command, v->command);
	for (size_t i = 0; v->command && i < API_ALIASES_MAX && v->aliases[i]; i++)
		must_have("vmkeep.1", strstr(command, v->command), v->aliases[i]);
}

static void every_verb_is_told(void **state)
{
	_cleanup_(free_ptr) char *command = NULL, *api = NULL;

	(void)state;
	if (!have_mandoc())
		skip();
	command = page_text("vmkeep.1");
	api = page_text("vmkeep-api.7");
	for (size_t i = 0; i < api_verbs_n; i++)
		has_verb(command, api, &api_verbs[i]);
}

static void every_event_and_class_is_told(void **state)
{
	_cleanup_(free_ptr) char *command = NULL, *api = NULL;

	(void)state;
	if (!have_mandoc())
		skip();
	command = page_text("vmkeep.1");
	api = page_text("vmkeep-api.7");
	for (size_t i = 0; i < api_events_n; i++) {
		_cleanup_(free_ptr) char *event = xasprintf(" %s ", api_events[i].name);

		must_have("vmkeep-api.7", strstr(api, " EVENTS "), event);
	}
	for (size_t i = 0; i < ERR_CLASSES; i++) {
		const struct api_class *c = api_class((enum err_class)i);
		_cleanup_(free_ptr) char *row = xasprintf(" %d (%s) ", c->exit, c->name);

		must_have("vmkeep.1", strstr(command, " EXIT STATUS "), row);
		must_have("vmkeep-api.7", strstr(api, " CLASSES "), row);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_lint_clean),
		cmocka_unit_test(nothing_of_the_templates_is_left),
		cmocka_unit_test(every_key_is_told),
		cmocka_unit_test(every_verb_is_told),
		cmocka_unit_test(every_event_and_class_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
