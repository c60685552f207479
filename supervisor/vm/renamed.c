/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/renamed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/qemu/device.h"
#include "supervisor/vm/found.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/dirs.h"

enum { FORMER_MAX = 64 << 10, FORMER_VERSION = 1 };

static const char former_file[] = "former.json"; /* {"version": 1, "names": [..]} */

/* --- state directories whose file is gone --- */

/* The next name; NULL at the end. The files are asked: a check reads them before the daemon takes them. Those that
 * still run are not among them but where orphans is set. */
static const char *next_vanished(DIR *dir, struct vms *vms, bool orphans)
{
	for (struct dirent *d; dir && (d = readdir(dir));)
		if (conf_name_ok(d->d_name) && !conf_vm_stamp(vms->daemon->dirs.config, d->d_name) &&
			(orphans || !vms_find(vms, d->d_name)))
			return d->d_name;
	return NULL;
}

static DIR *open_states(const struct daemon *d)
{
	int fd = openat(d->dirs.state_fd, "vms", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fdopendir(fd) : NULL;
}

/* A guest ran with it and does no more, and its UUID is this one. Whether it runs is asked of the kernel: this is
 * read before anything is adopted, and records may be lost. */
static bool is_of(int states, const char *name, const char *uuid)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/identity.json", name);
	struct buf text = BUF_MAX(1 << 20);
	const char *is;
	json_t *doc = NULL;
	bool yes;

	if (file_read(states, path, &text, NULL) == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	is = json_string_value(json_object_get(doc, "uuid"));
	yes = is && strcasecmp(is, uuid) == 0 &&
	      (!json_is_true(json_object_get(doc, "draft")) || json_is_true(json_object_get(doc, "ran"))) &&
	      !found_uid_lives((uid_t)json_integer_value(json_object_get(doc, "uid")));
	json_decref(doc);
	buf_release(&text);
	return yes;
}

static json_t *vanished(struct vms *vms)
{
	DIR *dir = open_states(vms->daemon);
	json_t *names = json_array();

	for (const char *name; (name = next_vanished(dir, vms, true));)
		json_array_append_new(names, json_string(name));
	if (dir)
		closedir(dir);
	return names;
}

/* As much of it as nobody else has by now. */
static void claim_nic(struct networks *ns, const char *vm, const struct identity_nic *n)
{
	struct network_nic nic = { .vm = vm, .nic = n->id };
	uint32_t address;
	char dns[64];

	memcpy(nic.mac, n->mac, sizeof nic.mac);
	if (n->network && n->address) {
		nic.network = n->network;
		nic.address = n->address;
		nic.fixed = true; /* this one or none */
		nic.hostname = n->hostname ? n->hostname : conf_dns_name(vm, dns);
		if (networks_claim(ns, &nic, &address, NULL) == 0)
			return;
		nic.hostname = "";
		if (networks_claim(ns, &nic, &address, NULL) == 0)
			return;
	}
	nic = (struct network_nic){ .vm = vm, .nic = n->id };
	memcpy(nic.mac, n->mac, sizeof nic.mac);
	networks_claim(ns, &nic, &address, NULL);
}

void vms_claim_vanished(struct vms *vms)
{
	DIR *dir = open_states(vms->daemon);

	for (const char *name; (name = next_vanished(dir, vms, false));) {
		int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct identity id = IDENTITY_INIT;
		struct err e = ERR_INIT;

		if (fd >= 0 && identity_load(&id, fd, &e) == 0 && id.kept)
			for (size_t i = 0; i < id.nics; i++)
				claim_nic(vms->daemon->networks, name, &id.nic[i]);
		identity_release(&id);
		close_fd(&fd);
	}
	if (dir)
		closedir(dir);
}

static json_t *former_names(const struct vm *vm)
{
	const char *name = vm->predecessor ? vm->predecessor : vm->name;
	_cleanup_(free_ptr) char *path = vm_path(name, former_file);
	struct buf text = BUF_MAX(FORMER_MAX);
	json_t *doc = NULL, *names = NULL;

	if (file_read(vm->daemon->dirs.state_fd, path, &text, NULL) == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	if (json_is_array(json_object_get(doc, "names")))
		names = json_incref(json_object_get(doc, "names"));
	json_decref(doc);
	buf_release(&text);
	if (!names)
		names = json_array();
	if (vm->predecessor)
		json_array_append_new(names, json_string(name));
	return names;
}

/* --- the move --- */

static int write_former(int states, const char *from, json_t *names, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", from, former_file);
	json_t *doc;
	char *text;
	int r;

	json_array_append_new(names, json_string(from));
	doc = json_pack("{s:i, s:O}", "version", FORMER_VERSION, "names", names);
	text = json_dumps(doc, JSON_COMPACT);
	r = file_replace(states, path, 0600, text, strlen(text), false, e);
	free(text);
	json_decref(doc);
	return r;
}

/* What one that never ran was told, and how its starts failed: of no use to anybody. */
static void drop_draft(int states, const char *name)
{
	static const char *const files[] = { "identity.json", "history", "history.1", "nvram.new" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/%s", name, files[i]);

		unlinkat(states, path, 0);
	}
}

/* The state goes last: until then all of this is done again by a daemon that comes after a sudden end. */
static int move_state(struct vm *vm, int states, const char *from, struct err *e)
{
	const struct vm old = { .daemon = vm->daemon, .name = (char *)(uintptr_t)from };
	json_t *names = former_names(&old);
	size_t n = json_array_size(names);
	int r = 0;

	if (!n || !streq(json_string_value(json_array_get(names, n - 1)), from))
		r = write_former(states, from, names, e);
	json_decref(names);
	if (r < 0)
		return r;
	close_fd(&vm->state_fd);
	drop_draft(states, vm->name);
	/* console.log of failed starts may be there, which is no reason to keep the state */
	(void)!renameat(vm->daemon->dirs.log_fd, from, vm->daemon->dirs.log_fd, vm->name);
	if (renameat(states, from, states, vm->name) < 0)
		return err_errno(e, "move the state of VM '%s' here", from);
	return 0;
}

static bool wants_state(const struct vm *vm)
{
	return vm->file.have_conf && vm->file.conf.uuid && !vm->identity.kept && !vm->identity.damaged[0] &&
	       !vm->identity_problem && !vm->busy && vm_state_is_down(vm->st.state);
}

static bool file_is_gone(const struct vm *vm)
{
	return vm->file.orphan || !conf_vm_stamp(vm->daemon->dirs.config, vm->name);
}

/* Another file that says so, or a VM that ran as such. One that the next look at the files forgets is none. */
static const struct vm *holder(const struct vm *vm, const char *uuid)
{
	const struct vms *vms = vm->daemon->vms;

	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *o = vms->vm[i];

		if (streq(o->name, vm->name) || (file_is_gone(o) && !vm_state_has_process(o->st.state)))
			continue;
		if ((o->file.have_conf && o->file.conf.uuid && strcasecmp(o->file.conf.uuid, uuid) == 0) ||
			(o->identity.kept && strcasecmp(o->identity.uuid, uuid) == 0))
			return o;
	}
	return NULL;
}

/* The VM whose state is to be this one's; NULL: there is none. */
static const char *predecessor(struct vms *vms, const struct vm *vm, DIR *dir, bool looked)
{
	const char *name;

	rewinddir(dir);
	while ((name = next_vanished(dir, vms, !looked)) && !is_of(dirfd(dir), name, vm->file.conf.uuid))
		;
	return name && !holder(vm, vm->file.conf.uuid) ? name : NULL;
}

int vm_state_to_come(struct vm *vm)
{
	DIR *dir = wants_state(vm) ? open_states(vm->daemon) : NULL;
	const char *name;
	int fd = -1;

	if (!dir)
		return -1;
	name = predecessor(vm->daemon->vms, vm, dir, false);
	if (name)
		fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		vm->predecessor = xstrdup(name);
	closedir(dir);
	return fd;
}

static bool follow(struct vms *vms, struct vm *vm, DIR *dir)
{
	struct err e = ERR_INIT;
	const char *name = predecessor(vms, vm, dir, true);

	if (!name)
		return false;
	if (move_state(vm, dirfd(dir), name, &e) < 0) {
		log_error(vm->name, "%s", e.text);
		return false;
	}
	networks_unclaim(vms->daemon->networks, name);
	vm_note(vm, "renamed", "goes on as what was VM '%s', whose file had this UUID=: identity, history and snapshots", name);
	return true;
}

bool vms_follow_uuid(struct vms *vms)
{
	DIR *dir = NULL;
	bool some = false;

	for (size_t i = 0; i < vms->n; i++) {
		struct vm *vm = vms->vm[i];

		if (!wants_state(vm))
			continue;
		if (!dir)
			dir = open_states(vms->daemon);
		if (dir && follow(vms, vm, dir)) {
			vms_read_identity(vms, vm);
			vm->file.stamp = 0; /* %u has another meaning now */
			some = true;
		}
	}
	if (dir)
		closedir(dir);
	return some;
}

void vm_keep_disk_names(const struct vm *vm, struct conf_vm *c)
{
	const char *dir = vm->daemon->image_dir;
	size_t len = strlen(dir);

	for (size_t i = 0; vm->identity.kept && i < c->disks; i++) {
		const struct identity_disk *known = identity_disk(&vm->identity, c->disk[i].id);
		_cleanup_(free_ptr) char *end = xasprintf("-%s.qcow2", c->disk[i].id);
		size_t has = known && known->path ? strlen(known->path) : 0;

		/* only a name of the same making: Path= may have stood there, and was taken away */
		if (c->disk[i].unnamed && has > len + strlen(end) && strncmp(known->path, dir, len) == 0 &&
			known->path[len] == '/' && !strchr(known->path + len + 1, '/') &&
			streq(known->path + has - strlen(end), end))
			c->disk[i].path = arena_strdup(&c->arena, known->path + len + 1);
	}
}

/* --- may it run? --- */

static int check_uuid(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	const struct vm *other;

	if (vm->identity.kept && strcasecmp(vm->identity.uuid, c->uuid) == 0)
		return 0;
	if (vm->identity.kept) {
		err_set(e, ERR_CONFLICT, "UUID=%s is not this VM's, which is %s since its first start", c->uuid,
			vm->identity.uuid);
		return err_hint(e, "write UUID=%s, or take the line away; another machine needs a file of another name",
			vm->identity.uuid);
	}
	other = holder(vm, c->uuid);
	if (!other)
		return 0;
	if (file_is_gone(other))
		err_set(e, ERR_CONFLICT, "UUID=%s is VM '%s', whose file is gone and which still runs", c->uuid, other->name);
	else
		err_set(e, ERR_CONFLICT, "UUID=%s is VM '%s' already (%s/%s.vm)", c->uuid, other->name,
			vm->daemon->dirs.config, other->name);
	return err_hint(e, file_is_gone(other) ? "stop that one first, and its state comes here" :
			"take UUID= out of the copy; where a VM was renamed, remove the old file");
}

static int check_disks_of(const struct identity *id, const char *name, const char *why, const char *hint,
	const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < c->disks; i++)
		for (size_t k = 0; c->disk[i].path && !c->disk[i].read_only && k < id->disks; k++)
			if (streq(id->disk[k].path,
				    device_disk_path(&c->disk[i], vm->daemon->image_dir, path))) {
				err_set(e, ERR_WRONG_STATE, "disk '%s' is one of VM '%s', %s did not come to its end",
					c->disk[i].id, name, why);
				return err_hint(e, "%svmkeep start %s tells what helps", hint, name);
			}
	return 0;
}

