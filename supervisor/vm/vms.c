/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/vms.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/core/watch.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/renamed.h"
#include "supervisor/vm/dirs.h"

static void vms_changed(void *data)
{
	struct vms *vms = data;

	vms->changed = true;
}

/* Watches the directory that has the name now: it may have been replaced, or mounted. */
static void vms_watch(struct vms *vms)
{
	const char *dir = vms->daemon->dirs.config;
	_cleanup_(close_fd) int fd = -1;
	struct stat st;

	if (vms->watch > 0 && !vms->changed && stat(dir, &st) == 0 && st.st_dev == vms->dev &&
		st.st_ino == vms->ino)
		return;
	vms->changed = true;
	watch_remove(vms->daemon->watches, vms->watch);
	vms->watch = 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	vms->dev = st.st_dev;
	vms->ino = st.st_ino;
	vms->watch = watch_add(vms->daemon->watches, fd,
		IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
			IN_DELETE_SELF,
		vms_changed, vms, NULL);
}

struct vms *vms_new(struct daemon *d)
{
	struct vms *vms = xcalloc(1, sizeof *vms);

	vms->daemon = d;
	vms_watch(vms);
	return vms;
}

void vms_clear(struct vms *vms)
{
	if (!vms)
		return;
	watch_remove(vms->daemon->watches, vms->watch);
	vms->watch = 0;
	while (vms->n)
		vm_free(vms->vm[--vms->n]);
}

void vms_free(struct vms *vms)
{
	if (!vms)
		return;
	vms_clear(vms);
	free(vms->vm);
	free(vms);
}

/* Hash of everything a VM's configuration is made from; 0: no file. */
static uint64_t vms_stamp_of(const struct vms *vms, const char *name)
{
	uint64_t own = conf_vm_stamp(vms_dir(vms, name), name);
	uint64_t all = own * 31 + vms->daemon->conf_stamp;

	return own ? all + !all : 0;
}

void vms_lost(struct vms *vms)
{
	for (size_t i = 0; i < vms->n; i++) {
		struct vm *vm = vms->vm[i];

		vm_parts_lost(vm);
		if (vm->st.state == VM_BACKOFF)
			vm_enter_backoff(vm);
	}
}

void vms_leased(struct vms *vms)
{
	for (size_t i = 0; i < vms->n; i++)
		vm_waits_check(vms->vm[i]);
}

struct vm *vms_add(struct vms *vms, const char *name)
{
	struct vm *vm = vms_find(vms, name);

	if (vm)
		return vm;
	vm = vm_new(vms->daemon, name);
	vms_insert(vms, vm);
	vms_read_identity(vms, vm);
	daemon_event(vms->daemon, "VM_ADDED", json_pack("{s:s}", "name", name));
	return vm;
}

void vms_forget(struct vms *vms, struct vm *vm)
{
	vms_remove(vms, vm);
	daemon_event(vms->daemon, "VM_REMOVED", json_pack("{s:s}", "name", vm->name));
	/* one that ran keeps addresses, MACs and names until vm_forget() */
	if (!vm->identity.kept)
		networks_unclaim(vms->daemon->networks, vm->name);
	vm_free(vm);
}

static void vms_claim_addresses(struct vm *vm)
{
	for (size_t i = 0; i < vm->file.conf.nics; i++) {
		const struct conf_nic *n = &vm->file.conf.nic[i];
		struct identity_nic *known = identity_nic(&vm->identity, n->id);
		char dns[64];
		uint32_t address;

		if (!known || !n->network)
			continue;
		struct network_nic nic = { .vm = vm->name,
			.nic = n->id,
			.network = n->network,
			.hostname = n->hostname ? n->hostname : conf_dns_name(vm->name, dns),
			.address = known->address,
			.link = n->link };

		memcpy(nic.mac, known->mac, sizeof nic.mac);
		networks_claim(vm->daemon->networks, &nic, &address, NULL);
	}
}

static void vms_log_warnings(const struct vm *vm, const struct conf_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		_cleanup_(buf_release) struct buf text = BUF_INIT;

		conf_problem_print(&p->item[i], &text);
		if (p->item[i].warning)
			log_warning(vm->name, "%s", text.data);
	}
}

/* Reads the VM's files. stamp was computed before. A file that no longer parses keeps the last
 * valid configuration. */
