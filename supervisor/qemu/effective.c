/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/effective.h"

#include <inttypes.h>
#include <limits.h>

#include "base/text.h"
#include "supervisor/qemu/firmware.h"

/* Cores, else sockets, take what is left. */
void effective_topology(
	const struct conf_vm *c, uint64_t *sockets, uint64_t *cores, uint64_t *threads)
{
	*sockets = c->sockets;
	*cores = c->cores;
	*threads = c->threads;
	if (!*cores) {
		*sockets = *sockets ? *sockets : 1;
		*threads = *threads ? *threads : 1;
		*cores = c->cpus / (*sockets * *threads);
	} else if (!*sockets) {
		*threads = *threads ? *threads : 1;
		*sockets = c->cpus / (*cores * *threads);
	} else {
		*threads = c->cpus / (*sockets * *cores);
	}
}

static void effective_machine(
	struct conf_vm *c, const struct identity *id, const char *machine, enum conf_accel accel)
{
	uint64_t sockets, cores, threads;

	c->accel = accel;
	if (machine)
		c->machine = arena_strdup(&c->arena, machine);
	if (id->uuid[0])
		c->uuid = arena_strdup(&c->arena, id->uuid);
	if (!c->cpu_model && accel != CONF_ACCEL_AUTO)
		c->cpu_model = accel == CONF_ACCEL_KVM ? "host" : "max";
	effective_topology(c, &sockets, &cores, &threads);
	c->sockets = sockets;
	c->cores = cores;
	c->threads = threads;
	if (!c->memory_max)
		c->memory_max = c->memory;
	c->firmware = firmware_wanted(c) ? CONF_FIRMWARE_UEFI : CONF_FIRMWARE_BIOS;
	c->vmgenid = id->generation[0] && c->vmgenid != CONF_VMGENID_NO ? CONF_VMGENID_YES
									: CONF_VMGENID_NO;
	if (c->vsock_cid && device_cid(c, id))
		c->vsock_cid = arena_printf(&c->arena, "%" PRIu32, device_cid(c, id));
}

static void effective_nic(struct conf_vm *c, struct conf_nic *n, const struct identity *id)
{
	const struct identity_nic *known = identity_nic(id, n->id);

	if (!known)
		return;
	if (!n->hostname && known->hostname)
		n->hostname = arena_strdup(&c->arena, known->hostname);
	if (!n->mac.set) {
		memcpy(n->mac.byte, known->mac, sizeof n->mac.byte);
		n->mac.set = true;
	}
	if (!n->address && known->address && n->network && known->network &&
		streq(known->network, n->network))
		n->address = arena_printf(&c->arena, "%u.%u.%u.%u", known->address >> 24,
			known->address >> 16 & 255, known->address >> 8 & 255,
			known->address & 255);
}

/* Order= with the default made explicit: disks, CDs, NICs, each as listed. */
static void effective_order(struct conf_vm *c)
{
	const char **item;

	if (c->order.n || !(c->disks + c->nics))
		return;
	item = arena_alloc(&c->arena, (c->disks + c->nics) * sizeof *item);
	for (int cd = 0; cd < 2; cd++)
		for (size_t i = 0; i < c->disks; i++)
			if (c->disk[i].cdrom == (cd == 1))
				item[c->order.n++] = c->disk[i].id;
	for (size_t i = 0; i < c->nics; i++)
		item[c->order.n++] = c->nic[i].id;
	c->order.item = item;
}

void effective_fill(struct conf_vm *c, const struct identity *id, const char *machine,
	enum conf_accel accel, const char *image_dir)
{
	enum device_board board;

	if (!device_board_of(machine ? machine : c->machine, &board))
		board = streq(c->machine, "pc") ? DEVICE_PC : DEVICE_Q35;
	effective_machine(c, id, machine, accel);
	for (size_t i = 0; i < c->disks; i++)
		device_disk_resolve(&c->disk[i], id, image_dir, board, &c->arena);
	for (size_t i = 0; i < c->nics; i++)
		effective_nic(c, &c->nic[i], id);
	effective_order(c);
}
