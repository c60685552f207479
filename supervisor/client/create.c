/* SPDX-License-Identifier: MIT */
/* Reads the files with ssh keys, has the image fetched; prints the file of a new VM, and what became of it. */
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/word.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"

enum { KEYS_MAX = 64 << 10 };

/* --- files that only the user can read --- */

static int create_no_key(const char *path, const char *text, struct err *e)
{
	err_set(e, ERR_USAGE, "'%s' is not a file of public keys of ssh", path);
	return strstr(text, "PRIVATE KEY") ? err_hint(e, "the public key is in %s.pub", path)
					   : e->number;
}

static int create_split_keys(json_t *keys, const char *path, char *text, struct err *e)
{
	const size_t before = json_array_size(keys);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		size_t len = strlen(line);

		while (len && strchr(" \t\r", line[len - 1]))
			line[--len] = '\0';
		if (!len || *line == '#')
			continue;
		if (!conf_word_ssh_key(line))
			return create_no_key(path, line, e);
		json_array_append_new(keys, json_string(line));
	}
	return json_array_size(keys) > before ? 0 : create_no_key(path, "", e);
}

static int create_read_keys(json_t *keys, const char *path, struct err *e)
{
	_cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	ssize_t n = 0;

	if (fd < 0)
		return err_errno(e, "open '%s'", path);
	while (b.len < KEYS_MAX && (n = read(fd, buf_reserve(&b, 4096), 4096)) > 0)
		buf_commit(&b, (size_t)n);
	if (n < 0)
		return err_errno(e, "read '%s'", path);
	buf_add(&b, "", 1);
	return create_split_keys(keys, path, b.data, e);
}

/* In place of a file, the keys in it. */
static int create_find_keys(json_t *arguments, struct err *e)
{
	json_t *keys = json_array(), *word;
	size_t i;
	int r = 0;

	json_array_foreach (json_object_get(arguments, "ssh-key"), i, word) {
		const char *text = json_string_value(word);

		if (conf_word_ssh_key(text))
			json_array_append(keys, word);
		else if (r == 0)
			r = create_read_keys(keys, text, e);
	}
	if (json_array_size(keys))
		json_object_set(arguments, "ssh-key", keys);
	json_decref(keys);
	return r;
}

/* vmkeep ssh must know the user. An image's own user has a name of its own on each
 * distribution, so the user gets the caller's name, as in the prompt; cloud-init makes no root. */
static void create_find_user(json_t *arguments)
{
	const struct passwd *own = getpwuid(getuid());
	const char *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL, *name = sudo;

	if (!name)
		name = own ? own->pw_name : "";
	if (json_object_get(arguments, "ssh-key") && !json_object_get(arguments, "user"))
		json_object_set_new(
			arguments, "user", json_string(conf_word_login(name) ? name : "admin"));
}

/* The daemon does not know our directory, and follows no links to user data. */
static int create_find_data(json_t *arguments, struct err *e)
{
	const char *path = json_string_value(json_object_get(arguments, "cloud-init"));
	char *real = path ? realpath(path, NULL) : NULL;

	if (path && !real)
		return err_errno(e, "open '%s'", path);
	if (real)
		json_object_set_new(arguments, "cloud-init", json_string(real));
	free(real);
	return 0;
}

int create_run(struct command *c)
{
	struct err e = ERR_INIT;
	int code;

	if (create_find_keys(c->args->arguments, &e) < 0 ||
		create_find_data(c->args->arguments, &e) < 0)
		return errors_print(NULL, &e);
	code = fetch_image(c);
	create_find_user(c->args->arguments);
	return code ? code : calls_run(c);
}

/* --- what it prints --- */

static void create_print_file(struct command *c, const char *target, const json_t *result)
{
	const char *file = json_string_value(json_object_get(result, "file")),
		   *text = json_string_value(json_object_get(result, "text"));
	_cleanup_(free_ptr) char *safe = text ? text_escape(text, strlen(text), true) : NULL;

	buf_printf(&c->out, "%s: %s\n", target, file);
	for (const char *line = safe; line && *line;) {
		size_t len = strcspn(line, "\n");

		buf_printf(&c->out, "%s%.*s\n", len ? "    " : "", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

void create_print(struct command *c, const char *target, const json_t *result)
{
	const char *state = json_string_value(json_object_get(result, "state"));

	if (!json_object_get(result, "text")) { /* --no-wait: the result is the job */
		command_print(c, target, result);
		return;
	}
	create_print_file(c, target, result);
	command_print_notes(c, target, json_object_get(result, "notes"));
	if (state && !streq(state, "stopped"))
		buf_printf(&c->out, "%s: %s\n", target, state);
	else
		buf_printf(&c->out, "%s: created; vmkeep start %s starts it\n", target, target);
}

void create_print_dry(struct command *c, const char *target, const json_t *result)
{
	create_print_file(c, target, result);
	command_print_notes(c, target, json_object_get(result, "notes"));
	buf_printf(&c->out, "%s: a dry run, nothing was written\n", target);
}
