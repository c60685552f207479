/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/main.c - vmkeep-jail: sets up the sandbox, then becomes QEMU (or a helper
 * program)
 *
 * The steps run in this order in the process whose pid QEMU will have. If one fails, the daemon is
 * told why, and nothing is executed. Before "namespaces", paths are the host's; before
 * "privileges", we are root: whatever a step needs of either must have been opened by then. A plan
 * that asks for a check runs only the steps marked so, and they change nothing; file steps run per
 * file, so a problem with one file does not hide problems with the next. What goes into or leaves
 * a guest that runs takes the steps of its own.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/jail/jail.h"

/* clang-format off */
enum { START = JAIL_START, CHECK = JAIL_CHECK, ENTER = JAIL_ENTER, LEAVE = JAIL_LEAVE };
static const struct step {
	const char *name;
	jail_step *run;
	jail_file_step *file; /* runs once per file */
	unsigned in; /* what it belongs to */
	bool stays; /* an error does not pass until somebody acts, whatever its class */
} steps[] = {
	{ "own descriptors", fds_own_only,     NULL,          JAIL_ALL,              false },
	{ "plan",            plan_receive,     NULL,          JAIL_ALL,              false },
	{ "received",        fds_check,        NULL,          JAIL_ALL,              false },
	{ "session",         session_reset,    NULL,          JAIL_ALL,              false },
	{ "control group",   group_join,       NULL,          START | CHECK,         false },
	{ "files",           NULL,             file_open,     START | CHECK | ENTER, false },
	{ "marks",           NULL,             mark_check,    START | CHECK | ENTER, true },
	{ "lost identity",   mark_lost,        NULL,          START,                 true },
	{ "device nodes",    nodes_find,       NULL,          START | CHECK,         false },
	{ "program's owner", program_owner,    NULL,          START,                 true },
	{ "paths",           paths_open,       NULL,          START,                 false },
	{ "bases",           NULL,             base_settle,   START | CHECK | ENTER, true },
	{ "formats",         NULL,             image_check,   START | CHECK | ENTER, false },
	{ "direct I/O",      NULL,             direct_check,  START | CHECK | ENTER, false },
	{ "new images",      NULL,             image_create,  START | CHECK,         false },
	{ "format names",    bases_place,      NULL,          START,                 false },
	{ "mounts",          NULL,             mount_prepare, START | CHECK | ENTER, false },
	{ "locks",           NULL,             lock_check,    START | CHECK | ENTER, false },
	{ "identity",        identity_keep,    NULL,          START | CHECK | ENTER, false },
	{ "memory pressure", oom_score_set,    NULL,          START,                 false },
	{ "namespaces",      namespaces_enter, NULL,          START,                 false },
	{ "private root",    root_build,       NULL,          START,                 false },
	{ "entering",        root_enter,       NULL,          START,                 false },
	{ "guest's files",   enter_guest,      NULL,          ENTER,                 false },
	{ "guest's files",   leave_guest,      NULL,          LEAVE,                 false },
	{ "privileges",      privileges_drop,  NULL,          START,                 false },
	{ "paths inside",    landlock_enter,   NULL,          START,                 false },
	{ "program",         program_check,    NULL,          START,                 true },
	{ "descriptors",     fds_place,        NULL,          START,                 false },
	{ "system calls",    filter_load,      NULL,          START,                 false },
	{ "limits",          limits_set,       NULL,          START,                 false },
};
/* clang-format on */

static int main_fail(struct jail *j, const char *step, const struct err *e)
{
	if (answer_error(j->sock, step, j->stays, e) < 0)
		fprintf(stderr,
			"vmkeep-jail: %s: %s (vmkeepd starts this program; it is not meant to be run by hand)\n",
			step, e->text);
	plan_release(j);
	return 1;
}

/* Reports the first problem of a file; later steps depend on it. Most steps do not apply to a file
 * that does not exist yet. */
static void main_check_file(struct jail *j, struct jail_file *f)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!(steps[i].in & CHECK) || !steps[i].file)
			continue;
		if (f->fd < 0 && steps[i].file != file_open && steps[i].file != mark_check &&
			steps[i].file != direct_check && steps[i].file != image_create)
			continue;
		if (steps[i].file(j, f, &e) < 0) {
			answer_problem(j, "error", steps[i].name, f, &e);
			return;
		}
	}
}

