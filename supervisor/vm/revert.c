/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/revert.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/ended.h"
#include "supervisor/vm/vms.h"

enum { MARK_VERSION = 1, MARK_MAX = 64 << 10 };

static const char file_name[] = "revert.json";

static void revert_set_mark(struct vm *vm, const char *snapshot, const char *id, const char *disk)
{
	if (!vm->revert)
		vm->revert = xcalloc(1, sizeof *vm->revert);
	snprintf(vm->revert->snapshot, sizeof vm->revert->snapshot, "%s", snapshot);
	snprintf(vm->revert->id, sizeof vm->revert->id, "%s", id);
	snprintf(vm->revert->disk, sizeof vm->revert->disk, "%s", disk);
}

/* False: no such file. An unreadable mark has snapshot "". A symlink in its place is not our
 * file, but counts as an unreadable mark. */
static bool revert_read_mark(int dir, struct vm_revert *mark)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(MARK_MAX);
	const char *snapshot = "", *id = "", *disk = "";
	int version = 0;
	json_auto_t *doc = NULL;

	*mark = (struct vm_revert){ .snapshot = "" };
	if (faccessat(dir, file_name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return false;
	if (file_read(dir, file_name, &text, NULL) == 0)
		doc = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
	if (json_unpack(doc, "{s:i, s:s, s?s, s:s}", "version", &version, "snapshot", &snapshot,
		    "id", &id, "disk", &disk) == 0 &&
		version == MARK_VERSION) {
		snprintf(mark->snapshot, sizeof mark->snapshot, "%s", snapshot);
		snprintf(mark->id, sizeof mark->id, "%s", id);
		snprintf(mark->disk, sizeof mark->disk, "%s", disk);
	}
	return true;
}

bool vm_revert_there(int dir)
{
	struct vm_revert mark;

	return revert_read_mark(dir, &mark);
}

void vm_revert_read(struct vm *vm, int dir)
{
	struct vm_revert mark;

	if (revert_read_mark(dir, &mark))
		revert_set_mark(vm, mark.snapshot, mark.id, mark.disk);
}

int vm_revert_check(const struct vm *vm, struct err *e)
{
	const struct vm_revert *r = vm->revert;
	_cleanup_(free_ptr) char *quoted = NULL, *word = NULL;

	if (!r)
		return 0;
	if (!r->snapshot[0]) {
		err_set(e, ERR_WRONG_STATE,
			"a revert did not finish, and its mark revert.json is damaged");
		return err_hint(e,
			"vmkeep snapshot revert %s SNAPSHOT finishes it, with any snapshot that vmkeep "
			"snapshot list %s shows",
			vm->name, vm->name);
	}
	err_set(e, ERR_WRONG_STATE, "revert to '%s' did not finish%s%s%s", r->snapshot,
		r->disk[0] ? " on disk '" : "", r->disk, r->disk[0] ? "'" : "");
	quoted = text_shell_quote(r->snapshot);
	word = xasprintf("%s%s%s%s", r->id[0] ? "--id " : "", r->id, r->id[0] ? " " : "", quoted);
	return err_hint(e, "vmkeep snapshot revert %s %s finishes it", vm->name, word);
}

void vm_revert_report(struct vm *vm)
{
	struct err e = ERR_INIT;

	if (vm_revert_check(vm, &e) < 0)
		vm_set_reason(vm, "%s; %s", e.text, e.hint);
}

int vm_revert_mark(struct vm *vm, const char *snapshot, const char *id, const char *disk,
	keep_fn *done, void *data, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, file_name);
	json_t *doc;
	char *text;
	int r;

	if (vm_state_dir(vm, e) < 0)
		return e->number;
	if (!disk)
		return keep(vm->daemon, path, NULL, done, data, e);
	doc = json_pack("{s:i, s:s, s:s*, s:s}", "version", MARK_VERSION, "snapshot",
		*snapshot ? snapshot : "-", "id", *id ? id : NULL, "disk", disk);
	text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	r = text ? keep(vm->daemon, path, text, done, data, e)
		 : err_set(e, ERR_FAILED, "mark the revert: not UTF-8");
	free(text);
	return r;
}

/* Is the unfinished revert the current reason? It may be how the process ended instead. */
static bool revert_is_told(const struct vm *vm)
{
	struct err e = ERR_INIT;

	return !vm_state_has_process(vm->st.state) && vm_revert_check(vm, &e) < 0 &&
	       strncmp(vm->st.reason, e.text, strlen(e.text)) == 0;
}

void vm_revert_marked(struct vm *vm, const char *snapshot, const char *id, const char *disk)
{
	bool told = revert_is_told(vm);

	if (disk) {
		revert_set_mark(vm, *snapshot ? snapshot : "-", id, disk);
		if (told)
			vm_revert_report(vm);
		return;
	}
	free_ptr(&vm->revert);
	if (!told)
		return;
	vm_set_reason(vm, "%s", "");
	ended_save(vm);
}

static void revert_kept(void *data, const struct err *e)
{
	_cleanup_(free_ptr) char *name = data;

	if (e)
		log_error(name, "%s", e->text);
}

void vm_revert_over(struct vm *vm)
{
	char *name = xstrdup(vm->name);
	struct err e = ERR_INIT;

	if (vm_revert_mark(vm, NULL, NULL, NULL, revert_kept, name, &e) < 0)
		revert_kept(name, &e);
	vm_revert_marked(vm, NULL, NULL, NULL);
}

void vm_revert_again(struct vm *vm)
{
	const struct vm_revert *known = vm->revert;
	struct vm_revert there;
	struct err e = ERR_INIT;
	char *name;
	int dir;

	if (!known || vm->busy)
		return;
	/* the directory may have been replaced */
	if (!vm_state_has_process(vm->st.state))
		close_fd(&vm->state_fd);
	dir = vm_state_dir(vm, &e);
	if (dir < 0) {
		log_error(vm->name, "%s", e.text);
		return;
	}
	if (revert_read_mark(dir, &there) && streq(there.snapshot, known->snapshot) &&
		streq(there.id, known->id) && streq(there.disk, known->disk))
		return;
	log_warning(vm->name, "the mark of its revert was lost or damaged: rewritten");
	name = xstrdup(vm->name);
	if (vm_revert_mark(vm, known->snapshot, known->id, known->disk, revert_kept, name, &e) < 0)
		revert_kept(name, &e);
}

void vms_revert_again(struct vms *vms)
{
	for (size_t i = 0; i < vms->n; i++)
		vm_revert_again(vms->vm[i]);
}
