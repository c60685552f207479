/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/device.h"

#include <inttypes.h>
#include <stdio.h>

struct range { /* of identity slots, see device.h */
	unsigned first, end;
};

static const struct range pc_slots = { 3, 32 };
static const struct range q35_slots = { 16, 29 };
static const struct range port_slots = { 33, 33 + DEVICE_PORTS_MAX };

static bool device_within(unsigned slot, struct range r)
{
	return slot >= r.first && slot < r.end;
}

unsigned device_ports_used(const struct identity *id)
{
	unsigned used = 0;

	for (size_t i = 0; i < id->slots; i++)
		if (device_within(id->slot[i].slot, port_slots) &&
			id->slot[i].slot - port_slots.first >= used)
			used = id->slot[i].slot - port_slots.first + 1;
	return used;
}

json_t *device_root_port(unsigned port)
{
	unsigned n = port - 1;
	char id[16], addr[16];
	json_t *o;

	snprintf(id, sizeof id, "rp%u", port);
	snprintf(addr, sizeof addr, "%x.%x", 2 + n / 8, n % 8);
	o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "driver", "pcie-root-port", "id", id, "bus",
		"pcie.0", "addr", addr, "chassis", (json_int_t)port, "slot", (json_int_t)port);
	if (n % 8 == 0)
		json_object_set_new(o, "multifunction", json_true());
	return o;
}

json_t *device_place(json_t *dev /* stolen */, struct device_bus *bus, const char *name, bool plug,
	struct err *e)
{
	struct range r = bus->board == DEVICE_PC ? pc_slots : plug ? port_slots : q35_slots;
	unsigned slot = identity_slot(bus->id, name, r.first, r.end);
	char where[16], addr[8] = "0";

	if (!device_within(slot, r)) {
		json_decref(dev);
		err_set(e, ERR_NO_RESOURCES, "no free PCI slot for '%s'", name);
		err_hint(e, "put disks on Bus=scsi%s",
			bus->board == DEVICE_PC ? ", or use Machine=q35, which has more slots"
						: "");
		return NULL;
	}
	if (bus->board == DEVICE_Q35 && plug)
		snprintf(where, sizeof where, "rp%u", slot - port_slots.first + 1);
	else
		snprintf(where, sizeof where, bus->board == DEVICE_PC ? "pci.0" : "pcie.0");
	if (bus->board == DEVICE_PC || !plug)
		snprintf(addr, sizeof addr, "%x", slot);
	json_object_set_new(dev, "bus", json_string(where));
	json_object_set_new(dev, "addr", json_string(addr));
	return dev;
}