static int main_run_step(const struct step *s, struct jail *j, struct err *e)
{
	int r;

	j->stays = s->stays;
	r = s->run ? s->run(j, e) : 0;
	for (size_t i = 0; s->file && r >= 0 && i < j->n_files; i++)
		r = s->file(j, &j->file[i], e);
	return r;
}

static void main_tell_looking(const struct jail *j, const struct jail_file *f)
{
	_cleanup_(free_ptr) char *text = xasprintf("%s: %s", f->what, f->shown_path);

	answer(j->sock, json_pack("{s:o}", "looking", api_text(text)));
}

/* Problems with the file are reported elsewhere. */
static void main_tell_growth(struct jail *j, size_t i)
{
	struct err e = ERR_INIT;
	struct growth g;

	main_tell_looking(j, &j->file[i]);
	if (file_open(j, &j->file[i], &e) == 0 && space_growth(&j->file[i], &g))
		answer(j->sock, json_pack("{s:{s:I, s:I, s:I, s:I}}", "growth", "file",
					(json_int_t)i, "dev", (json_int_t)g.dev, "grows",
					(json_int_t)g.bytes, "room", (json_int_t)g.room));
}

/* Warns about an image that does not exist and that a start at boot would not create. */
static void main_check_uncreated(const struct jail *j, const struct jail_file *f)
{
	struct err e = ERR_INIT;

	if (f->fd >= 0 || !f->create || path_was_there(f) || j->may_create)
		return;
	image_uncreated(j, f, &e);
	answer_warning(j, "new images", f, &e);
}

/* All steps that files have, file by file, in place of the first. */
static void main_check_files(struct jail *j)
{
	for (size_t i = 0; j->space && i < j->n_files; i++)
		main_tell_growth(j, i);
	for (size_t i = 0; !j->space && i < j->n_files; i++) {
		main_tell_looking(j, &j->file[i]);
		main_check_file(j, &j->file[i]);
		found_check(j, &j->file[i], answer_warning);
		found_replaced(j, &j->file[i], answer_warning);
		found_size(j, &j->file[i]);
		image_warn(j, &j->file[i], answer_warning);
		base_warn(j, &j->file[i], answer_warning);
		if (j->file[i].kind == JAIL_BASE && j->file[i].fd >= 0 &&
			j->file[i].format != JAIL_ANY)
			answer(j->sock, json_pack("{s:o}", "base", base_row(&j->file[i])));
		main_check_uncreated(j, &j->file[i]);
	}
	if (!j->space)
		space_check(j, answer_warning);
}

/* The steps after the plan, which asked for it. */
static int main_check(struct jail *j, size_t step)
{
	bool files = false;

	for (; step < ARRAY_SIZE(steps); step++) {
		const struct step *s = &steps[step];
		struct err e = ERR_INIT;

		if (!(s->in & CHECK) || (s->file && files))
			continue;
		if (s->file)
			main_check_files(j);
		else if (!j->space && s->run(j, &e) < 0)
			answer_problem(j, "error", s->name, NULL, &e);
		files |= s->file != NULL;
	}
	return answer(j->sock, json_pack("{s:{}}", "checked")) < 0;
}

/* Before the plan is there, steps that all take. */
static unsigned main_takes(const struct jail *j)
{
	return j->role && j->role->runs ? j->role->runs : START;
}

int main(void)
{
	/* pass on nothing of the daemon's environment, and no home or temporary directory */
	const char *env[] = { "PATH=/usr/bin", "LANG=C", "HOME=/", "TMPDIR=/", NULL, NULL };
	static struct jail j = { .sock = PLAN_FD };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (j.check)
			return main_check(&j, i);
		if (!(steps[i].in & main_takes(&j)))
			continue;
		if (main_run_step(&steps[i], &j, &e) < 0)
			return main_fail(&j, steps[i].name, &e);
	}
	/* the daemon is gone: nobody would supervise QEMU; but what is in a guest comes out again */
	if (answer(j.sock, json_pack("{s:{}}", "prepared")) < 0 && !(main_takes(&j) & ENTER))
		return 1;
	if (j.role->run)
		return j.role->run(&j);
	if (j.modules)
		env[4] = xasprintf("QEMU_MODULE_DIR=%s", j.modules);
	execve(j.argv[0], (char *const *)(uintptr_t)j.argv, (char *const *)(uintptr_t)env);
	err_errno(&e, "run '%s'", j.argv[0]);
	if (!j.role->own_output)
		err_class(&e, ERR_QEMU_FAILED);
	return main_fail(&j, "program", &e);
}
