/* SPDX-License-Identifier: MIT */
/*
 * vmkeep check FILE: the file of a VM in the daemon's configuration directory is checked by the
 * daemon, like check NAME; any other is read here, with the caller's permissions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/budget.h"
#include "conf/load.h"
#include "supervisor/api/result.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"

static const char *check_ending(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && !strchr(dot, '/') ? dot : "";
}

struct file {
	const char *base, *end; /* "web1.vm", ".vm" */
	char *dir, *name;	/* "web1" */
	char *drops_into;	/* a drop-in: the path of its VM's file; NULL: none */
};

static struct file check_split(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct file f = { .base = slash ? slash + 1 : path, .end = check_ending(path) };
	_cleanup_(free_ptr) char *dir = NULL;
	const char *d;

	if (streq(path, "-"))
		f.base = "stdin";
	f.dir = slash ? xstrndup(path, (size_t)(slash - path) + !(slash - path)) : xstrdup(".");
	f.name = xstrndup(f.base, strlen(f.base) - strlen(f.end));
	dir = streq(f.end, ".conf") ? realpath(f.dir, NULL) : NULL;
	d = dir ? strstr(dir, ".vm.d") : NULL;
	if (d && streq(d, ".vm.d"))
		f.drops_into = xstrndup(dir, strlen(dir) - strlen(".d"));
	return f;
}

static void check_release(struct file *f)
{
	free(f->dir);
	free(f->name);
	free(f->drops_into);
}

static struct conf_context check_context(const struct conf_daemon *defaults)
{
	return (struct conf_context){
		.defaults = defaults,
		.uuid = "00000000-0000-0000-0000-000000000000", /* placeholder: the daemon assigns it */
		.state_dir = "/var/lib/vmkeep",
	};
}

static bool check_is_file(const char *word)
{
	const char *end = check_ending(word);

	if (strchr(word, '/') || streq(word, "-"))
		return true;
	return (streq(end, ".vm") || streq(end, ".network") || streq(end, ".conf")) &&
	       access(word, F_OK) == 0;
}

static int check_read_input(struct buf *text, struct err *e)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof chunk)) > 0)
		if (buf_add(text, chunk, (size_t)n) < 0)
			return err_set(e, ERR_FAILED, "read standard input: larger than %d bytes",
				CONF_TEXT_MAX);
	return n < 0 ? err_errno(e, "read standard input") : 0;
}

static int check_read_source(
	const char *path, struct buf *text, struct conf_source *src, struct err *e)
{
	int r = streq(path, "-") ? check_read_input(text, e) : file_read(AT_FDCWD, path, text, e);

	*src = (struct conf_source){ path, text->data ? text->data : "", text->len };
	return r;
}

/* [Defaults] and stores come from vmkeep.conf beside the file; its own problems are reported by its
 * own check. False: there is none. */
static bool check_read_defaults(const char *dir, struct conf_daemon *defaults)
{
	_cleanup_(free_ptr) char *beside = xasprintf("%s/vmkeep.conf", dir);
	_cleanup_(buf_release) struct buf text = BUF_MAX(CONF_TEXT_MAX);
	struct conf_problems ignored = { 0 };
	struct conf_source src;
	bool there = check_read_source(beside, &text, &src, NULL) == 0;

	if (there)
		conf_daemon_parse(defaults, &src, 1, &ignored);
	conf_problems_release(&ignored);
	return there;
}

/* After the file of its VM; without that file it stands alone. */
static void check_parse_drop_in(
	const char *path, const struct conf_source *drop_in, struct conf_problems *p)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(CONF_TEXT_MAX);
	struct conf_daemon daemon = CONF_DAEMON_INIT;
	struct conf_vm vm = CONF_VM_INIT;
	struct conf_context context = check_context(NULL);
	struct file file = check_split(path);
	struct conf_source src[2];
	bool there = check_read_source(path, &text, &src[0], NULL) == 0;

	src[1] = *drop_in;
	if (check_read_defaults(file.dir, &daemon))
		context.defaults = &daemon;
	conf_vm_parse(&vm, file.name, src + !there, 1 + there, &context, p);
	conf_vm_release(&vm);
	conf_daemon_release(&daemon);
	check_release(&file);
}

static void check_parse(
	const struct file *f, const struct conf_source *src, struct conf_problems *p)
{
	struct conf_network network = CONF_NETWORK_INIT;
	struct conf_daemon daemon = CONF_DAEMON_INIT;
	struct conf_vm vm = CONF_VM_INIT;
	struct conf_context context = check_context(NULL);

	if (f->drops_into) {
		check_parse_drop_in(f->drops_into, src, p);
	} else if (streq(f->end, ".network")) {
		conf_network_parse(&network, f->name, src, 1, p);
	} else if (streq(f->base, "vmkeep.conf")) {
		conf_daemon_parse(&daemon, src, 1, p);
	} else {
		if (check_read_defaults(f->dir, &daemon))
			context.defaults = &daemon;
		conf_vm_parse(&vm, f->name, src, 1, &context, p);
	}
	conf_vm_release(&vm);
	conf_network_release(&network);
	conf_daemon_release(&daemon);
}

/* --- stop times, of all VMs beside the file --- */

struct beside {
	const char *dir;
	struct conf_daemon daemon;
	struct conf_vm **vm;
	size_t n;
};

