/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/nic.h"

#include <stdio.h>

#include "base/mem.h"

void vm_free_nics(struct vm *vm)
{
	for (size_t i = 0; i < vm->proc.nics; i++) {
		free(vm->proc.nic[i].id);
		free(vm->proc.nic[i].network);
		free(vm->proc.nic[i].bridge);
		free(vm->proc.nic[i].hostname);
	}
	free(vm->proc.nic);
	vm->proc.nic = NULL;
	vm->proc.nics = 0;
}

struct network_nic vm_network_nic(const struct vm *vm, const struct vm_nic *n)
{
	struct network_nic nic = { .vm = vm->name,
		.nic = n->id,
		.network = n->network,
		.bridge = n->bridge,
		.hostname = n->hostname,
		.address = n->address,
		.fixed = n->fixed,
		.link = n->link };

	memcpy(nic.mac, n->mac, sizeof nic.mac);
	return nic;
}

json_t *vm_nics_json(const struct vm *vm)
{
	json_t *nics = json_array();

	for (size_t i = 0; i < vm->proc.nics; i++) {
		const struct vm_nic *n = &vm->proc.nic[i];

		json_array_append_new(nics,
			json_pack("{s:s, s:s, s:i, s:s?, s:s?, s:s, s:I, s:b, s:b}", "id", n->id,
				"ifname", n->tap.name, "ifindex", n->tap.index, "network",
				n->network, "bridge", n->bridge, "hostname", n->hostname, "address",
				(json_int_t)n->address, "fixed", n->fixed, "link", n->link));
	}
	return nics;
}

void vm_nics_read(struct vm *vm, const json_t *nics)
{
	size_t i;
	json_t *j;

	vm_free_nics(vm);
	vm->proc.nics = json_array_size(nics);
	vm->proc.nic = xcalloc(vm->proc.nics, sizeof *vm->proc.nic);
	json_array_foreach (nics, i, j) {
		struct vm_nic *n = &vm->proc.nic[i];
		const struct identity_nic *known;
		const char *id = json_string_value(json_object_get(j, "id"));
		const char *ifname = json_string_value(json_object_get(j, "ifname"));

		n->id = xstrdup(id ? id : "");
		snprintf(n->tap.name, sizeof n->tap.name, "%s", ifname ? ifname : "");
		n->tap.index = (int)json_integer_value(
			json_object_get(j, "ifindex")); /* 0: an older one's */
		n->network = xstrdup(json_string_value(json_object_get(j, "network")));
		n->bridge = xstrdup(json_string_value(json_object_get(j, "bridge")));
		n->hostname = xstrdup(json_string_value(json_object_get(j, "hostname")));
		n->address = (uint32_t)json_integer_value(json_object_get(j, "address"));
		n->fixed = json_is_true(json_object_get(j, "fixed"));
		n->link = json_is_true(json_object_get(j, "link"));
		known = identity_nic(&vm->identity, n->id);
		if (known)
			memcpy(n->mac, known->mac, ETH_ALEN);
	}
}