/* Of VMs that are there, and of one whose file is gone: a new VM may be that one, by another name. */
static int check_torn(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	struct vms *vms = vm->daemon->vms;
	DIR *dir = vm->identity.kept ? NULL : open_states(vm->daemon);
	int r = 0;

	for (size_t i = 0; r == 0 && i < vms->n; i++)
		if (vms->vm[i]->revert && !streq(vms->vm[i]->name, vm->name))
			r = check_disks_of(&vms->vm[i]->identity, vms->vm[i]->name, "whose revert", "", vm, c, e);
	for (const char *name; dir && r == 0 && (name = next_vanished(dir, vms, true));) {
		_cleanup_(close_fd) int fd =
			openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		_cleanup_(free_ptr) char *hint = xasprintf("name the file %s.vm again: ", name);
		struct identity id = IDENTITY_INIT;

		if (fd >= 0 && vm_revert_there(fd) && identity_load(&id, fd, NULL) == 0)
			r = check_disks_of(&id, name, "whose file is gone and whose revert", hint, vm, c, e);
		identity_release(&id);
	}
	if (dir)
		closedir(dir);
	return r;
}

int vm_identity_check(const struct vm *vm, const struct conf_vm *c, struct err *e)
{
	const struct identity *id = &vm->identity;

	if (check_torn(vm, c, e) < 0)
		return e->number;
	if (c->uuid)
		return check_uuid(vm, c, e);
	/* where it tells no UUID the images may, which vmkeep-jail looks at */
	if (id->kept || !id->damaged_uuid[0])
		return 0;
	err_set(e, ERR_CONFLICT,
		"its identity is lost (damaged: %s/vms/%s/%s): with a new one its guest would find another machine and "
		"other MAC addresses", vm->daemon->dirs.state, vm->name, id->damaged);
	return err_hint(e, "put identity.json back there from a backup, or write UUID=%s in [VM] to go on as that machine",
		id->damaged_uuid);
}

