/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/nic.h"

void vm_free_nics(struct vm *vm)
{
	arena_release(&vm->proc.nic_names);
	free_ptr(&vm->proc.nic);
	vm->proc.nics = 0;
}

struct vm_nic *vm_add_nic(struct vm *vm, const struct network_nic *as)
{
	struct arena *names = &vm->proc.nic_names;
	struct vm_nic *n;

	vm->proc.nic = xrealloc(vm->proc.nic, vm->proc.nics + 1, sizeof *vm->proc.nic);
	n = &vm->proc.nic[vm->proc.nics++];
	*n = (struct vm_nic){ .net = *as };
	n->net.vm = vm->name;
	n->net.nic = arena_strdup(names, as->nic);
	n->net.network = arena_strdup(names, as->network);
	n->net.bridge = arena_strdup(names, as->bridge);
	n->net.hostname = arena_strdup(names, as->hostname);
	return n;
}

json_t *vm_nics_json(const struct vm *vm)
{
	json_t *nics = json_array();

	for (size_t i = 0; i < vm->proc.nics; i++) {
		const struct network_nic *n = &vm->proc.nic[i].net;
		const struct tap *tap = &vm->proc.nic[i].tap;

		json_array_append_new(nics,
			json_pack("{s:s, s:s, s:i, s:s?, s:s?, s:s, s:I, s:b, s:b}", "id", n->nic,
				"ifname", tap->name, "ifindex", tap->index, "network", n->network,
				"bridge", n->bridge, "hostname", n->hostname, "address",
				(json_int_t)n->address, "fixed", n->fixed, "link", n->link));
	}
	return nics;
}

void vm_nics_read(struct vm *vm, const json_t *nics)
{
	size_t i;
	json_t *j;

	vm_free_nics(vm);
	json_array_foreach (nics, i, j) {
		const char *id = json_string_value(json_object_get(j, "id"));
		const char *ifname = json_string_value(json_object_get(j, "ifname"));
		struct network_nic as = { .nic = id ? id : "",
			.network = json_string_value(json_object_get(j, "network")),
			.bridge = json_string_value(json_object_get(j, "bridge")),
			.hostname = json_string_value(json_object_get(j, "hostname")),
			.address = (uint32_t)json_integer_value(json_object_get(j, "address")),
			.fixed = json_is_true(json_object_get(j, "fixed")),
			.link = json_is_true(json_object_get(j, "link")) };
		const struct identity_nic *known = identity_nic(&vm->identity, as.nic);
		struct tap *tap;

		if (known)
			memcpy(as.mac, known->mac, ETH_ALEN);
		tap = &vm_add_nic(vm, &as)->tap;
		snprintf(tap->name, sizeof tap->name, "%s", ifname ? ifname : "");
		/* 0: record of an older daemon */
		tap->index = (int)json_integer_value(json_object_get(j, "ifindex"));
	}
}
