/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/ended.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/core/aside.h"
#include "supervisor/core/keep.h"
#include "supervisor/vm/dirs.h"

enum { ENDED_VERSION = 1, ENDED_MAX = 64 << 10 };

static const char file_name[] = "ended.json", state_up[] = "up";

static json_t *ended_json(const struct vm *vm, bool up)
{
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:f, s:f, s:b, s:b, s:o*}", "version",
		ENDED_VERSION, "state", up ? state_up : vm_state_name(vm->st.state), "boot_id",
		vm->daemon->boot_id, "reason", up ? "" : vm->st.reason, "ending",
		vm_ending_word(up ? VM_END_NONE : vm->st.ending), "since", vm->st.since,
		"since_boot", vm->st.since_boot, "missed", !up && vm->st.missed, "wanted",
		vm->st.last == VM_LAST_UP, "error",
		up || !vm->start_error ? NULL : api_error_json(vm->start_error));
}

void ended_save(struct vm *vm)
{
	_cleanup_(free_ptr) char *dir = vm_path(vm->name, NULL),
				 *path = vm_path(vm->name, file_name), *text = NULL;
	const bool up = vm_state_has_process(vm->st.state);
	const int state = vm->daemon->dirs.state_fd;
	json_auto_t *doc = NULL;
	struct err e = ERR_INIT;

	if (up ? vm->st.noted_up && vm->st.noted_last == vm->st.last
	       : !vm_state_is_down(vm->st.state))
		return;
	/* a VM that nothing has happened to has no directory */
	if (faccessat(state, dir, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	doc = ended_json(vm, up);
	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	aside_clear(state, path, vm->name);
	if (!text)
		err_set(&e, ERR_FAILED, "cannot be written as JSON");
	else if (file_replace(state, path, 0600, text, strlen(text), false, &e) == 0) {
		vm->st.noted_up = up;
		vm->st.noted_last = vm->st.last;
	}
	if (e.number)
		log_warning(vm->name, "its reason is not kept: %s", e.text);
	else if (vm->file.conf.enable == CONF_ENABLE_LAST)
		keep_sync(vm->daemon, path);
}

static void ended_set_reason(struct vm *vm, const char *text)
{
	text_shorten(vm->st.reason, sizeof vm->st.reason, text);
	text_clean(vm->st.reason);
}

/* It had a process when it was last seen; one that still runs is adopted later. */
static void ended_unseen(struct vm *vm, bool same_boot)
{
	vm->st.noted_up = true;
	vm->st.ending = same_boot ? VM_END_CRASH : VM_END_HOST_DOWN;
	ended_set_reason(vm, same_boot ? "crashed: it ended while no daemon was running"
				       : vm_ending_name(VM_END_HOST_DOWN));
}

static void ended_read_error(struct vm *vm, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "desc"));
	const char *hint = json_string_value(json_object_get(error, "hint"));
	const char *class = json_string_value(json_object_get(error, "class"));
	enum err_class is = ERR_FAILED;

	free_ptr(&vm->start_error);
	if (!text)
		return;
	if (class)
		api_class_parse(class, &is);
	vm->start_error = xcalloc(1, sizeof *vm->start_error);
	err_set(vm->start_error, is, "%s", text);
	if (hint)
		err_hint(vm->start_error, "%s", hint);
}

static bool ended_take(struct vm *vm, json_t *doc)
{
	const char *state = "", *boot = "", *reason = "", *ending = "";
	const json_t *error = NULL, *wanted = NULL;
	double since = 0, since_boot = 0;
	int version = 0, missed = 0;
	bool same;

	if (json_unpack(doc, "{s:i, s:s, s:s, s:s, s:s, s:F, s:F, s?b, s?o, s?o}", "version",
		    &version, "state", &state, "boot_id", &boot, "reason", &reason, "ending",
		    &ending, "since", &since, "since_boot", &since_boot, "missed", &missed,
		    "wanted", &wanted, "error", &error) < 0 ||
		version != ENDED_VERSION)
		return false;
	same = proc_same_boot(boot, vm->daemon->boot_id);
	/* an earlier version only says whether it had a process */
	vm->st.last = (wanted ? json_is_true(wanted) : streq(state, state_up)) ? VM_LAST_UP
									       : VM_LAST_DOWN;
	vm->st.noted_last = wanted ? vm->st.last : VM_LAST_UNKNOWN;
	if (streq(state, state_up)) {
		ended_unseen(vm, same);
		return true;
	}
	vm->st.since = since;
	vm->st.since_boot = same && since_boot <= clock_boot() ? since_boot : 0;
	ended_set_reason(vm, reason);
	for (unsigned i = 0; i < VM_ENDINGS; i++)
		if (streq(ending, vm_ending_word(i)))
			vm->st.ending = i;
	vm->st.missed = same && missed; /* each boot tells its own */
	vm->st.gave_up = streq(state, vm_state_name(VM_FAILED));
	ended_read_error(vm, error);
	return true;
}

void ended_read(struct vm *vm, int dir)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(ENDED_MAX);
	json_auto_t *doc = NULL;
	int r = file_read(dir, file_name, &text, NULL);

	if (r == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	if (r == -ENOENT || (doc && ended_take(vm, doc)))
		return;
	log_warning(vm->name,
		"'%s' cannot be read: how it ended, and whether it was up, is not known",
		file_name);
}
