/* SPDX-License-Identifier: MIT */
/*
 * RUN/vms/NAME/kept.json: everything about a running guest that cannot be found out again if its
 * record, effective configuration or identity is lost. Written once per process, before the
 * jail, which mounts it in the private root: it exists as long as the process, and only root can
 * read or write it. Version 1.
 */
#include "supervisor/vm/kept.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/inside.h"
#include "supervisor/vm/nic.h"

enum { KEPT_VERSION = 1, KEPT_MAX = 4 << 20 };

int kept_save(struct vm *vm, struct err *e)
{
	_cleanup_(buf_release) struct buf conf = BUF_INIT;
	json_auto_t *doc = NULL;
	_cleanup_(free_ptr) char *text = NULL;
	int r;

	conf_vm_dump(&vm->proc.conf, false, &conf);
	doc = json_pack("{s:i, s:s, s:s, s:s, s:o, s:o}", "version", KEPT_VERSION, "name", vm->name,
		"accel", conf_accel_name(vm->proc.accel), "conf", conf.data ? conf.data : "",
		"identity", identity_json(&vm->identity), "nics", vm_nics_json(vm));
	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	vm_run_dir_clear(vm, INSIDE_KEPT);
	r = text ? file_replace(vm->proc.run_fd, INSIDE_KEPT, 0600, text, strlen(text), false, e)
		 : err_set(e, ERR_FAILED, "cannot be written as JSON");
	return r < 0 ? err_wrap(e, r, "run record") : 0;
}

static json_t *kept_parse(const struct vm *vm, int dir, const char *path)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(KEPT_MAX);
	json_auto_t *doc = NULL;

	if (file_read(dir, path, &text, NULL) == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	if (json_integer_value(json_object_get(doc, "version")) == KEPT_VERSION &&
		streq(json_string_value(json_object_get(doc, "name")), vm->name))
		return json_incref(doc);
	return NULL;
}

json_t *kept_read(const struct vm *vm)
{
	_cleanup_(close_fd) int inside = inside_open(vm, INSIDE_KEPT);
	char path[48];
	json_t *doc = NULL;

	snprintf(path, sizeof path, "/proc/self/fd/%d", inside);
	if (inside >= 0)
		doc = kept_parse(vm, AT_FDCWD, path);
	return doc || vm->proc.run_fd < 0 ? doc : kept_parse(vm, vm->proc.run_fd, INSIDE_KEPT);
}
