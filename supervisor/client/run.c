/* SPDX-License-Identifier: MIT */
/* The verbs that differ from the default, and how. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/print.h"
#include "supervisor/client/value.h"

static bool run_has_rows(const json_t *result)
{
	return json_array_size(json_object_get(result, "rows")) > 0;
}

static const char *run_cell(const json_t *table, const json_t *row, const char *column)
{
	return json_string_value(value_cell(table, row, column));
}

static int run_problems_status(const json_t *result)
{
	const json_t *dry = json_object_get(result, "problems");

	result = dry ? dry : result;
	return run_has_rows(result) ? api_class(ERR_INVALID_CONFIG)->exit : 0;
}

/* The host shuts down regardless; the exit code is for a person who runs the verb. */
static int run_shutdown_status(const json_t *result)
{
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(result, "rows"), i, row) {
		const char *what = run_cell(result, row, "result");

		/* a dry run has no results */
		if (what && !streq(what, "stopped"))
			return api_class(ERR_GUEST_REFUSED)->exit;
	}
	return 0;
}

static void run_shutdown_print(struct command *c, const char *target, const json_t *result)
{
	if (run_has_rows(result))
		command_print(c, target, result);
	else
		buf_adds(&c->out, "no VM runs\n");
}

/* "file:line: key: reason", the compiler format that editors parse; the hint below. */
static void run_problems_print(struct command *c, const char *target, const json_t *result)
{
	const json_t *columns = json_object_get(result, "columns");
	size_t i, k;
	json_t *row, *v;

	json_array_foreach (json_object_get(result, "rows"), i, row) {
		const char *hint = run_cell(result, row, "hint");
		_cleanup_(free_ptr) char *safe =
			hint ? text_escape(hint, strlen(hint), false) : NULL;
		bool first = true;

		json_array_foreach (row, k, v) {
			const char *name = json_string_value(json_array_get(columns, k));
			_cleanup_(free_ptr) char *text = value_text(NULL, v);
			bool line = streq(name, "line");

			if (streq(name, "severity") || streq(name, "hint") || streq(name, "class"))
				continue;
			if (streq(name, "reason") &&
				streq(run_cell(result, row, "severity"), "warning")) {
				buf_printf(&c->out, "%swarning", first ? "" : ": ");
				first = false;
			}
			if (json_is_null(v) || (line && json_integer_value(v) == 0))
				continue;
			buf_printf(&c->out, "%s%s", first ? "" : line ? ":" : ": ", text);
			first = false;
		}
		buf_addc(&c->out, '\n');
		if (safe)
			buf_printf(&c->out, "  hint: %s\n", safe);
	}
	if (!run_has_rows(result))
		buf_printf(&c->out, "%s%sno problems\n", target ? target : "", target ? ": " : "");
}

static void run_reload_print(struct command *c, const char *target, const json_t *result)
{
	const json_t *problems = json_object_get(result, "problems");

	dry_reload_print(c, target, result);
	if (run_has_rows(problems))
		run_problems_print(c, target, problems);
}

/* "PASS  QEMU: ...", and the hint below anything but a pass. */
static void run_host_print(struct command *c, const char *target, const json_t *result)
{
	static const char *const columns[] = { "verdict", "check", "text" }, *const gaps[] = { "  ",
		": ", "\n" };
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(result, "rows"), i, row) {
		const char *cure = run_cell(result, row, "cure");

		for (size_t k = 0; k < ARRAY_SIZE(columns); k++) {
			const char *text = run_cell(result, row, columns[k]);

			buf_printf(&c->out, "%s%s", text ? text : "-", gaps[k]);
		}
		if (cure)
			buf_printf(&c->out, "      fix: %s\n", cure);
	}
}

static void run_diff_print(struct command *c, const char *target, const json_t *result)
{
	if (run_has_rows(result))
		command_print(c, target, result);
}

static void run_json_print(struct command *c, const char *target, const json_t *result)
{
	command_print_json(c, result);
}

static void run_reset_failed_print(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *state = value_text(NULL, json_object_get(result, "state"));

	if (json_is_false(json_object_get(result, "changed")))
		buf_printf(&c->out, "%s: %s, no failures to reset\n", target, state);
	else
		command_print(c, target, result);
}

