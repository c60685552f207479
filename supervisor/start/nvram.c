/* SPDX-License-Identifier: MIT */
/*
 * The UEFI variables, made by the first start from the firmware's template. They are in a qcow2 of
 * their own, so that internal snapshots include them. A check has qemu-img read the template, and
 * write nothing.
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

/* qemu-img may read the template, and write an empty file; path NULL: it only reads. */
static struct confined *nvram_run(struct vm *vm, const struct firmware *firmware, const char *path,
	confined_fn *done, void *data, struct err *e)
{
	const struct daemon *d = vm->daemon;
	_cleanup_(free_ptr) char *spec = nvram_spec(firmware);
	const char *argv[] = { "qemu-img", path ? "convert" : "measure", "-O", "qcow2", spec, path,
		NULL };
	const struct child_options o = { .out_max = 4096 };
	json_t *plan = NULL, *files;

	if (!spec)
		err_set(e, ERR_INVALID_CONFIG, "the firmware's path is not UTF-8");
	else
		plan = confine_plan("tool", vm->name, vm->identity.uid, d->dirs.run, argv, e);
	if (!plan)
		return NULL;
	files = json_pack("[{s:s, s:s, s:s}]", "kind", "firmware", "what", "UEFI firmware", "path",
		firmware->vars);
	if (path)
		json_array_append_new(
			files, json_pack("{s:s, s:s, s:s, s:b}", "kind", "nvram", "what",
				       "UEFI variables", "path", path, "write", 1));
	json_object_set_new(plan, "files", files);
	return confine_run(d->loop.ev, d->jail, plan, NULL, 0, &o, done, data, e);
}

static int nvram_result(const struct child_result *r, const struct err *jail, struct err *e)
{
	_cleanup_(free_ptr) char *said =
		jail ? NULL : text_escape(r->err, strcspn(r->err, "\n"), false);
	char late[CHILD_LATE];

	if (jail)
		err_copy(e, jail);
	else if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT, "qemu-img %s", child_late(r, late));
	else if (r->status != 0)
		err_set(e, ERR_FAILED, "%s", *said ? said : "qemu-img failed");
	return e->number;
}

static int nvram_error(struct err *e)
{
	return err_wrap(e, e->number, "make the UEFI variables");
}

/* --- a start --- */

static void nvram_on_made(void *data, const struct child_result *r, const struct err *jail)
{
	struct vm_start *s = data;
	struct vm *vm = s->vm;
	struct err e = ERR_INIT;

	s->tool = NULL;
	if (nvram_result(r, jail, &e) == 0 &&
		renameat(vm->state_fd, "nvram.new", vm->state_fd, VM_NVRAM) < 0)
		err_errno(&e, "rename nvram.new");
	if (!e.number) {
		start_next(s);
		return;
	}
	nvram_error(&e);
	start_failed(s, &e);
}

static int nvram_make(struct vm_start *s, const struct firmware *firmware, struct err *e)
{
	struct vm *vm = s->vm;
	_cleanup_(free_ptr) char *path = vm_state_path(vm, "nvram.new");
	_cleanup_(close_fd) int fd = openat(vm->state_fd, "nvram.new",
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "create nvram.new");
	s->tool = nvram_run(vm, firmware, path, nvram_on_made, s, e);
	if (s->tool)
		return STEP_WAITS;
	if (e->class == ERR_NOT_FOUND) /* qemu-img must be installed */
		s->fault = VM_END_START_FAILED;
	return nvram_error(e);
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

/* --- a check --- */

static void nvram_on_read(void *data, const struct child_result *r, const struct err *jail)
{
	struct start_check *c = data;
	struct err e = ERR_INIT;

	c->trial = NULL;
	if (nvram_result(r, jail, &e) < 0) {
		nvram_error(&e);
		start_check_error(c, "Firmware", &e);
	}
	start_check_next(c);
}

/* If its first start would make them. */
int start_check_nvram(struct start_check *c)
{
	struct vm *vm = c->vm;
	_cleanup_(close_fd) int dir = vm_state_open(vm->daemon, vm->name);
	struct err e = ERR_INIT;

	firmware_free(c->new_firmware);
	c->new_firmware = NULL;
	if (!c->probe || c->nameless || (dir >= 0 && faccessat(dir, VM_NVRAM, F_OK, 0) == 0) ||
		vm_firmware(&vm->proc.conf, c->probe, &c->new_firmware, &e) < 0)
		return STEP_DONE; /* the plan fails as well */
	if (!c->new_firmware)
		return STEP_DONE;
	c->trial = nvram_run(vm, c->new_firmware, NULL, nvram_on_read, c, &e);
	if (c->trial)
		return STEP_WAITS;
	nvram_error(&e);
	start_check_error(c, "Firmware", &e);
	return STEP_DONE;
}
