/* SPDX-License-Identifier: MIT */
/* Before create and run: fetches the image, if that is a URL, or in the catalogue and in no store yet. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/value.h"

static const char *fetch_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* The last part of a URL, without the ending, as a name that an image may have. */
static char *fetch_name(const char *url)
{
	static const char *const ends[] = { ".qcow2", ".img" };
	size_t len = strcspn(url, "?#"), begin = len;
	char *name;

	while (begin && url[begin - 1] != '/')
		begin--;
	name = xstrndup(url + begin, len - begin);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = strlen(name), end = strlen(ends[i]);

		if (n > end && streq(name + n - end, ends[i]))
			name[n - end] = '\0';
	}
	for (char *at = name; *at; at++)
		if (!strchr("._-", *at) && !(*at >= '0' && *at <= '9') &&
			!(*at >= 'a' && *at <= 'z') && !(*at >= 'A' && *at <= 'Z'))
			*at = '-';
	return name;
}

/* The store of the first disk: of Disk.root.Store=X, or of store=X in its --disk; NULL: default. */
static char *fetch_store(const json_t *arguments)
{
	static const char key[] = "Disk.root.Store=", word[] = "store=";
	const char *disk = json_string_value(json_array_get(json_object_get(arguments, "disk"), 0));
	char *store = NULL;
	size_t i;
	json_t *one;

	json_array_foreach (json_object_get(arguments, "keys"), i, one)
		if (strncmp(json_string_value(one), key, strlen(key)) == 0) {
			free(store);
			store = xstrdup(json_string_value(one) + strlen(key));
		}
	for (; !store && disk; disk = strchr(disk, ','), disk = disk ? disk + 1 : NULL)
		if (strncmp(disk, word, strlen(word)) == 0)
			store = xstrndup(disk + strlen(word), strcspn(disk + strlen(word), ","));
	return store;
}

static void fetch_print_nothing(struct command *c, const char *target, const json_t *result)
{
}

/* Like the command that it stands for, but silent where that would disturb the output. */
static int fetch_run(const struct command *c, json_t *arguments /* stolen */)
{
	static const struct command_form said = { .print = sentence_fetched },
					 unsaid = { .print = fetch_print_nothing };
	struct args a = *c->args;
	struct command f = *c;
	int code;

	a.verb = api_verb_by_execute("image-fetch");
	a.targets = 0;
	a.arguments = arguments;
	f.args = &a;
	f.verb = a.verb;
	f.form = c->verb->traits & API_RUNS ? &unsaid : &said;
	f.result = &a.verb->returns;
	f.conn = (struct conn)CONN_INIT;
	f.json = false;
	f.quiet = c->quiet || c->json;
	f.target = NULL;
	f.targets = 0;
	f.out = (struct buf)BUF_INIT;
	code = calls_run(&f);
	targets_release(&f);
	conn_release(&f.conn);
	buf_release(&f.out);
	json_decref(arguments);
	return code;
}

/* In place of an image, a VM may have that name, which must be a template then. */
static void fetch_find_template(struct conn *conn, json_t *arguments, const char *name)
{
	json_auto_t *vm = json_pack("{s:s}", "name", name), *info = NULL;
	struct err ignored = ERR_INIT;

	info = conn_call(conn, "vm-info", vm, &ignored);
	if (info)
		json_object_set_new(arguments, "template", json_true());
}

/* By the catalogue: the user that the image is made for, and whether it must be fetched. */
static int fetch_look(
	struct command *c, json_t *arguments, const char *image, bool *needed, struct err *e)
{
	json_auto_t *only = json_pack("{s:s}", "image", image);
	struct conn conn = CONN_INIT;
	json_t *list = NULL, *row;
	bool found = false;
	size_t i;

	if (conn_open(&conn, conn_run_dir(c->args->run), e) == 0)
		list = conn_call(&conn, "image-list", only, e);
	json_array_foreach (json_object_get(list, "rows"), i, row) {
		const char *user = json_string_value(value_cell(list, row, "user"));

		if (!streq(json_string_value(value_cell(list, row, "name")), image))
			continue;
		found = true;
		*needed = !streq(json_string_value(value_cell(list, row, "state")), "ready");
		if (user && json_object_get(arguments, "ssh-key") && !fetch_text(arguments, "user"))
			json_object_set_new(arguments, "user", json_string(user));
	}
	if (list && !found && c->verb->traits & API_RUNS)
		fetch_find_template(&conn, arguments, image);
	json_decref(list);
	conn_release(&conn);
	return e->number;
}

int fetch_image(struct command *c)
{
	json_t *arguments = c->args->arguments;
	const char *image = fetch_text(arguments, "image"),
		   *digest = fetch_text(c->args->own, "digest");
	const bool url = image && strncmp(image, "https://", 8) == 0,
		   dry = json_is_true(json_object_get(arguments, "dry-run"));
	_cleanup_(free_ptr) char *store = fetch_store(arguments),
				 *name = url ? fetch_name(image) : NULL;
	bool needed = url;
	struct err e = ERR_INIT;
	json_t *request;

	if (digest && !url)
		err_set(&e, ERR_USAGE, "%s: --digest goes with an image that is a URL",
			c->verb->command);
	else if (url && !conf_name_ok(name))
		err_set(&e, ERR_USAGE, "%s: '%s' does not end with a name for the image",
			c->verb->command, image);
	else if (image && !url && conf_name_ok(image) &&
		 !json_is_true(json_object_get(arguments, "template")))
		fetch_look(c, arguments, image, &needed, &e);
	if (e.number)
		return errors_print(NULL, &e);
	request = json_pack("{s:s, s:s*, s:s*, s:s*}", "image", url ? name : image, "url",
		url ? image : NULL, "digest", digest, "store", store);
	if (url)
		json_object_set_new(arguments, "image", json_string(name));
	if (needed && !dry)
		return fetch_run(c, request);
	json_decref(request);
	return 0;
}