static void run_forget_print(struct command *c, const char *target, const json_t *result)
{
	const json_t *disks = json_object_get(result, "disks");

	buf_printf(&c->out, "%s: forgotten\n", target);
	for (size_t i = 0; i < json_array_size(disks); i++)
		buf_printf(&c->out, "%s: '%s' was kept\n", target,
			json_string_value(json_array_get(disks, i)));
}

/* virsh's domstate prints one word. */
static void run_info_print(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *state = NULL;

	if (!streq(c->args->spelling, "state") && !streq(c->args->spelling, "domstate")) {
		json_t *plain = sentence_info(result);

		command_print(c, target, plain);
		json_decref(plain);
		return;
	}
	state = value_text(NULL, json_object_get(result, "state"));
	if (c->several)
		buf_printf(&c->out, "%s: %s\n", target, state);
	else
		buf_printf(&c->out, "%s\n", state);
}

/* Hides columns if all rows have the usual value. */
static bool run_is_silent(const char *column, const json_t *v)
{
	const char *s = json_string_value(v);

	if (streq(column, "want") || streq(column, "health") || streq(column, "enabled"))
		return true; /* covered by state, reason and enable */
	if (streq(column, "address"))
		return false; /* a missing address is worth showing */
	return json_is_null(v) || streq(s, "") || (json_is_array(v) && !json_array_size(v)) ||
	       (streq(column, "accel") && streq(s, "kvm")) ||
	       (streq(column, "enable") && streq(s, "no")) ||
	       (streq(column, "outdated") && json_is_false(v));
}

/* Appends problems of a running VM's QEMU to the reason column: lines are short. How a guest is
 * accelerated is of interest while it runs. */
static void run_list_print(struct command *c, const char *target, const json_t *result)
{
	size_t i;
	json_t *row;

	json_array_foreach (json_object_get(result, "rows"), i, row) {
		json_t *reason = (json_t *)(uintptr_t)value_cell(result, row, "reason");
		const char *health = run_cell(result, row, "health"),
			   *why = json_string_value(reason);
		_cleanup_(free_ptr) char *both = NULL;

		if (json_is_null(value_cell(result, row, "uptime")))
			json_string_set((json_t *)(uintptr_t)value_cell(result, row, "accel"), "");
		if (!health || !why || streq(health, "ok"))
			continue;
		both = xasprintf("%s%s%s", why, *why ? "; " : "", health);
		json_string_set(reason, both);
	}
	print_table(&c->out, c->result->columns, result, run_is_silent, 0, c->width);
}

/* Never shortened: the reasons are what it is read for. */
static void run_history_print(struct command *c, const char *target, const json_t *result)
{
	print_table(&c->out, c->result->columns, result, NULL, 0, 0);
}

static void run_version_print(struct command *c, const char *target, const json_t *result)
{
	print_result(&c->out, c->result->shown, result, c->width);
}

/* Always prints the client's own version. */
static int run_version(struct command *c)
{
	struct err e = ERR_INIT;
	json_t *daemon = NULL, *both;

	if (command_open(c, &e) == 0)
		daemon = conn_call(&c->conn, c->verb->execute, c->args->arguments, &e);
	both = json_pack("{s:{s:s, s:i}, s:O?}", "vmkeep", "package", VMKEEP_VERSION, "api",
		API_VERSION, "vmkeepd", daemon);
	command_result(c, NULL, both);
	command_flush_json(c);
	command_flush(c);
	json_decref(both);
	json_decref(daemon);
	return daemon ? 0 : errors_print(NULL, &e);
}

#pragma GCC diagnostic ignored \
	"-Wmissing-field-initializers" /* rows leave out members that they do not need */

