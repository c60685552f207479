/* SPDX-License-Identifier: MIT */
/*
 * reload: re-reads all files, or shows what that would do. The files of a VM or network are re-read
 * before each reply about it anyway; in addition, a reload picks up new and removed ones at once,
 * reports all problems, re-reads /etc/group, and restores whatever others removed from networks
 * that are up.
 */
#include "base/mem.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "supervisor/api/result.h"
#include "supervisor/boot/boot.h"
#include "supervisor/control/server.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/verbs/verbs.h"
#include "supervisor/guest/display.h"
#include "supervisor/check/vm.h"

/* ImageDir= stays in effect until a restart: running guests use paths built from the old one. */
static void reload_image_dir(
	const struct daemon *d, const struct conf_daemon *c, struct conf_problems *p)
{
	_cleanup_(free_ptr) char *own = xasprintf("%s/images", d->dirs.state);
	const char *wish = c->image_dir ? c->image_dir : own;

	if (!streq(wish, d->image_dir))
		conf_problem(p, &(struct conf_place){ .file = "vmkeep.conf" }, "ImageDir",
			"is now '%s', but stays '%s' until the daemon is restarted, which does not affect guests",
			wish, d->image_dir);
}

void verbs_reload(struct daemon *d, struct conf_problems *p)
{
	daemon_load_conf(d, p);
	server_reload(
		d->server, (unsigned)d->conf.max_clients, (unsigned)d->conf.max_clients_per_user);
	networks_reload(d->networks, p);
	networks_repair(d->networks, p);
	vms_reload(d->vms, p);
	boot_check(d->vms, p);
	displays_restore(d->vms, p);
	reload_image_dir(d, &d->conf, p);
}

/* --- the dry run --- */

struct plan {
	json_t *rows;
	const char *what, *name, *applies; /* applies NULL: as in the key's row */
};

static void verb_reload_plan_row(
	const struct plan *p, const char *change, const char *to, const char *applies)
{
	json_array_append_new(p->rows,
		json_pack("[s, s, s, n, n, n, n, s?, s]", p->what, p->name, change, to, applies));
}

static void verb_reload_plan_change(void *data, const struct conf_change *c)
{
	const struct plan *p = data;

	json_array_append_new(
		p->rows, json_pack("[s, s, s, s, s?, s?, s?, s?, s]", p->what, p->name, "changed",
				 c->section, c->id, c->key, c->from, c->to,
				 p->applies ? p->applies : conf_apply_name(c->apply)));
}

/* A running VM is compared with what it runs with, as in diff. */
static void verb_reload_plan_vm(json_t *rows, const struct vm *real, const struct vm *fresh)
{
	struct plan p = { rows, "vm", fresh->name, NULL };
	bool up = real && vm_state_has_process(real->st.state);

	if (!real)
		verb_reload_plan_row(&p, "new", fresh->predecessor, "now");
	else if (fresh->file.have_conf && up && !real->proc.conf_lost)
		conf_vm_diff(&real->proc.conf, &fresh->file.conf, verb_reload_plan_change, &p);
	else if (fresh->file.have_conf && real->file.have_conf && !up)
		conf_vm_diff(&real->file.conf, &fresh->file.conf, verb_reload_plan_change, &p);
}

static void verb_reload_plan_vms(struct daemon *d, const struct check_files *f, json_t *rows)
{
	for (size_t i = 0; i < f->vms.n; i++)
		verb_reload_plan_vm(rows, vms_find(d->vms, f->vms.vm[i]->name), f->vms.vm[i]);
	for (size_t i = 0; i < d->vms->n; i++) {
		const struct vm *vm = d->vms->vm[i];
		struct plan p = { rows, "vm", vm->name, NULL };

		if (vm->file.orphan || conf_vm_stamp(vms_dir(d->vms, vm->name), vm->name))
			continue;
		verb_reload_plan_row(&p, "gone", NULL,
			vm_state_has_process(vm->st.state) ? "when it has ended" : "now");
	}
}

static void verb_reload_plan_daemon(
	const struct daemon *d, const struct conf_daemon *fresh, json_t *rows)
{
	struct plan p = { rows, "daemon", "vmkeep.conf", NULL };

	/* ImageDir= is the one key that is not re-read: the value at daemon start counts */
	conf_daemon_diff(&d->conf, fresh, verb_reload_plan_change, &p);
}

static void verb_reload_plan_network(void *data, const char *name, const char *change,
	const struct conf_change *c, const char *to, bool up)
{
	struct plan p = { data, "network", name, up ? "its next start" : "now" };

	if (c)
		verb_reload_plan_change(&p, c);
	else
		verb_reload_plan_row(
			&p, change, to, streq(change, "again") || !up ? "now" : "its next stop");
}

static json_t *verb_reload_plan_make(struct daemon *d)
{
	json_t *rows = json_array();
	struct conf_problems problems = { 0 }, own = { 0 };
	struct conf_daemon fresh = CONF_DAEMON_INIT;
	struct check_files f;
	json_t *result;

	conf_load_daemon(&fresh, d->dirs.config, &own);
	check_files_read(&f, d, &problems);
	/* a broken vmkeep.conf is not used, and [Defaults] are unknown then */
	if (!own.count) {
		verb_reload_plan_daemon(d, &fresh, rows);
		verb_reload_plan_vms(d, &f, rows);
	}
	networks_reload_plan(d->networks, verb_reload_plan_network, rows);
	if (server_reload_plan(d->server))
		verb_reload_plan_row(&(struct plan){ rows, "daemon", "/etc/group", NULL },
			"changed", NULL, "now");
	if (!own.count)
		reload_image_dir(d, &fresh, &problems);
	result = api_table(api_reload_row, rows);
	json_object_set_new(result, "problems", api_problems(&problems, false));
	check_files_release(&f);
	conf_daemon_release(&fresh);
	conf_problems_release(&own);
	conf_problems_release(&problems);
	return result;
}

void verb_reload(struct daemon *d, struct request *r)
{
	struct conf_problems problems = { 0 };

	if (request_bool(r, "dry-run", false)) {
		request_return(r, verb_reload_plan_make(d));
		return;
	}
	verbs_reload(d, &problems);
	request_return(r, api_problems(&problems, false));
	conf_problems_release(&problems);
}
