/* SPDX-License-Identifier: MIT */
/* Read-only verbs. All data comes from memory or the kernel, so a hung guest delays nothing. */
#include <fnmatch.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/guest/health.h"
#include "supervisor/check/security.h"
#include "supervisor/vm/bases.h"
#include "supervisor/vm/part.h"
#include "supervisor/vm/trouble.h"

static json_t *verb_show_mac_text(const uint8_t mac[ETH_ALEN])
{
	char text[TEXT_MAC];

	return json_string(text_mac(text, mac));
}

static const struct conf_vm *verb_show_conf_now(const struct vm *vm)
{
	return vm_state_has_process(vm->st.state) ? &vm->proc.conf : &vm->file.conf;
}

static uint32_t verb_show_first_address(const struct vm *vm)
{
	for (size_t i = 0; i < vm->proc.nics; i++)
		if (vm->proc.nic[i].net.address)
			return networks_address_now(vm->daemon->networks, &vm->proc.nic[i].net);
	return 0;
}

static json_t *verb_show_uptime(const struct vm *vm)
{
	return vm_state_has_process(vm->st.state)
		       ? json_integer((json_int_t)(clock_boot() - vm->proc.started_boot))
		       : json_null();
}

/* Its values are unknown: the run record of its process was lost, or its file was never valid. */
static bool verb_show_is_unknown(const struct vm *vm)
{
	return vm_state_has_process(vm->st.state) ? vm->proc.conf_lost : !vm_conf_is_known(vm);
}

static json_t *verb_show_if_known(const struct vm *vm, json_t *value /* stolen */)
{
	if (!verb_show_is_unknown(vm))
		return value;
	json_decref(value);
	return json_null();
}

static const char *verb_show_accel_text(const struct vm *vm)
{
	const struct conf_vm *c = verb_show_conf_now(vm);

	return conf_accel_name(vm_state_has_process(vm->st.state) ? vm->proc.accel : c->accel);
}

/* Does it start with the host? Nobody knows while its file has errors. */
static json_t *verb_show_enabled(const struct vm *vm)
{
	return vm->file.problems
		       ? json_null()
		       : json_boolean(vm->file.conf.enable != CONF_ENABLE_NO && !vm->file.orphan);
}

static const char *verb_show_enable(const struct vm *vm)
{
	return vm->file.problems
		       ? NULL
		       : conf_enable_name(vm->file.orphan ? CONF_ENABLE_NO : vm->file.conf.enable);
}

/* Creates each of the few strings that a thousand rows repeat only once. */
struct words {
	const char *text[16]; /* string constants, compared by address */
	json_t *word[16];
};

static json_t *verb_show_word(struct words *w, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->text); i++) {
		if (!w->text[i]) {
			w->text[i] = text;
			w->word[i] = json_string(text);
		}
		if (w->text[i] == text)
			return json_incref(w->word[i]);
	}
	return json_string(text);
}

static void verb_show_words_release(struct words *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->text); i++)
		json_decref(w->word[i]);
}

/* Collects the first such NIC of each VM, by the VM's name. */
static void verb_show_stray(void *data, const char *vm, bool stopped, const char *text)
{
	if (!json_object_get(data, vm))
		json_object_set_new(data, vm, json_string(text));
}

/* The health of QEMU or, if that is ok, a NIC that is cut off. strays: by the VM's name. */
static json_t *verb_show_health(const struct vm *vm, const json_t *strays, struct words *w)
{
	const char *own = vm_health_text(vm);
	json_t *stray = json_object_get(strays, vm->name);

	return stray && streq(own, "ok") ? json_incref(stray) : verb_show_word(w, own);
}

static bool verb_show_is_template(const struct vm *vm)
{
	return vm->file.have_conf && vm->file.conf.template;
}

static json_t *verb_show_overlay_count(const struct vm *vm)
{
	json_auto_t *names = verb_show_is_template(vm)
				     ? vm_overlays(vm->daemon->vms, vm->name, &vm->file.conf)
				     : NULL;

	return names ? json_integer((json_int_t)json_array_size(names)) : json_null();
}

/* What takes effect without a restart: of the file, if it can be read. */
static const struct conf_vm *verb_show_conf_live(const struct vm *vm)
{
	return vm->file.have_conf ? &vm->file.conf : verb_show_conf_now(vm);
}

static json_t *verb_show_tags(const struct vm *vm)
{
	const struct conf_list *tags = &verb_show_conf_live(vm)->tags;
	json_t *list = json_array();

	for (size_t i = 0; i < tags->n; i++)
		json_array_append_new(list, json_string(tags->item[i]));
	return list;
}

