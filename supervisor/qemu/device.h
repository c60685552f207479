/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/device.h - each device of a VM as QEMU's JSON
 *
 * One function per device. Its only side effect is to assign the device's slot, once, in the
 * identity. The same JSON works for -device and device_add, and for -blockdev and blockdev-add.
 * Names: disk "disk-ID" or "cd-ID" with the nodes "d-ID" (format) and "f-ID" (file), the n-th file
 * of its backing chain "dn-ID" and "fn-ID"; "nic-ID" with netdev "net-ID"; "serial-ID" with
 * chardev "char-ID"; "agent0" with chardev "agent", "notify0" with "notify". QEMU limits node
 * names to 31 bytes: a longer one is cut and made unique by a hash.
 *
 * Every device has an explicit address, from the identity. Slot numbers:
 *
 *    3-31   pc    device on pci.0
 *   16-28   q35   device on pcie.0 that is never unplugged
 *   33-96   q35   behind root port "rp1".."rp64", so that it can be unplugged; the ports are
 *                 functions of devices 2-9 of pcie.0
 *  100-105  q35   port of the AHCI controller
 *  106-109  pc    unit of the PIIX IDE controller
 *  110-249        target of the SCSI controller
 *
 * All functions return a new reference, or NULL with e set. Operator input is known to be UTF-8
 * (checked by conf/).
 */
#ifndef SUPERVISOR_QEMU_DEVICE_H
#define SUPERVISOR_QEMU_DEVICE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "conf/vm.h"
#include "supervisor/qemu/identity.h"

enum device_board { DEVICE_Q35, DEVICE_PC };
enum { DEVICE_PORTS_MAX = 64, DEVICE_SPARE_PORTS = 4, DEVICE_NODE_MAX = 32 };

/* From a versioned machine name; false: a board that we do not support. */
bool device_board_of(const char *machine, enum device_board *board);

struct device_bus { /* assigns device addresses; new slots are saved in the identity */
	enum device_board board;
	struct identity *id;
};

/* Sets the bus and address of a PCI device. plug: it may be unplugged later. name: its key in the
 * identity. */
json_t *device_place(json_t *dev /* stolen */, struct device_bus *bus, const char *name, bool plug,
	struct err *e);
json_t *device_root_port(unsigned port); /* from 1 */
/* The number of root ports in use, that is, the highest one assigned in the identity. */
unsigned device_ports_used(const struct identity *id);

/* Names */

const char *device_node_name(const struct conf_disk *d, char buf[DEVICE_NODE_MAX]); /* "d-ID" */
const char *device_disk_id(const struct conf_disk *d, char buf[80]); /* "disk-ID", "cd-ID" */
const char *device_nic_id(const struct conf_nic *n, char buf[80]);   /* "nic-ID" */

/* The VM's vsock(7) CID, 0: none. */
uint32_t device_cid(const struct conf_vm *c, const struct identity *id);

/* Files */

/* The absolute form of an operator's path; buf has PATH_MAX bytes. */
const char *device_path(const char *path, const char *image_dir, char *buf);
/* The directory of the disk's relative paths. */
const char *device_disk_dir(const struct conf_disk *d, const char *image_dir);
/* The absolute form of the disk's Path=, or of one of its Base=. */
const char *device_disk_path(
	const struct conf_disk *d, const char *path, const char *image_dir, char *buf);
/* Decided by the name alone, without opening it. */
bool device_path_is_block(const char *path);
/* From the identity, else from Format=. */
enum conf_format device_disk_format(const struct conf_disk *d, const struct identity *id);
/* Replaces every auto by what it stands for. Strings go into the arena. */
void device_disk_resolve(struct conf_disk *d, const struct identity *id, const char *image_dir,
	enum device_board board, struct arena *a);

/* Disks */

/* Is this file the disk, or one of its bases? */
bool device_disk_has(const struct conf_disk *d, const char *image_dir, const char *path);
/* For blockdev-add: the whole backing chain. Not for an empty CD. */
json_t *device_disk_node(
	const struct conf_disk *d, const struct identity *id, const char *image_dir, struct err *e);
/* The same for a CD that is changed: the next one is there, as the second or the first, before the
 * last one goes. */
json_t *device_medium_node(const struct conf_disk *d, bool second, const struct identity *id,
	const char *image_dir, struct err *e);
const char *device_medium_name(const struct conf_disk *d, bool second, char buf[DEVICE_NODE_MAX]);
/* For object-add; NULL without an error if this disk has no iothread. */
json_t *device_disk_iothread(const struct conf_disk *d);
/* For device_add; bootindex 0: not set. */
json_t *device_disk(
	const struct conf_disk *d, struct device_bus *bus, unsigned bootindex, struct err *e);
/* The two flash images of UEFI: nodes "pflash0" and "pflash1". */
json_t *device_flash_node(unsigned n, const char *path, enum conf_format format, bool write);

/* The image for cloud-init: node "seed", from a descriptor, and the disk "seed0" that the guest sees.
 * On virtio, as kernels for clouds have no driver for anything else. */
json_t *device_seed_node(const char *path);
json_t *device_seed(struct device_bus *bus, struct err *e);

/* NICs */

/* For netdev_add. fd: number or name of a tap's fd; NULL: QEMU's own user-mode network. */
json_t *device_netdev(const struct conf_nic *n, const char *fd);
json_t *device_nic(
	const struct conf_nic *n, struct device_bus *bus, unsigned bootindex, struct err *e);

/* The rest; a VM has at most one of each, except serial ports. */

json_t *device_scsi_controller(struct device_bus *bus, struct err *e);
json_t *device_balloon(const struct conf_vm *c, struct device_bus *bus, struct err *e);
json_t *device_rng_source(const struct conf_vm *c); /* -object */
json_t *device_rng(const struct conf_vm *c, struct device_bus *bus, struct err *e);
json_t *device_pvpanic(struct device_bus *bus, struct err *e);
json_t *device_watchdog(struct device_bus *bus, struct err *e); /* an i6300esb */
/* NULL: none; not on a PCI bus */
json_t *device_generation(const struct conf_vm *c, const struct identity *id);
/* fd: number of an fd of /dev/vhost-vsock; NULL: QEMU opens it. */
json_t *device_vsock(
	const struct conf_vm *c, const char *fd, struct device_bus *bus, struct err *e);
json_t *device_video(const struct conf_vm *c, const struct device_bus *bus); /* NULL: none */
json_t *device_usb(struct device_bus *bus, struct err *e);
json_t *device_tablet(void);
json_t *device_virtio_serial(struct device_bus *bus, struct err *e);
json_t *device_serial(const struct conf_serial *s, unsigned index); /* index: per type */
json_t *device_agent(void);  /* on the virtio serial controller */
json_t *device_notify(void); /* likewise */

#endif
