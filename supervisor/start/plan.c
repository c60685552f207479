/* SPDX-License-Identifier: MIT */
/*
 * The plan for vmkeep-jail: command line, fds and every host path that QEMU opens, as described
 * in jail/plan.h. Pure except for the clock's time zone: a plan opens nothing.
 */
#include "supervisor/start/plan.h"

#include <ctype.h>

#include "supervisor/host/cgroup.h"
#include "supervisor/vm/inside.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vanished.h"
#include "supervisor/start/start.h"

enum { FILES_MAX = 512, OOM_SCORE_ADJ = 500 };

int vm_firmware(
	const struct conf_vm *c, const struct probe *p, struct firmware **out, struct err *e)
{
	const char *machine = probe_machine(p, c->machine);
	int r;

	*out = NULL;
	if (!firmware_wanted(c))
		return 0;
	r = firmware_choose(out, machine ? machine : c->machine, c->secure_boot, e);
	return r < 0 ? err_wrap(e, r, "UEFI firmware") : 0;
}

int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p,
	enum conf_accel accel, bool paste, struct arena *a, struct argv_context *ctx,
	struct firmware **firmware, struct err *e)
{
	const struct daemon *d = vm->daemon;
	char(*tap)[16] = arena_alloc(a, (c->nics ? c->nics : 1) * sizeof *tap);
	int r = vm_firmware(c, p, firmware, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->nics; i++)
		snprintf(tap[i], sizeof tap[i], "vk-%.9s.%u", vm->name, (unsigned)i % 100);
	for (size_t i = 0; i < vm->proc.nics && i < c->nics; i++)
		if (vm->proc.nic[i].tap.name[0])
			memcpy(tap[i], vm->proc.nic[i].tap.name, sizeof tap[i]);
	*ctx = (struct argv_context){ .paste = paste,
		.accel = accel,
		.image_dir = d->image_dir,
		.run_dir = arena_printf(a, "%s/vms/%s", d->dirs.run, vm->name),
		.nvram = *firmware ? arena_printf(a, "%s/vms/%s/" VM_NVRAM, d->dirs.state, vm->name)
				   : NULL,
		.firmware = *firmware,
		.tap = (const char(*)[16])tap };
	return 0;
}

/* Did the operator write Format=? Then a raw image may contain anything. */
static bool plan_format_written(const struct conf_vm *c, const char *disk)
{
	for (size_t i = 0; disk && i < c->disks; i++)
		if (streq(c->disk[i].id, disk))
			return c->disk[i].format != CONF_FORMAT_AUTO;
	return false;
}

json_t *vm_plan_files(
	struct vm *vm, const struct conf_vm *c, const struct argv_context *ctx, struct arena *a)
{
	static const char *const kinds[] = {
		[ARGV_FILE_DISK] = "disk",
		[ARGV_FILE_BASE] = "base",
		[ARGV_FILE_CDROM] = "cdrom",
		[ARGV_FILE_KERNEL] = "kernel",
		[ARGV_FILE_FIRMWARE] = "firmware",
		[ARGV_FILE_NVRAM] = "nvram",
	};
	struct argv_file *file = arena_alloc(a, FILES_MAX * sizeof *file);
	size_t n = argv_files(c, &vm->identity, ctx, a, file, FILES_MAX);
	json_t *files = json_array();
	size_t below = strlen(ctx->image_dir) + 1;
	char date[16], seen[16];

	for (size_t i = 0; i < n; i++) {
		const struct argv_file *f = &file[i];
		bool own = f->kind == ARGV_FILE_DISK;
		const char *written = f->in_image_dir ? f->path + below : f->path;

		json_array_append_new(files,
			json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:b, s:I, s:s, s:s, s:b}",
				"kind", kinds[f->kind], "what", f->what, "id", f->id ? f->id : "",
				"path", f->path, "beneath", f->in_image_dir, "write", f->write,
				"format",
				f->format == CONF_FORMAT_AUTO ? "" : conf_format_name(f->format),
				"has_base", f->has_base, "create", (json_int_t)f->create, "created",
				own ? identity_disk_day(&vm->identity, f->id, date) : "", "seen",
				own ? identity_image_day(&vm->identity, f->path, written, seen)
				    : "",
				"format_written", own && plan_format_written(c, f->id)));
	}
	return files;
}

