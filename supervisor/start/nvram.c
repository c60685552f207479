/* SPDX-License-Identifier: MIT */
/*
 * The UEFI variables, made by the first start from the firmware's template. They are in a qcow2 of
 * their own, so that internal snapshots include them.
 */
#include <errno.h>
#include <fcntl.h>

#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/start/check.h"
#include "supervisor/vm/dirs.h"

/* Uses the format given in the firmware descriptor, and no locks, which any process could hold. */
static char *nvram_spec(const struct firmware *firmware)
{
	json_auto_t *spec = json_pack("{s:s, s:{s:s, s:s, s:s}}", "driver",
		conf_format_name(firmware->vars_format), "file", "driver", "file", "locking", "off",
		"filename", firmware->vars);
	char *text = json_dumps(spec, JSON_COMPACT),
	     *result = text ? xasprintf("json:%s", text) : NULL;

	free(text);
	return result;
}

static void nvram_on_made(void *data, const struct child_result *r, const struct err *jail)
{
	struct vm_start *s = data;
	struct vm *vm = s->vm;
	struct err e = ERR_INIT;

	s->tool = NULL;
	if (jail) {
		err_copy(&e, jail);
	} else if (r->status != 0) {
		_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
		char late[CHILD_LATE];

		if (r->status == -ETIMEDOUT)
			err_set(&e, ERR_TIMEOUT, "qemu-img %s", child_late(r, late));
		else
			err_set(&e, ERR_FAILED, "%s", *said ? said : "qemu-img failed");
	} else if (renameat(vm->state_fd, "nvram.new", vm->state_fd, VM_NVRAM) < 0) {
		err_errno(&e, "rename nvram.new");
	}
	if (!e.number) {
		start_next(s);
		return;
	}
	err_wrap(&e, 0, "make the UEFI variables");
	start_failed(s, &e);
}

/* qemu-img may write an empty file and read the template of the firmware. */
static int nvram_make(struct vm_start *s, const struct firmware *firmware, struct err *e)
{
	struct vm *vm = s->vm;
	_cleanup_(free_ptr) char *path = vm_state_path(vm, "nvram.new");
	_cleanup_(free_ptr) char *spec = nvram_spec(firmware);
	const char *vars = firmware->vars;
	const char *argv[] = { "qemu-img", "convert", "-O", "qcow2", spec, path, NULL };
	_cleanup_(close_fd) int fd = openat(vm->state_fd, "nvram.new",
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	const struct child_options o = { .out_max = 4096 };
	json_t *plan;

	if (!spec)
		return err_set(e, ERR_INVALID_CONFIG, "the firmware's path is not UTF-8");
	if (fd < 0)
		return err_errno(e, "create nvram.new");
	plan = confine_plan("tool", vm->name, vm->identity.uid, vm->daemon->dirs.run, argv, e);
	if (!plan) {
		s->fault = VM_END_START_FAILED; /* qemu-img must be installed */
		return e->number;
	}
	json_object_set_new(plan, "files",
		json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s, s:b}]", "kind", "firmware", "what",
			"UEFI firmware", "path", vars, "kind", "nvram", "what", "UEFI variables",
			"path", path, "write", 1));
	s->tool = confine_run(
		vm->daemon->loop.ev, vm->daemon->jail, plan, NULL, 0, &o, nvram_on_made, s, e);
	return s->tool ? STEP_WAITS : e->number;
}

int start_nvram(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	struct firmware *firmware;
	int r = vm_firmware(&vm->proc.conf, s->probe, &firmware, e);

	if (r < 0)
		s->fault = VM_END_START_FAILED; /* it must be installed */
	if (firmware)
		r = vm_state_dir(vm, e);
	if (firmware && r >= 0)
		r = faccessat(vm->state_fd, VM_NVRAM, F_OK, 0) == 0 ? STEP_DONE
								    : nvram_make(s, firmware, e);
	firmware_free(firmware);
	return r;
}

/* If its first start would make them. */
int start_check_nvram(struct start_check *c)
{
	_cleanup_(close_fd) int dir = vm_state_open(c->vm->daemon, c->vm->name);
	struct err e = ERR_INIT;

	firmware_free(c->new_firmware);
	c->new_firmware = NULL;
	if (!c->probe || (dir >= 0 && faccessat(dir, VM_NVRAM, F_OK, 0) == 0) ||
		vm_firmware(&c->vm->proc.conf, c->probe, &c->new_firmware, &e) < 0)
		return STEP_DONE; /* the plan fails as well */
	if (c->new_firmware && confine_program("qemu-img", NULL, 0, &e) < 0)
		start_check_error(c, "Firmware", &e);
	return STEP_DONE;
}