/* clang-format off */
static const struct command_form forms[] = {
	{ "vm-start", start_run, NULL, NULL, start_status },
	{ "vm-list", problems_run, run_list_print, problems_print },
	{ "vm-info", NULL, run_info_print, .column = "holds", "no", ERR_FAILED },
	{ "vm-history", NULL, run_history_print },
	{ "vm-reset-failed", NULL, run_reset_failed_print },
	{ "vm-forget", NULL, run_forget_print },
	{ "vm-ssh", ssh_run },
	{ "vm-delete", NULL, delete_print, delete_print_dry },
	{ "image-fetch", NULL, sentence_fetched },
	{ "image-rm", NULL, delete_print_removed },
	{ "image-prune", NULL, prune_print, prune_print_dry, prune_status },
	{ "vm-rename", NULL, sentence_rename },
	{ "vm-clone", NULL, sentence_clone },
	{ "vm-console", console_run },
	{ "vm-log", stream_run },
	{ "subscribe", events_run },
	{ "vm-check", check_run, run_problems_print, .column = "severity", "error", ERR_INVALID_CONFIG },
	{ "vm-diff", NULL, run_diff_print, .column = "key", NULL, ERR_DIFFERS },
	{ "vms-shutdown", NULL, run_shutdown_print, dry_shutdown_print, run_shutdown_status },
	{ "vm-run", throwaway_run },
	{ "vm-create", create_run, create_print, create_print_dry },
	{ "vm-set", NULL, edit_print, edit_print_dry },
	{ "vm-unset", NULL, edit_print, edit_print_dry },
	{ "vm-enable", NULL, edit_print },
	{ "vm-disable", NULL, edit_print },
	{ "vm-edit", editor_run, edit_print },
	{ "vm-set-memory", NULL, sentence_memory },
	{ "vm-cd", NULL, sentence_cd },
	{ "nic-attach", NULL, sentence_nic },
	{ "nic-detach", NULL, sentence_nic },
	{ "nic-link", NULL, sentence_nic },
	{ "disk-attach", NULL, sentence_disk },
	{ "disk-detach", NULL, sentence_disk },
	{ "snapshot-create", NULL, sentence_snapshot },
	{ "snapshot-delete", NULL, sentence_snapshot },
	{ "guest-freeze", NULL, sentence_freeze },
	{ "guest-thaw", NULL, sentence_thaw },
	{ "guest-time", NULL, sentence_time },
	{ "snapshot-revert", NULL, NULL, dry_revert_print, dry_status },
	{ "net-stop", NULL, NULL, dry_net_stop_print, dry_status },
	{ "guest-exec", guest_exec_run, guest_exec_print, NULL, guest_exec_status },
	{ "guest-push", copy_push_run },
	{ "guest-pull", copy_pull_run },
	{ "guest-passwd", guest_passwd_run },
	{ "guest-command", NULL, run_json_print },
	{ "vm-qmp", NULL, run_json_print },
	{ "host-check", NULL, run_host_print, .column = "verdict", "FAIL", ERR_FAILED },
	{ "reload", NULL, run_problems_print, run_reload_print, run_problems_status },
	{ "query-version", run_version, run_version_print },
	{ "query-schema", NULL, run_json_print },
};
/* clang-format on */

static const struct command_form *run_form(const char *execute)
{
	static const struct command_form usual = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (streq(forms[i].execute, execute))
			return &forms[i];
	return &usual;
}

/* Explains on stderr what a borrowed spelling does here, if that may surprise. */
static void run_note(const char *spelling)
{
	/* clang-format off */
	static const struct {
		const char *spelling, *note;
	} notes[] = {
		{ "destroy",     "'destroy' forces the VM off, as in virsh; nothing is deleted" },
		{ "net-destroy", "'net-destroy' takes the network down; nothing is deleted" },
		{ "dumpxml",     "vmkeep has no XML: this is the configuration as 'vmkeep cat' prints it" },
		{ "net-dumpxml", "vmkeep has no XML: this is what 'vmkeep net show' prints" },
		{ "define",      "a file in the configuration directory is already a VM: this only checks it" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(notes); i++)
		if (streq(notes[i].spelling, spelling))
			errors_note("%s", notes[i].note);
}

int command_run(const struct args *a)
{
	struct command c = {
		.args = a,
		.verb = a->verb,
		.form = run_form(a->verb->execute),
		.result = api_result_of(a->verb, a->arguments),
		.conn = CONN_INIT,
		.json = a->given[ARGS_JSON],
		.quiet = a->given[ARGS_QUIET],
		.tty = isatty(STDOUT_FILENO),
		.width = print_width(),
	};
	int code;

	if (!c.quiet)
		run_note(a->spelling);
	code = c.form->run ? c.form->run(&c) : calls_run(&c);
	targets_release(&c);
	conn_release(&c.conn);
	buf_release(&c.out);
	return code;
}
