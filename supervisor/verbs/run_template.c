/* SPDX-License-Identifier: MIT */
#include "supervisor/verbs/run_template.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/make/copies.h"
#include "supervisor/make/template.h"
#include "supervisor/qemu/device.h"
#include "supervisor/start/start.h"
#include "supervisor/verbs/clone.h"
#include "supervisor/verbs/edit.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vms.h"

void run_source_release(struct run_source *s)
{
	free(s->vm);
	free(s->disk);
	free(s->store);
	free(s->path);
	*s = (struct run_source){ 0 };
}

static int run_template_take(
	struct run_source *s, const struct vm *vm, const struct conf_disk *disk, struct err *e)
{
	if (s->disk)
		return err_set(e, ERR_CONFLICT,
			"has disks '%s' and '%s', but a throw-away VM has one of its own", s->disk,
			disk->id);
	if (*disk->path == '/' || disk->volume)
		return err_set(e, ERR_CONFLICT, "disk '%s' is %s: no disk can be based on it",
			disk->id, disk->volume ? "a volume" : "in no store");
	s->disk = xstrdup(disk->id);
	s->store = xstrdup(disk->store);
	s->path = xstrdup(disk->path);
	s->format = conf_format_name(device_disk_format(disk, &vm->identity));
	return 0;
}

int run_template_find(struct daemon *d, const char *name, struct run_source *s, struct err *e)
{
	struct vm *vm = vms_get(d->vms, name, e);
	const struct conf_vm *c = vm ? &vm->file.conf : NULL;

	if (!vm)
		return e->number;
	/* one that was never started knows neither formats nor a uid */
	if (template_may(vm, e) == 0 && vm_complete_identity(vm, c, e) == 0 &&
		vm_draft_identity(vm, e) == 0)
		for (size_t i = 0; i < c->disks && e->number == 0; i++)
			if (template_has(&c->disk[i]))
				run_template_take(s, vm, &c->disk[i], e);
	if (e->number == 0 && !s->disk)
		err_set(e, ERR_CONFLICT, "has no disk");
	if (e->number)
		return err_wrap(e, e->number, "VM '%s'", name);
	s->vm = xstrdup(name);
	return 0;
}

/* size: as the template's disks. */
static int run_template_text(const struct vm *vm, struct create_text *t,
	const struct conf_context *ctx, const uint64_t *size, struct buf *text, struct err *e)
{
	const struct clone_how how = {
		.name = t->name, .file = t->path, .linked = true, .size = size
	};
	struct conf_texts *texts = conf_texts_new(t->daemon->dirs.config, vm->name, e);
	const struct conf_vm *c = &vm->file.conf;
	struct clone_image *image = xcalloc(c->disks + 1, sizeof *image);
	const struct conf_source *src;
	size_t n;

	if (texts) {
		src = conf_texts_sources(texts, &n);
		clone_compose(text, image, src, n, c, ctx, &how, e);
	}
	clone_images_release(image, c->disks);
	conf_texts_free(texts);
	return e->number;
}

int run_template_compose(
	const struct run_source *s, struct create_text *t, uint64_t size, struct err *e)
{
	const struct conf_context ctx = {
		.defaults = &t->daemon->conf,
		.uuid = t->uuid,
		.state_dir = t->daemon->dirs.state,
		.newer = t->daemon->newer_keys,
	};
	const struct vm *vm = vms_get(t->daemon->vms, s->vm, e);
	_cleanup_(free_ptr) uint64_t *sizes = NULL;
	struct conf_problems unheard = { 0 };
	struct conf_vm plain = CONF_VM_INIT;
	struct buf text = BUF_INIT;

	if (!vm || template_may(vm, e) < 0)
		return e->number;
	sizes = xcalloc(vm->file.conf.disks + 1, sizeof *sizes);
	for (size_t i = 0; i < vm->file.conf.disks; i++)
		sizes[i] = streq(vm->file.conf.disk[i].id, s->disk) ? size : 0;
	if (run_template_text(vm, t, &ctx, sizes, &text, e) == 0) {
		const struct conf_source src = { t->path, text.data, text.len };

		conf_vm_parse(&plain, t->name, &src, 1, &ctx, &unheard);
		free(t->granted);
		t->granted = edit_granted(&plain);
	}
	conf_problems_release(&unheard);
	conf_vm_release(&plain);
	t->start = buf_steal(&text);
	return e->number;
}

static bool run_template_has_nvram(struct vm *vm)
{
	int dir = vm_state_dir(vm, NULL);

	return dir >= 0 && faccessat(dir, VM_NVRAM, F_OK, 0) == 0;
}

struct copies *run_template_copy(const struct run_source *s, const struct create_text *t,
	struct job *j, void (*done)(void *data, const struct err *e), void *data)
{
	struct vm *vm = s->vm ? vms_find(t->daemon->vms, s->vm) : NULL;
	const char *state = t->daemon->dirs.state;
	_cleanup_(free_ptr) char *own = vm_path(t->name, NULL),
				 *dir = xasprintf("%s/%s", state, own),
				 *path = xasprintf("%s/%s", dir, VM_NVRAM);
	struct copies *c;

	if (!vm || !run_template_has_nvram(vm))
		return NULL;
	c = copies_new(vm, j, done, data);
	copies_add(c, NULL, path, dir);
	copies_run(c);
	return c;
}
