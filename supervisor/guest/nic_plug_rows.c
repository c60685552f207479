/* SPDX-License-Identifier: MIT */
/* What the records and the configuration of the process say of a NIC that comes or goes. */
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/guest/nic_plug_private.h"
#include "supervisor/start/start.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/nic.h"
#include "supervisor/vm/record.h"

struct conf_nic *nic_plug_conf(struct vm *vm, const char *id)
{
	for (size_t i = 0; i < vm->proc.conf.nics; i++)
		if (streq(vm->proc.conf.nic[i].id, id))
			return &vm->proc.conf.nic[i];
	return NULL;
}

struct vm_nic *nic_plug_nic(struct vm *vm, const char *id)
{
	for (size_t i = 0; i < vm->proc.nics; i++)
		if (streq(vm->proc.nic[i].net.nic, id))
			return &vm->proc.nic[i];
	return NULL;
}

void nic_plug_copy(struct conf_nic *to, const struct conf_nic *from, struct arena *a)
{
	const char **dns = arena_alloc(a, (from->dns.n + 1) * sizeof *dns);

	*to = *from;
	to->place = (struct conf_place){ 0 };
	to->id = arena_strdup(a, from->id);
	to->network = arena_strdup(a, from->network);
	to->bridge = arena_strdup(a, from->bridge);
	to->address = arena_strdup(a, from->address);
	to->gateway = arena_strdup(a, from->gateway);
	to->hostname = arena_strdup(a, from->hostname);
	for (size_t i = 0; i < from->dns.n; i++)
		dns[i] = arena_strdup(a, from->dns.item[i]);
	to->dns.item = dns;
}

void nic_plug_note(struct vm *vm, const char *device, const char *what)
{
	struct err e = ERR_INIT;

	if (vm->proc.run_fd >= 0 && !vm->proc.conf_lost && vm_record_save_conf(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
	change_note(vm, device,
		what ? json_pack("{s:s, s:s, s:b}", "kind", NIC_PLUG_KIND, "step", what,
			       CHANGE_ARRIVES, streq(what, "in"))
		     : NULL);
}

int nic_plug_save(struct vm *vm, keep_fn *done, void *data, struct err *e)
{
	_cleanup_(free_ptr) char *path = vm_path(vm->name, "identity.json"), *text = NULL;
	json_auto_t *doc = identity_json(&vm->identity);

	text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	if (!text)
		return err_set(e, ERR_FAILED, "its identity cannot be written as JSON");
	return keep(vm->daemon, path, text, done, data, e);
}

void nic_plug_list(struct vm *vm, const struct conf_nic *nic)
{
	struct conf_vm *c = &vm->proc.conf;
	struct conf_nic *all = arena_alloc(&c->arena, (c->nics + 1) * sizeof *all);

	if (c->nics)
		memcpy(all, c->nic, c->nics * sizeof *all);
	nic_plug_copy(&all[c->nics], nic, &c->arena);
	c->nic = all;
	c->nics++;
	start_make_nic(vm, &all[c->nics - 1]);
}

/* The identity keeps its MAC, address and slot, as of any device that the guest had. */
void nic_plug_unlist(struct vm *vm, const char *id, const char *device)
{
	struct conf_nic *c = nic_plug_conf(vm, id);
	struct vm_nic *n = nic_plug_nic(vm, id);

	if (n) {
		networks_leave(vm->daemon->networks, vm->name, id, &n->tap);
		memmove(n, n + 1, (size_t)(vm->proc.nic + vm->proc.nics - (n + 1)) * sizeof *n);
		vm->proc.nics--;
	}
	if (c) {
		memmove(c, c + 1,
			(size_t)(vm->proc.conf.nic + vm->proc.conf.nics - (c + 1)) * sizeof *c);
		vm->proc.conf.nics--;
	}
	nic_plug_note(vm, device, NULL);
}