static json_t *verb_show_list_row(struct vm *vm, const json_t *strays, struct words *w)
{
	const struct conf_vm *c = verb_show_conf_now(vm);
	_cleanup_(free_ptr) char *reason = vm_reason_text(vm);

	return json_pack("[s, o, o, o, o, o, o, o, o, o, o, o, b, o, o]", vm->name,
		verb_show_word(w, vm_state_name(vm->st.state)),
		*reason ? json_string(reason) : verb_show_word(w, ""),
		verb_show_health(vm, strays, w), verb_show_word(w, vm_want_name(vm->st.want)),
		verb_show_if_known(vm, json_integer((json_int_t)c->cpus)),
		vm->mon.balloon ? json_integer(vm->mon.balloon)
				: verb_show_if_known(vm, json_integer((json_int_t)c->memory)),
		verb_address(verb_show_first_address(vm)), verb_show_uptime(vm),
		verb_show_if_known(vm, verb_show_word(w, verb_show_accel_text(vm))),
		verb_show_enabled(vm),
		vm->file.problems ? json_null() : verb_show_word(w, verb_show_enable(vm)),
		vm_outdated(vm), verb_show_overlay_count(vm), verb_show_tags(vm));
}

/* A pattern without wildcards is a name: an empty list would say that nothing is wrong with a VM that
 * does not exist. True: the client has been told. */
static bool verb_show_no_such(struct daemon *d, struct request *r, const char *pattern)
{
	const bool owner = request_role(r) == API_ROLE_OWNER;
	struct err e = ERR_INIT;
	const struct vm *vm;

	if (!pattern || strpbrk(pattern, "*?[\\"))
		return false;
	vm = vms_get(d->vms, pattern, &e);
	if (vm && (!owner || verb_owns(d, r, vm)))
		return false;
	if (owner) { /* does not learn the names of others' VMs */
		err_set(&e, ERR_NOT_FOUND, "no such VM: %s", pattern);
		err_hint(&e, "vmkeep list shows which VMs there are");
	}
	request_error(r, &e);
	return true;
}

void verb_list(struct daemon *d, struct request *r)
{
	const char *pattern = request_string(r, "pattern");
	bool running = request_bool(r, "running", false);
	json_t *rows;
	json_auto_t *strays = json_object();
	struct words words = { 0 };
	struct vm *vm;

	if (verb_show_no_such(d, r, pattern))
		return;
	if (request_bool(r, "problems", false)) {
		verb_list_problems(d, r);
		return;
	}
	rows = json_array();
	vms_refresh(d->vms);
	vms_close_idle(d->vms);
	health_kick(d->health);
	networks_strays(d->networks, NULL, verb_show_stray, strays);
	for (size_t i = 0; i < d->vms->n; i++) {
		vm = d->vms->vm[i];
		if (pattern && fnmatch(pattern, vm->name, 0) != 0)
			continue;
		/* a client with only the owner role sees its own VMs */
		if (request_role(r) == API_ROLE_OWNER && !verb_owns(d, r, vm))
			continue;
		if (!running || vm_state_has_process(vm->st.state))
			json_array_append_new(rows, verb_show_list_row(vm, strays, &words));
	}
	verb_show_words_release(&words);
	request_return(r, api_table(api_vm_row, rows));
}

static json_t *verb_show_addresses(struct vm *vm)
{
	const struct conf_vm *c = verb_show_conf_now(vm);
	json_t *rows = json_array();

	for (size_t i = 0; i < c->nics; i++) {
		const struct conf_nic *n = &c->nic[i];
		const struct identity_nic *known = NULL;
		uint32_t address;
		const bool seen =
			networks_address_seen(vm->daemon->networks, vm->name, n->id, &address);

		for (size_t k = 0; k < vm->identity.nics; k++)
			if (streq(vm->identity.nic[k].id, n->id))
				known = &vm->identity.nic[k];
		json_array_append_new(rows,
			json_pack("[s, s, o, o, b]", n->id, n->bridge ? n->bridge : n->network,
				n->mac.set ? verb_show_mac_text(n->mac.byte)
				: known	   ? verb_show_mac_text(known->mac)
					   : json_null(),
				n->bridge && n->address
					? json_stringn(n->address, strcspn(n->address, "/"))
					: verb_address(address),
				seen));
	}
	return api_table(api_address_row, rows);
}

void verb_ip(struct vm *vm, struct request *r)
{
	if (request_bool(r, "wait", false))
		verb_wait_for(
			r, vm, VM_GOAL_IP, request_time(r, "timeout", 0), verb_show_addresses);
	else
		request_return(r, verb_show_addresses(vm));
}

/* --- info --- */

static json_t *verb_show_disk_rows(const struct conf_vm *c)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];

		json_array_append_new(rows, json_pack("{s:s, s:s, s:s?, s:s?, s:b}", "disk", d->id,
						    "type", d->cdrom ? "cdrom" : "disk", "store",
						    d->path && d->path[0] != '/' ? d->store : NULL,
						    "path", d->path, "read_only", d->read_only));
	}
	return rows;
}

static json_t *verb_show_nic_rows(const struct vm *vm)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < vm->proc.nics; i++) {
		const struct network_nic *n = &vm->proc.nic[i].net;
		const struct tap *tap = &vm->proc.nic[i].tap;
		char name[IFNAMSIZ] = "";

		json_array_append_new(rows,
			json_pack("{s:s, s:s, s:o, s:o, s:s?, s:s}", "nic", n->nic, "network",
				n->bridge ? n->bridge : n->network, "mac",
				verb_show_mac_text(n->mac), "address",
				verb_address(networks_address_now(vm->daemon->networks, n)),
				"interface",
				tap->name[0] ? networks_tap_name(vm->daemon->networks, tap, name)
					     : name,
				"link", n->link ? "up" : "down"));
	}
	return rows;
}