static json_t *plan_words_to_json(const struct argv *argv)
{
	json_t *words = json_array();

	for (size_t i = 0; i < argv->n; i++)
		json_array_append_new(words, json_string(argv->word[i]));
	return words;
}

/* QEMU's own name for the directory of its modules (util/module.c), NULL: built without a
 * package version. */
static const char *plan_modules_of(const struct probe *p, struct arena *a)
{
	char *version = arena_strdup(a, probe_package(p));

	for (char *c = version; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("+-.~", *c))
			*c = '_';
	return *version && *version != '.' ? arena_printf(a, "/var/run/qemu/%s", version) : NULL;
}

static bool plan_may_make_disks(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].size)
			return true;
	return false;
}

json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c)
{
	const struct daemon *d = vm->daemon;
	_cleanup_(free_ptr) char *dir = vm_state_path(vm, NULL);
	bool fresh = !vm->identity.kept && !c->uuid;

	return json_pack("{s:s, s:b, s:b, s:s*, s:o, s:o, s:o}", "dir", dir, "changed",
		vm->identity.dirty, "fresh", fresh, "damaged",
		vm->identity.damaged[0] ? vm->identity.damaged : NULL, "vanished",
		fresh && plan_may_make_disks(c) ? vanished_names(d->vms) : json_array(), "former",
		vm->identity.kept && plan_may_make_disks(c) ? vanished_former(vm) : json_array(),
		"document", identity_json(&vm->identity));
}

static int plan_make(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	_cleanup_(arena_release) struct arena a = ARENA_INIT;
	struct argv argv = ARGV_INIT;
	struct argv_context ctx;
	struct firmware *firmware = NULL;
	json_t *fds = json_array(), *plan = NULL;
	const char *modules;
	int r = vm_argv_context(
		vm, &vm->proc.conf, s->probe, vm->proc.accel, false, &a, &ctx, &firmware, e);

	if (r == 0)
		r = argv_build(&argv, &vm->proc.conf, &vm->identity, s->probe, &ctx, e);
	for (size_t i = 0; i < s->fds.n; i++)
		json_array_append_new(fds, json_integer(s->fds.number[i]));
	if (r == 0) {
		plan = json_pack("{s:i, s:s, s:i, s:o, s:O, s:o, s:s, s:b, s:i, s:b, s:b, s:o}",
			"version", PLAN_VERSION, "name", vm->name, "uid", (int)vm->identity.uid,
			"argv", plan_words_to_json(&argv), "fds", fds, "root",
			json_string(
				arena_printf(&a, "%s/vms/%s/root", vm->daemon->dirs.run, vm->name)),
			"image_dir", vm->daemon->image_dir, "kvm", vm->proc.accel == CONF_ACCEL_KVM,
			"oom_score_adj", OOM_SCORE_ADJ, "io_uring",
			argv_wants_io_uring(&vm->proc.conf), "may_create", !vm->st.by_policy,
			"files", vm_plan_files(vm, &vm->proc.conf, &ctx, &a));
		modules = plan_modules_of(s->probe, &a);
		if (modules)
			json_object_set_new(plan, "modules", json_string(modules));
		json_object_set_new(plan, "paths", inside_paths(vm));
		json_object_set_new(plan, "identity", vm_identity_plan(vm, &vm->proc.conf));
		json_object_set_new(
			plan, "group", cgroups_plan(vm->daemon->cgroups, vm->name, &vm->proc.conf));
		if (!plan)
			r = err_set(e, ERR_INVALID_CONFIG, "a value is not valid UTF-8");
		else if (json_dumpb(plan, NULL, 0, JSON_COMPACT) > PLAN_MAX)
			r = err_set(e, ERR_INVALID_CONFIG,
				"its command line takes more than %d bytes", PLAN_MAX);
	}
	s->plan = plan;
	json_decref(fds);
	argv_release(&argv);
	firmware_free(firmware);
	return r;
}

int start_plan(struct vm_start *s, struct err *e)
{
	/* the jail saves the identity there */
	int r = vm_state_dir(s->vm, e);

	return r < 0 ? r : plan_make(s, e);
}