static void check_beside_found(void *data, const char *name)
{
	struct beside *b = data;
	const struct conf_context ctx = check_context(&b->daemon);
	struct conf_vm *vm = xcalloc(1, sizeof *vm);
	struct conf_problems ignored = { 0 };

	*vm = (struct conf_vm)CONF_VM_INIT;
	if (conf_load_vm(vm, b->dir, name, &ctx, &ignored) && !ignored.count) {
		b->vm = xrealloc(b->vm, b->n + 1, sizeof(struct conf_vm *));
		b->vm[b->n++] = vm;
	} else {
		conf_vm_release(vm);
		free(vm);
	}
	conf_problems_release(&ignored);
}

static void check_beside_row(void *data, const struct conf_place *place, const char *key,
	const char *reason, const char *hint)
{
	conf_problem_add(data, &(struct conf_problem){ .place = *place,
				       .key = key,
				       .reason = reason,
				       .hint = hint,
				       .warning = true });
}

/* Unreadable files have problems of their own, which are reported by their own check. */
static void check_beside(const struct file *f, struct conf_problems *p)
{
	struct beside b = { .dir = f->dir, .daemon = CONF_DAEMON_INIT };
	struct conf_problems ignored = { 0 };
	bool all = streq(f->base, "vmkeep.conf");

	if (!all && !streq(f->end, ".vm"))
		return;
	conf_load_daemon(&b.daemon, f->dir, &ignored);
	if (!ignored.count) {
		conf_list_vms(f->dir, check_beside_found, &b, &ignored);
		budget_check(&b.daemon, (const struct conf_vm *const *)b.vm, b.n,
			all ? NULL : f->name, check_beside_row, p);
	}
	for (size_t i = 0; i < b.n; i++) {
		conf_vm_release(b.vm[i]);
		free(b.vm[i]);
	}
	free(b.vm);
	conf_daemon_release(&b.daemon);
	conf_problems_release(&ignored);
}

static int check_print(struct command *c, json_t *result /* stolen */)
{
	int code = command_result(c, NULL, result);

	command_flush_json(c);
	command_flush(c);
	json_decref(result);
	return code;
}

/* note: what only the daemon could have looked at. */
static int check_file(struct command *c, const char *path, const char *note)
{
	_cleanup_(free_ptr) char *safe = text_escape(path, strlen(path), false);
	_cleanup_(buf_release) struct buf text = BUF_MAX(CONF_TEXT_MAX);
	struct conf_problems problems = { 0 };
	struct conf_source src;
	struct err e = ERR_INIT;
	struct file file;
	int code;

	if (check_read_source(path, &text, &src, &e) < 0)
		return errors_print(NULL, &e);
	if (note && !c->quiet)
		errors_note("%s", note);
	src.file = safe;
	file = check_split(path);
	check_parse(&file, &src, &problems);
	if (!problems.count)
		check_beside(&file, &problems);
	check_release(&file);
	code = check_print(c, api_problems(&problems, true));
	conf_problems_release(&problems);
	return code;
}

/* --- a file of the daemon's --- */

static bool check_same_dir(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && file_same(&x, &y);
}

/* The VM whose file or drop-in this is by its place; NULL: none. */
static char *check_vm_at(const char *path, const char *config)
{
	struct file file = check_split(path);
	char *name = NULL;

	if (file.drops_into)
		name = check_vm_at(file.drops_into, config);
	else if (streq(file.end, ".vm") && conf_name_ok(file.name) &&
		 check_same_dir(file.dir, config))
		name = xstrdup(file.name);
	check_release(&file);
	return name;
}

static int check_ask(struct command *c, const char *name, struct err *e)
{
	json_auto_t *arguments = json_pack("{s:s}", "name", name);
	json_t *result = conn_call(&c->conn, c->verb->execute, arguments, e);

	if (!result && e->class == ERR_PERMISSION)
		return -1;
	return result ? check_print(c, result) : errors_print(NULL, e);
}

/* Returns the exit code; -1: the daemon does not check this file. *note: why not; the caller
 * frees it. */
static int check_by_daemon(struct command *c, const char *path, char **note)
{
	static const char alone[] =
		"only its text was checked; images, networks, QEMU and the host were not";
	_cleanup_(free_ptr) char *real = realpath(path, NULL), *name = NULL;
	struct err e = ERR_INIT;
	json_auto_t *version = conn_open(&c->conn, conn_run_dir(c->args->run), &e) < 0
				       ? NULL
				       : conn_call(&c->conn, "query-version", NULL, &e);
	const char *config = json_string_value(json_object_get(version, "config"));
	int code = -1;

	if (config) {
		name = check_vm_at(path, config);
		if (!name && real)
			name = check_vm_at(real, config);
		if (name)
			code = check_ask(c, name, &e);
	}
	if (code < 0)
		*note = e.number ? xasprintf("%s: %s", alone, e.text)
				 : xasprintf("%s, because this is not a VM's file in %s", alone,
					   config);
	return code;
}

int check_run(struct command *c)
{
	const char *word = json_string_value(json_object_get(c->args->arguments, "name"));
	_cleanup_(free_ptr) char *note = NULL;
	int code;

	if (!word || !check_is_file(word))
		return calls_run(c);
	code = check_by_daemon(c, word, &note);
	return code < 0 ? check_file(c, word, note) : code;
}