static void verb_show_add_process(json_t *o, struct vm *vm)
{
	const char *command;
	double age;

	json_object_update_new(
		o, json_pack("{s:i, s:f, s:o, s:o, s:I, s:o, s:o*}", "pid", (int)vm->proc.pid,
			   "started", clock_shown(vm->proc.started, vm->proc.started_boot),
			   "uptime", verb_show_uptime(vm), "accel",
			   verb_show_if_known(vm, json_string(conf_accel_name(vm->proc.accel))),
			   "uid", (json_int_t)vm->identity.uid, "resets",
			   verb_show_if_known(vm, json_integer(vm->log.resets.n)), "last_reset",
			   vm->log.resets.n ? json_real(clock_shown(vm->log.resets.last,
						      vm->log.resets.last_boot))
					    : NULL));
	vm_parts_info(vm, o);
	command = vm->mon.qmp ? qmp_oldest_call(vm->mon.qmp, &age) : NULL;
	json_object_update_new(o,
		json_pack("{s:o*, s:o*, s:o*, s:o*, s:o*, s:o}", "unresponsive_since",
			vm->mon.unresponsive > 0 ? json_real(clock_shown(vm->mon.unresponsive_wall,
							   vm->mon.unresponsive))
						 : NULL,
			"unresponsive_reason", json_string(vm->mon.trouble), "waits_for",
			command && age > 1 ? json_sprintf("%s for %.0f s", command, age) : NULL,
			"outdated", vm_outdated(vm) ? json_true() : NULL, "busy",
			json_string(vm->busy), "nics", verb_show_nic_rows(vm)));
}

static void verb_show_add_overlays(json_t *o, const struct vm *vm)
{
	json_t *names = vm_overlays(vm->daemon->vms, vm->name, verb_show_conf_now(vm));

	if (verb_show_is_template(vm))
		json_object_set_new(o, "template", json_true());
	if (json_array_size(names))
		json_object_set(o, "overlays", names);
	json_decref(names);
}

static void verb_show_count_change(void *data, const struct conf_change *c)
{
	unsigned *n = data;

	++*n;
}

void verb_info(struct vm *vm, struct request *r)
{
	const struct conf_vm *c;
	_cleanup_(free_ptr) char *reason = vm_reason_text(vm);
	json_auto_t *strays = json_object();
	struct words words = { 0 };
	unsigned changes = 0;
	struct err e = ERR_INIT;
	json_t *o;

	health_kick(vm->daemon->health);
	if (request_bool(r, "security", false)) {
		request_answer(r, security_report(vm, &e), &e);
		return;
	}
	c = verb_show_conf_now(vm);
	networks_strays(vm->daemon->networks, vm->name, verb_show_stray, strays);
	o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:f, s:n, s:s?, s:o*, s:s, s:o, s:o, s:s?, s:o}",
		"name", vm->name, "state", vm_state_name(vm->st.state), "reason", reason, "want",
		vm_want_name(vm->st.want), "health", verb_show_health(vm, strays, &words), "since",
		clock_shown(vm->st.since, vm->st.since_boot), "pid", "description",
		verb_show_conf_live(vm)->description, "tags",
		verb_show_conf_live(vm)->tags.n ? verb_show_tags(vm) : NULL, "uuid",
		c->uuid ? c->uuid : vm->identity.uuid, "cpus",
		verb_show_if_known(vm, json_integer((json_int_t)c->cpus)), "memory",
		verb_show_if_known(vm, json_integer((json_int_t)c->memory)), "machine",
		vm->identity.machine || verb_show_is_unknown(vm) ? vm->identity.machine
								 : c->machine,
		"disks", verb_show_if_known(vm, verb_show_disk_rows(c)));
	verb_show_words_release(&words);
	verb_show_add_overlays(o, vm);
	if (vm_state_has_process(vm->st.state)) {
		verb_show_add_process(o, vm);
		if (vm->file.have_conf && !vm->proc.conf_lost)
			conf_vm_diff(
				&vm->proc.conf, &vm->file.conf, verb_show_count_change, &changes);
		json_object_set_new(o, "changes",
			vm->file.have_conf && !vm->file.problems
				? verb_show_if_known(vm, json_integer(changes))
				: json_null());
	} else if (vm->start_error) {
		json_object_set_new(o, "error", json_string(vm->start_error->text));
	}
	json_object_update_new(o, json_pack("{s:o, s:s?, s:o*, s:o*, s:s*}", "enabled",
					  verb_show_enabled(vm), "enable", verb_show_enable(vm),
					  "orphan", vm->file.orphan ? json_true() : NULL,
					  "problems", json_string(vm->file.problems), "tainted",
					  c->args.n || c->binary ? "[QEMU]" : NULL));
	request_return(r, o);
}
