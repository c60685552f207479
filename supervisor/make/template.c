/* SPDX-License-Identifier: MIT */
#include "supervisor/make/template.h"

#include "base/mem.h"
#include "supervisor/make/image.h"
#include "supervisor/qemu/device.h"

struct template_asked {
	struct daemon *daemon;
	json_t **request; /* NULL: none for this disk */
	uint64_t *size;
	size_t n, at;
	template_fn *done;
	void *data;
};

int template_may(const struct vm *vm, struct err *e)
{
	if (vm->file.problems)
		return err_set(e, ERR_INVALID_CONFIG, "%s", vm->file.problems);
	if (!vm_state_is_down(vm->st.state)) {
		err_set(e, ERR_WRONG_STATE, "is %s", vm_state_name(vm->st.state));
		return err_hint(e, "vmkeep stop %s first", vm->name);
	}
	if (vm->file.have_conf && vm->file.conf.template)
		return 0;
	err_set(e, ERR_WRONG_STATE,
		"is not a template: its next start would change the disks that others are based on");
	return err_hint(e, "vmkeep set %s VM.Template=yes makes it one", vm->name);
}

bool template_has(const struct conf_disk *disk)
{
	return disk->path && !disk->cdrom && !disk->read_only;
}

static void template_free(struct template_asked *t)
{
	for (size_t i = 0; i < t->n; i++)
		json_decref(t->request[i]);
	free(t->request);
	free(t->size);
	free(t);
}

static void template_next(struct template_asked *t);

static void template_on_size(void *data, const json_t *answer, const struct err *e)
{
	struct template_asked *t = data;

	if (!e) {
		t->size[t->at++] = (uint64_t)json_integer_value(json_object_get(answer, "size"));
		template_next(t);
		return;
	}
	t->done(t->data, NULL, e);
	template_free(t);
}

static void template_next(struct template_asked *t)
{
	struct err e = ERR_INIT;
	json_t *request;

	while (t->at < t->n && !t->request[t->at])
		t->at++;
	request = t->at < t->n ? t->request[t->at] : NULL;
	if (request) {
		t->request[t->at] = NULL;
		if (image_ask(t->daemon, request, template_on_size, t, &e))
			return;
	}
	t->done(t->data, e.number ? NULL : t->size, e.number ? &e : NULL);
	template_free(t);
}

static json_t *template_request(
	const struct vm *vm, const struct conf_disk *disk, const char *path, struct err *e)
{
	const char *format = conf_format_name(device_disk_format(disk, &vm->identity));
	json_t *request;

	if (*disk->path == '/' || disk->volume) {
		err_set(e, ERR_CONFLICT, "disk '%s' is %s: no disk can be based on it", disk->id,
			disk->volume ? "a volume" : "in no store");
		err_hint(e, "vmkeep clone %s NEW copies it", vm->name);
		return NULL;
	}
	request = image_request(vm->daemon, "base", disk->store, e);
	if (request)
		json_object_update_new(request, json_pack("{s:s, s:s, s:s?}", "path", disk->path,
							"format", format, "new", path));
	return request;
}

int template_ask(
	const struct vm *vm, char *const *path, template_fn *done, void *data, struct err *e)
{
	const struct conf_vm *c = &vm->file.conf;
	struct template_asked *t = xcalloc(1, sizeof *t);

	*t = (struct template_asked){ .daemon = vm->daemon,
		.request = xcalloc(c->disks + 1, sizeof(json_t *)),
		.size = xcalloc(c->disks + 1, sizeof *t->size),
		.n = c->disks,
		.done = done,
		.data = data };
	for (size_t i = 0; e->number == 0 && i < c->disks; i++)
		if (template_has(&c->disk[i]))
			t->request[i] = template_request(vm, &c->disk[i], path ? path[i] : NULL, e);
	if (e->number) {
		template_free(t);
		return e->number;
	}
	template_next(t);
	return 0;
}