static void vms_refresh_all(struct vms *vms, struct vm *vm, uint64_t stamp, struct conf_problems *p)
{
	struct daemon *d = vms->daemon;
	struct conf_context ctx = {
		.defaults = &d->conf,
		.uuid = vm->identity.uuid,
		.state_dir = d->dirs.state,
		.newer = d->newer_keys,
	};
	_cleanup_(conf_problems_release) struct conf_problems own = { 0 };
	struct conf_vm fresh = CONF_VM_INIT;
	_cleanup_(free_ptr) char *told = vm->file.problems;
	const bool changed = vm->file.stamp != stamp;

	/* %u may be used before the first start */
	identity_make_uuid(&vm->identity);
	if (!conf_load_vm(&fresh, vms_dir(vms, vm->name), vm->name, &ctx, &own))
		conf_problem(&own, &(struct conf_place){ 0 }, NULL,
			"the file of VM '%s' was removed while it was read", vm->name);
	vm->file.stamp = stamp;
	vm->file.orphan = false;
	vm->file.problems = NULL;
	if (own.warnings && changed)
		vms_log_warnings(vm, &own);
	if (own.count) {
		vm->file.problems = conf_problems_text(&own);
		if (!told || !streq(told, vm->file.problems))
			log_warning(vm->name, "%s: %s",
				vm->file.have_conf ? "keeping the previous configuration"
						   : "its file has errors",
				vm->file.problems);
		if (p)
			conf_problems_add(p, &own);
		/* all that counts of a file that was never valid: its VM is missed at boot */
		if (!vm->file.have_conf)
			vm->file.conf.enable = fresh.enable;
		conf_vm_release(&fresh);
	} else if (d->conf_problem) {
		vm->file.problems = xstrdup(d->conf_problem);
		conf_vm_release(&fresh);
	} else {
		conf_vm_release(&vm->file.conf);
		vm->file.conf = fresh;
		vm->file.have_conf = true;
		vm_keep_disk_names(vm, &vm->file.conf);
		vms_claim_addresses(vm);
	}
}

/* Editors, git and Ansible replace files: a file may be missing for a moment, so nothing is
 * released. */
static void vms_gone_from_disk(struct vms *vms, struct vm *vm)
{
	bool down = vm_state_is_down(vm->st.state);

	if (down && vm->st.state != VM_BACKOFF && !vm->busy) {
		vms_forget(vms, vm);
		return;
	}
	if (!vm->file.orphan && !down)
		log_warning(
			vm->name, "its file is gone; the guest keeps running and can be stopped");
	vm->file.orphan = true;
	vm->file.have_conf = false;
	vm->file.stamp = 0;
	/* the end of the operation in vm->busy sends no event */
	if (down)
		vms->changed = true;
}

struct found {
	struct vms *vms;
	struct conf_problems *problems;
};

static void vms_found_file(void *data, const char *name)
{
	struct found *f = data;
	struct vm *vm = vms_find(f->vms, name);
	uint64_t stamp = vm ? vm->file.stamp_now : vms_stamp_of(f->vms, name);

	/* a file of this name counts when the throw-away VM is gone */
	if (vm && vm->file.throwaway)
		return;
	if (!vm)
		vm = vms_add(f->vms, name);
	vm->file.elsewhere = conf_vm_is_elsewhere(f->vms->daemon->dirs.config, name);
	if (vm->file.stamp != stamp || vm->file.problems)
		vms_refresh_all(f->vms, vm, stamp, f->problems);
}

void vms_reload(struct vms *vms, struct conf_problems *p)
{
	struct found f = { vms, p };

	vms->changed = false;
	daemon_look_conf(vms->daemon);
	for (size_t i = vms->n; i-- > 0;) {
		struct vm *vm = vms->vm[i];

		vm->file.stamp_now = vms_stamp_of(vms, vm->name);
		if (!vm->file.stamp_now)
			vms_gone_from_disk(vms, vm);
	}
	conf_list_vms(vms->daemon->dirs.config, vms_found_file, &f, p);
	if (vms_follow_uuid(vms))
		conf_list_vms(vms->daemon->dirs.config, vms_found_file, &f, p);
	vms_observed_reload(vms);
}

static bool vms_changed_elsewhere(const struct vms *vms)
{
	for (size_t i = 0; i < vms->n; i++)
		if (vms->vm[i]->file.elsewhere &&
			vms->vm[i]->file.stamp != vms_stamp_of(vms, vms->vm[i]->name))
			return true;
	return false;
}

void vms_refresh(struct vms *vms)
{
	_cleanup_(conf_problems_release) struct conf_problems problems = { 0 };

	watch_poll(vms->daemon->watches, vms->watch);
	vms_watch(vms);
	if (vms->changed || vms_changed_elsewhere(vms))
		vms_reload(vms, &problems);
}

void vms_close_idle(struct vms *vms)
{
	for (size_t i = 0; i < vms->n; i++)
		if (vm_state_is_down(vms->vm[i]->st.state))
			close_fd(&vms->vm[i]->state_fd);
}

