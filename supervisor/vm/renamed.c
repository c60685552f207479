/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/renamed.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/found.h"
#include "supervisor/vm/uuid.h"
#include "supervisor/vm/vanished.h"

/* Is this the state of a guest that ran and no longer does, with this UUID? Asks the kernel
 * whether it runs, because this is called before adoption and records may be lost. */
static bool renamed_is_of(int states, const char *name, const char *uuid)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/identity.json", name);
	_cleanup_(buf_release) struct buf text = BUF_MAX(1 << 20);
	const char *is;
	json_auto_t *doc = NULL;
	bool yes;

	if (file_read(states, path, &text, NULL) == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	is = json_string_value(json_object_get(doc, "uuid"));
	yes = is && strcasecmp(is, uuid) == 0 &&
	      (!json_is_true(json_object_get(doc, "draft")) ||
		      json_is_true(json_object_get(doc, "ran"))) &&
	      !found_uid_lives((uid_t)json_integer_value(json_object_get(doc, "uid")));
	return yes;
}

/* What users were told about a VM that never ran, and the history of its failed starts: of no
 * use any more. */
static void renamed_drop_draft(int states, const char *name)
{
	static const char *const files[] = { "identity.json", "history", "history.1", "ended.json",
		"nvram.new" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/%s", name, files[i]);

		unlinkat(states, path, 0);
	}
}

/* Moves the state last: a daemon that starts after a crash repeats everything before that. */
static int renamed_move_state(struct vm *vm, int states, const char *from, struct err *e)
{
	const struct vm old = { .daemon = vm->daemon, .name = (char *)(uintptr_t)from };
	json_t *names = vanished_former(&old);
	size_t n = json_array_size(names);
	int r = 0;

	if (!n || !streq(json_string_value(json_array_get(names, n - 1)), from))
		r = vanished_write_former(states, from, names, e);
	json_decref(names);
	if (r < 0)
		return r;
	close_fd(&vm->state_fd);
	renamed_drop_draft(states, vm->name);
	/* failed starts may have left console.log there, which must not prevent the move */
	(void)!renameat(vm->daemon->dirs.log_fd, from, vm->daemon->dirs.log_fd, vm->name);
	if (renameat(states, from, states, vm->name) < 0)
		return err_errno(e, "move the state of VM '%s' here", from);
	return 0;
}

static bool renamed_wants_state(const struct vm *vm)
{
	return vm->file.have_conf && vm->file.conf.uuid && !vm->identity.kept &&
	       !vm->identity.damaged[0] && !vm->identity_problem && !vm->busy &&
	       vm_state_is_down(vm->st.state);
}

/* The VM whose state belongs to vm now; NULL: none. */
static const char *renamed_predecessor(struct vms *vms, const struct vm *vm, DIR *dir, bool looked)
{
	const char *name;

	rewinddir(dir);
	while ((name = vanished_next(dir, vms, !looked)) &&
		!renamed_is_of(dirfd(dir), name, vm->file.conf.uuid))
		;
	return name && !uuid_holder(vm, vm->file.conf.uuid) ? name : NULL;
}

int vm_state_to_come(struct vm *vm)
{
	_cleanup_(close_dir) DIR *dir =
		renamed_wants_state(vm) ? file_open_dir(vm->daemon->dirs.state_fd, "vms", 0) : NULL;
	const char *name;
	int fd = -1;

	if (!dir)
		return -1;
	name = renamed_predecessor(vm->daemon->vms, vm, dir, false);
	if (name)
		fd = vm_state_open(vm->daemon, name);
	if (fd >= 0)
		vm->predecessor = xstrdup(name);
	return fd;
}

static bool renamed_follow(struct vms *vms, struct vm *vm, DIR *dir)
{
	struct err e = ERR_INIT;
	const char *name = renamed_predecessor(vms, vm, dir, true);

	if (!name)
		return false;
	if (renamed_move_state(vm, dirfd(dir), name, &e) < 0) {
		log_error(vm->name, "%s", e.text);
		return false;
	}
	networks_unclaim(vms->daemon->networks, name);
	vm_note(vm, "renamed",
		"continues as what was VM '%s', whose file had this UUID=: identity, history and snapshots",
		name);
	return true;
}

bool vms_follow_uuid(struct vms *vms)
{
	_cleanup_(close_dir) DIR *dir = NULL;
	bool some = false;

	for (size_t i = 0; i < vms->n; i++) {
		struct vm *vm = vms->vm[i];

		if (!renamed_wants_state(vm))
			continue;
		if (!dir)
			dir = file_open_dir(vms->daemon->dirs.state_fd, "vms", 0);
		if (dir && renamed_follow(vms, vm, dir)) {
			vms_read_identity(vms, vm);
			vm->file.stamp = 0; /* %u has a new value */
			some = true;
		}
	}
	return some;
}

void vm_keep_disk_names(const struct vm *vm, struct conf_vm *c)
{
	for (size_t i = 0; vm->identity.kept && i < c->disks; i++) {
		const struct identity_disk *known = identity_disk(&vm->identity, c->disk[i].id);
		const char *dir = device_disk_dir(&c->disk[i], vm->daemon->image_dir);
		_cleanup_(free_ptr) char *end =
			xasprintf("-%s%s", c->disk[i].id, c->disk[i].volume ? "" : ".qcow2");
		size_t has = known && known->path ? strlen(known->path) : 0, len = strlen(dir);

		/* only a name that we generated: Path= may have been there and was removed */
		if (c->disk[i].unnamed && has > len + strlen(end) &&
			strncmp(known->path, dir, len) == 0 && known->path[len] == '/' &&
			!strchr(known->path + len + 1, '/') &&
			streq(known->path + has - strlen(end), end))
			c->disk[i].path = arena_strdup(&c->arena, known->path + len + 1);
	}
}
