/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/main.c - vmkeep-jail: prepares the ground, then becomes QEMU (or a program that helps)
 *
 * The steps run in this order in the one process whose pid QEMU will have. The first that fails
 * tells the daemon why, and nothing runs. Until "namespaces" the host's own paths are seen, until
 * "privileges" we are root; what a step needs of either it must have opened before. A plan that asks
 * for a check runs the same steps up to there, and of those that look at files none hides what is wrong
 * with the next file.
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
static const struct step {
	const char *name;
	jail_step *run;
	jail_file_step *file; /* once for each file */
	bool check; /* also where the plan asks for no more than a check */
} steps[] = {
	{ "own descriptors", fds_own_only,     NULL,          true },
	{ "plan",            plan_receive,     NULL,          true },
	{ "received",        fds_check,        NULL,          true },
	{ "session",         session_reset,    NULL,          true },
	{ "control group",   group_join,       NULL,          false },
	{ "files",           NULL,             file_open,     true },
	{ "marks",           NULL,             mark_check,    true },
	{ "lost identity",   mark_lost,        NULL,          false },
	{ "device nodes",    nodes_find,       NULL,          true },
	{ "paths",           paths_open,       NULL,          false },
	{ "new images",      NULL,             image_create,  true },
	{ "formats",         NULL,             image_check,   true },
	{ "mounts",          NULL,             mount_prepare, true },
	{ "locks",           NULL,             lock_check,    true },
	{ "identity",        identity_keep,    NULL,          false },
	{ "memory pressure", oom_score_set,    NULL,          false },
	{ "namespaces",      namespaces_enter, NULL,          false },
	{ "private root",    root_build,       NULL,          false },
	{ "entering",        root_enter,       NULL,          false },
	{ "privileges",      privileges_drop,  NULL,          false },
	{ "paths inside",    landlock_enter,   NULL,          false },
	{ "program",         program_check,    NULL,          false },
	{ "descriptors",     fds_place,        NULL,          false },
	{ "system calls",    filter_load,      NULL,          false },
	{ "limits",          limits_set,       NULL,          false },
};
/* clang-format on */

static int main_fail(struct jail *j, const char *step, const struct err *e)
{
	if (answer_error(j->sock, step, e) < 0)
		fprintf(stderr, "vmkeep-jail: %s: %s (is started by vmkeepd, not by hand)\n", step,
			e->text);
	plan_release(j);
	return 1;
}

/* What is wrong with a file hides what comes behind; what does not exist yet has nothing behind. */
static void main_check_file(struct jail *j, struct jail_file *f)
{
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (!steps[i].check || !steps[i].file)
			continue;
		if (f->fd < 0 && steps[i].file != file_open && steps[i].file != mark_check &&
			steps[i].file != image_create)
			return;
		if (steps[i].file(j, f, &e) < 0) {
			answer_problem(j, "error", steps[i].name, f->id, &e);
			return;
		}
	}
}

static int main_run_step(const struct step *s, struct jail *j, struct err *e)
{
	int r = s->run ? s->run(j, e) : 0;

	for (size_t i = 0; s->file && r >= 0 && i < j->n_files; i++)
		r = s->file(j, &j->file[i], e);
	return r;
}

static void main_tell_looking(const struct jail *j, const struct jail_file *f)
{
	_cleanup_(free_ptr) char *text = xasprintf("%s: %s", f->what, f->shown_path);

	answer(j->sock, json_pack("{s:o}", "looking", api_text(text)));
}

/* What is wrong with it is told elsewhere. */
static void main_tell_growth(struct jail *j, size_t i)
{
	struct err e = ERR_INIT;
	struct growth g;

	main_tell_looking(j, &j->file[i]);
	if (file_open(j, &j->file[i], &e) == 0 && space_growth(j, &j->file[i], &g))
		answer(j->sock, json_pack("{s:{s:I, s:I, s:I, s:I}}", "growth", "file",
					(json_int_t)i, "dev", (json_int_t)g.dev, "grows",
					(json_int_t)g.bytes, "room", (json_int_t)g.room));
}

/* Of one that starts with the host. */
static void main_check_uncreated(const struct jail *j, const struct jail_file *f)
{
	struct err e = ERR_INIT;

	if (f->fd >= 0 || !f->create || path_was_there(f) || j->may_create)
		return;
	image_uncreated(j, f, &e);
	answer_warning(j, "new images", f->id, &e);
}

static int main_check(struct jail *j)
{
	for (size_t i = 0; j->space && i < j->n_files; i++)
		main_tell_growth(j, i);
	for (size_t i = 0; !j->space && i < j->n_files; i++) {
		main_tell_looking(j, &j->file[i]);
		main_check_file(j, &j->file[i]);
		found_check(j, &j->file[i], answer_warning);
		found_replaced(j, &j->file[i], answer_warning);
		main_check_uncreated(j, &j->file[i]);
	}
	if (!j->space)
		space_check(j, answer_warning);
	return answer(j->sock, json_pack("{s:{}}", "checked")) < 0;
}

int main(void)
{
	/* nothing of the daemon's environment; no home and no place for temporary files either */
	const char *env[] = { "PATH=/usr/bin", "LANG=C", "HOME=/", "TMPDIR=/", NULL, NULL };
	static struct jail j = { .sock = PLAN_FD, .image_dir_fd = -1 };
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (j.check && (!steps[i].check || steps[i].file))
			continue;
		if (main_run_step(&steps[i], &j, &e) < 0)
			return main_fail(&j, steps[i].name, &e);
	}
	if (j.check)
		return main_check(&j);
	if (answer(j.sock, json_pack("{s:{}}", "prepared")) < 0)
		return 1; /* nobody is there who would look after QEMU */
	if (j.role->run) {
		plan_release(&j);
		return j.role->run();
	}
	if (j.modules)
		env[4] = xasprintf("QEMU_MODULE_DIR=%s", j.modules);
	execve(j.argv[0], (char *const *)(uintptr_t)j.argv, (char *const *)(uintptr_t)env);
	err_errno(&e, "run '%s'", j.argv[0]);
	if (!j.role->own_output)
		err_class(&e, ERR_QEMU_FAILED);
	return main_fail(&j, "program", &e);
}