const char *vms_nearest(const struct vms *vms, const char *name)
{
	const char **names = xcalloc(vms->n, sizeof *names), *near;

	for (size_t i = 0; i < vms->n; i++)
		names[i] = vms->vm[i]->name;
	near = text_nearest(name, names, vms->n);
	free(names);
	return near;
}

/* The length of a file's name without its ending; 0: it has none. */
static size_t vms_before_ending(const char *name)
{
	static const char *const endings[] = { ".vm", ".xml", ".conf" };
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++)
		if (streq(dot, endings[i]))
			return (size_t)(dot - name);
	return 0;
}

static void vms_not_found(const struct vms *vms, const char *name, struct err *e)
{
	const char *near = vms_nearest(vms, name);
	const size_t stem = vms_before_ending(name);

	err_set(e, ERR_NOT_FOUND, "no such VM: %s", name);
	if (stem)
		err_hint(e, "write the name without the file's ending: %.*s", (int)stem, name);
	else if (networks_exists(vms->daemon->networks, name, NULL))
		err_hint(e, "'%s' is a network: see vmkeep net show %s", name, name);
	else if (near)
		err_hint(e, "did you mean '%s'?", near);
	else
		err_hint(e, "a VM is a file %s/%s.vm", vms->daemon->dirs.config, name);
}

/* The problems of this VM's file only, not those of other files in the directory. */
static void vms_refused(
	const struct vms *vms, const char *name, const struct conf_problems *p, struct err *e)
{
	_cleanup_(free_ptr) char *file = xasprintf("%s/%s.vm", vms->daemon->dirs.config, name);
	struct conf_problems own = { 0 };

	for (size_t i = 0; i < p->n; i++) {
		const char *of = p->item[i].place.file;

		if (of && strncmp(of, file, strlen(file)) == 0 &&
			(!of[strlen(file)] || strncmp(of + strlen(file), ".d/", 3) == 0))
			conf_problem_add(&own, &p->item[i]);
	}
	conf_problems_err(own.count ? &own : p, e);
	conf_problems_release(&own);
}

struct vm *vms_get(struct vms *vms, const char *name, struct err *e)
{
	struct vm *vm = vms_find(vms, name);
	struct conf_problems problems = { 0 };
	uint64_t stamp;

	daemon_look_conf(vms->daemon);
	if (vm && (!vm->identity.kept || vm->identity_problem) && vm_state_is_down(vm->st.state))
		vms_read_identity_again(vms, vm);
	stamp = vms_stamp_of(vms, name);
	if (vm && !stamp)
		vms_gone_from_disk(vms, vm);
	/* a file of a VM that never ran may conflict with another VM, or be a renamed one: only the
	 * whole directory tells. inotify may tell of the change after this request. */
	if (stamp && (!vm || ((vms->changed || stamp != vm->file.stamp) && !vm->identity.kept)))
		vms_reload(vms, &problems);
	vm = vms_find(vms, name);
	if (vm && stamp && stamp != vm->file.stamp)
		vms_refresh_all(vms, vm, stamp, NULL);
	if (!vm && stamp)
		vms_refused(vms, name, &problems, e);
	conf_problems_release(&problems);
	if (vm || stamp)
		return vm;
	vms_not_found(vms, name, e);
	return NULL;
}

bool vms_exists(struct vms *vms, const char *name, struct err *e)
{
	if (conf_vm_stamp(vms_dir(vms, name), name) || vms_find(vms, name))
		return true;
	vms_not_found(vms, name, e);
	return false;
}

bool vms_is_current(const struct vms *vms, const struct vm *vm)
{
	const char *config = vms->daemon->dirs.config;

	return !vm->file.problems && vm->file.have_conf &&
	       vm->file.stamp == vms_stamp_of(vms, vm->name) &&
	       conf_daemon_stamp(config) == vms->daemon->conf_stamp;
}

bool vms_owned(struct vms *vms, const char *name,
	bool (*is)(void *data, const struct conf_list *owner), void *data)
{
	struct daemon *d = vms->daemon;
	struct conf_context ctx = { .defaults = &d->conf, .uuid = "", .state_dir = d->dirs.state };
	struct conf_problems ignored = { 0 };
	struct conf_vm now = CONF_VM_INIT;
	struct vm *vm = vms_find(vms, name);
	bool owned;

	daemon_look_conf(d);
	if (vm && vms_is_current(vms, vm))
		return is(data, &vm->file.conf.owner);
	owned = conf_load_vm(&now, vms_dir(vms, name), name, &ctx, &ignored) &&
		is(data, &now.owner);
	conf_problems_release(&ignored);
	conf_vm_release(&now);
	return owned;
}
