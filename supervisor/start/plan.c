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

int vm_argv_context(struct vm *vm, const struct conf_vm *c, const struct probe *p, struct arena *a,
	struct argv_context *ctx, struct firmware **firmware, struct err *e)
{
	const struct daemon *d = vm->daemon;
	int r = 0;

	*firmware = NULL;
	if (p)
		r = vm_firmware(c, p, firmware, e);
	ctx->image_dir = d->image_dir;
	ctx->nvram =
		*firmware ? arena_printf(a, "%s/vms/%s/" VM_NVRAM, d->dirs.state, vm->name) : NULL;
	ctx->firmware = *firmware;
	if (ctx->paste && ctx->nvram && access(ctx->nvram, F_OK) < 0) /* made by its first start */
		ctx->nvram = (*firmware)->vars;
	return r;
}

/* Did the operator write Format=? Then a raw image may contain anything. */
static bool plan_format_written(const struct conf_vm *c, const char *disk)
{
	for (size_t i = 0; disk && i < c->disks; i++)
		if (streq(c->disk[i].id, disk))
			return c->disk[i].format != CONF_FORMAT_AUTO;
	return false;
}

static void plan_add_base(json_t *file, const struct argv_file *f)
{
	if (f->by_name != CONF_FORMAT_AUTO)
		json_object_set_new(file, "by_name", json_string(conf_format_name(f->by_name)));
	if (f->known)
		json_object_set_new(file, "known",
			json_pack("{s:s, s:I, s:I}", "stated", f->known->stated, "size",
				(json_int_t)f->known->size, "mtime", (json_int_t)f->known->mtime));
}

json_t *vm_plan_files(const struct conf_vm *c, const struct identity *id,
	const struct argv_context *ctx, struct arena *a)
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
	size_t n = argv_files(c, id, ctx, a, file, FILES_MAX);
	json_t *files = json_array();
	char date[16], seen[16];

	for (size_t i = 0; i < n; i++) {
		const struct argv_file *f = &file[i];
		bool own = f->kind == ARGV_FILE_DISK;
		const char *written = f->beneath ? f->path + strlen(f->beneath) + 1 : f->path;

		json_array_append_new(files,
			json_pack(
				"{s:s, s:s, s:s, s:s, s:s*, s:b, s:b, s:s, s:b, s:I, s:s, s:s, s:b, s:b, s:b, s:s*}",
				"kind", kinds[f->kind], "what", f->what, "id", f->id ? f->id : "",
				"path", f->path, "beneath", f->beneath, "mounted", f->mounted,
				"write", f->write, "format",
				f->format == CONF_FORMAT_AUTO ? "" : conf_format_name(f->format),
				"has_base", f->has_base, "create", (json_int_t)f->create, "created",
				own ? identity_disk_day(id, f->id, date) : "", "seen",
				own ? identity_image_day(id, f->id, f->path, written, seen) : "",
				"format_written", own && plan_format_written(c, f->id), "direct",
				f->direct, "new_volume", f->new_volume, "volume_of", f->volume_of));
		if (f->kind == ARGV_FILE_BASE)
			plan_add_base(json_array_get(files, i), f);
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

json_t *vm_plan_identity(const struct vm *vm, const struct conf_vm *c)
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

/* The private root has /dev/null and /dev/urandom by itself. */
static json_t *plan_nodes(const struct conf_vm *c)
{
	json_t *nodes = json_array();

	if (!streq(c->rng_source, "none") && !streq(c->rng_source, "/dev/urandom") &&
		!streq(c->rng_source, "/dev/null"))
		json_array_append_new(nodes, json_string(c->rng_source));
	return nodes;
}

static json_t *plan_json(struct vm *vm, const struct probe *p, const struct argv *argv,
	const struct argv_context *ctx, const struct fd_list *fds, struct arena *a)
{
	const char *modules = p ? plan_modules_of(p, a) : NULL;
	json_t *numbers = json_array();

	for (size_t i = 0; i < fds->n; i++)
		json_array_append_new(numbers, json_integer(fds->number[i]));
	return json_pack(
		"{s:i, s:s, s:i, s:o, s:o, s:o, s:b, s:i, s:b, s:b, s:o, s:s*, s:o, s:o, s:o, s:o}",
		"version", PLAN_VERSION, "name", vm->name, "uid", (int)vm->identity.uid, "argv",
		plan_words_to_json(argv), "fds", numbers, "root",
		json_sprintf("%s/vms/%s/root", vm->daemon->dirs.run, vm->name), "kvm",
		vm->proc.accel == CONF_ACCEL_KVM, "oom_score_adj", OOM_SCORE_ADJ, "io_uring",
		argv_wants_io_uring(&vm->proc.conf), "may_create", !vm->st.by_policy, "files",
		vm_plan_files(&vm->proc.conf, &vm->identity, ctx, a), "modules", modules, "dev",
		plan_nodes(&vm->proc.conf), "paths", inside_paths(vm), "identity",
		vm_plan_identity(vm, &vm->proc.conf), "group",
		cgroups_plan(vm->daemon->cgroups, vm->name, &vm->proc.conf));
}

int vm_plan_make(struct vm_plan *out, struct vm *vm, const struct probe *p,
	const struct fd_list *fds, struct err *e)
{
	_cleanup_(arena_release) struct arena a = ARENA_INIT;
	struct argv_context ctx = { .accel = vm->proc.accel };
	struct firmware *firmware = NULL;
	int r = vm_argv_context(vm, &vm->proc.conf, p, &a, &ctx, &firmware, e);

	*out = (struct vm_plan)VM_PLAN_INIT;
	if (r < 0)
		out->argv.key = "Firmware";
	else if (p)
		r = argv_build(&out->argv, &vm->proc.conf, &vm->identity, p, &ctx, e);
	out->json = plan_json(vm, p, &out->argv, &ctx, fds, &a);
	firmware_free(firmware);
	if (r < 0)
		return r;
	if (!out->json)
		return err_set(e, ERR_INVALID_CONFIG, "a value is not valid UTF-8");
	if (json_dumpb(out->json, NULL, 0, JSON_COMPACT) > PLAN_MAX)
		return err_set(e, ERR_INVALID_CONFIG, "its command line takes more than %d bytes",
			PLAN_MAX);
	return 0;
}

void vm_plan_release(struct vm_plan *plan)
{
	json_decref(plan->json);
	argv_release(&plan->argv);
	*plan = (struct vm_plan)VM_PLAN_INIT;
}

int start_plan(struct vm_start *s, struct err *e)
{
	struct vm *vm = s->vm;
	struct vm_plan plan;
	int r = vm_state_dir(vm, e); /* the jail saves the identity there */

	if (r < 0)
		return r;
	cgroups_forget(vm->daemon->cgroups, vm->name);
	r = vm_plan_make(&plan, vm, s->probe, &s->fds, e);
	if (r == 0)
		s->plan = json_incref(plan.json);
	else
		s->fault = VM_END_START_FAILED; /* pure: a bus that is full stays full */
	vm_plan_release(&plan);
	return r;
}
