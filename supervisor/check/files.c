/* SPDX-License-Identifier: MIT */
/* Reads the current files into copies, without changing the daemon's state. */

#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/boot/boot.h"
#include "supervisor/check/vm.h"
#include "supervisor/vm/renamed.h"
#include "supervisor/vm/revert.h"
#include "supervisor/vm/dirs.h"

/* A start uses the identity that the daemon knows, and reads the file only where it knows none. */
static void files_read_state(struct vm *vm, const struct vm *real, int dir)
{
	struct err e = ERR_INIT;
	bool known = real && real->identity.kept && identity_copy(&vm->identity, &real->identity);

	if (!known && dir >= 0 && identity_look(&vm->identity, dir, &e) < 0)
		vm->identity_problem = xstrdup(e.text);
	if (dir >= 0)
		vm_revert_read(vm, dir);
	identity_make_uuid(&vm->identity);
}

static void files_read_conf(struct vm *vm, struct conf_problems *p)
{
	const struct daemon *d = vm->daemon;
	struct conf_daemon defaults = CONF_DAEMON_INIT;
	struct conf_problems ignored = { 0 };
	struct conf_vm fresh = CONF_VM_INIT;
	struct conf_context ctx = {
		.defaults = &defaults,
		.state_dir = d->dirs.state,
		.uuid = vm->identity.uuid,
		.newer = d->newer_keys,
	};
	bool there;

	conf_load_daemon(&defaults, d->dirs.config, &ignored);
	there = conf_load_vm(&fresh, vms_dir(d->vms, vm->name), vm->name, &ctx, p);
	if (there) {
		conf_vm_release(&vm->file.conf);
		vm->file.conf = fresh;
	}
	vm->file.have_conf = there && !p->count;
	vm_keep_disk_names(vm, &vm->file.conf);
	conf_problems_release(&ignored);
	conf_daemon_release(&defaults);
}

struct vm *check_vm(struct daemon *d, const char *name, struct conf_problems *p)
{
	const struct vm *real = vms_find(d->vms, name);
	struct conf_problems own = { 0 };
	struct vm *vm = vm_new(d, name);
	_cleanup_(close_fd) int dir = vm_state_open(vm->daemon, vm->name);
	_cleanup_(close_fd) int to_come = -1;

	vm->st.state = real ? real->st.state : VM_STOPPED;
	files_read_state(vm, real, dir);
	files_read_conf(vm, &own);
	to_come = vm_state_to_come(vm);
	if (to_come >= 0) {
		files_read_state(vm, NULL, to_come);
		files_read_conf(vm, &own);
	}
	if (real && real->revert) /* the mark counts even if its file was lost */
		vm_revert_marked(vm, real->revert->snapshot, real->revert->id, real->revert->disk);
	conf_problems_add(p, &own);
	conf_problems_release(&own);
	return vm;
}

static void files_check_found(void *data, const char *name)
{
	struct check_files *f = data;
	struct vms *vms = f->daemon->vms;
	struct vm *vm = vms_find(vms, name);
	struct conf_problems unused = { 0 };

	/* the same name as a throw-away VM: that counts while it is there */
	if (vms_find(&f->vms, name))
		return;
	if (!vm || !vms_is_current(vms, vm))
		vm = check_vm(f->daemon, name, f->problems ? f->problems : &unused);
	vms_insert(&f->vms, vm);
	conf_problems_release(&unused);
}

static void files_check_network(void *data, const char *name)
{
	const struct check_files *f = data;
	struct conf_network conf = CONF_NETWORK_INIT;

	conf_load_network(&conf, f->daemon->dirs.config, name, f->problems);
	conf_network_release(&conf);
}

void check_files_read(struct check_files *f, struct daemon *d, struct conf_problems *p)
{
	struct conf_problems unused = { 0 };

	*f = (struct check_files){
		.daemon = d, .vms = { .daemon = d }, .conf = CONF_DAEMON_INIT, .problems = p
	};
	conf_load_daemon(&f->conf, d->dirs.config, p ? p : &unused);
	conf_problems_release(&unused);
	if (p)
		conf_list_networks(d->dirs.config, files_check_network, f, p);
	conf_list_vms(d->dirs.config, files_check_found, f, p);
	conf_list_vms(d->dirs.throwaways, files_check_found, f, NULL);
	if (p)
		conf_list_ignored(d->dirs.config, p);
	if (p)
		boot_check(&f->vms, p);
}

void check_files_release(struct check_files *f)
{
	for (size_t i = 0; i < f->vms.n; i++)
		if (vms_find(f->daemon->vms, f->vms.vm[i]->name) != f->vms.vm[i])
			vm_free(f->vms.vm[i]);
	free(f->vms.vm);
	conf_daemon_release(&f->conf);
	*f = (struct check_files){ 0 };
}