bool vm_is_forgotten(const struct vm *vm, const struct conf_vm *c)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/console.log", vm->name);
	struct stat st;

	if (vm->identity.kept || c->uuid)
		return false;
	/* a log that has something in it was written by a guest: a start that fails writes none */
	return vm->identity.damaged[0] || (fstatat(vm->daemon->dirs.log_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_size > 0);
}

static bool may_make_disks(const struct conf_vm *c)
{
	for (size_t i = 0; i < c->disks; i++)
		if (c->disk[i].size)
			return true;
	return false;
}

json_t *vm_identity_plan(const struct vm *vm, const struct conf_vm *c)
{
	const struct daemon *d = vm->daemon;
	_cleanup_(free_ptr) char *dir = xasprintf("%s/vms/%s", d->dirs.state, vm->name);
	bool fresh = !vm->identity.kept && !c->uuid;

	return json_pack("{s:s, s:b, s:b, s:s*, s:o, s:o, s:o}", "dir", dir, "changed", vm->identity.dirty, "fresh", fresh,
		"damaged", vm->identity.damaged[0] ? vm->identity.damaged : NULL,
		"vanished", fresh && may_make_disks(c) ? vanished(d->vms) : json_array(),
		"former", vm->identity.kept && may_make_disks(c) ? former_names(vm) : json_array(),
		"document", identity_json(&vm->identity));
}
