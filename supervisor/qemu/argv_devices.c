/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "supervisor/qemu/argv_build.h"

enum { UARTS_MAX = 4 };

static void devices_add_serial_socket(struct argv_build *b, size_t i)
{
	const struct conf_serial *s = &b->c->serial[i];
	char log[64] = "";

	if (b->ctx->paste) {
		if (i) /* the first is on the terminal */
			argv_option(b, "-chardev", "null,id=char-%s", s->id);
		return;
	}
	if (s->log) {
		snprintf(log, sizeof log, ",logfile=/dev/fdset/%zu,logappend=on", i + 1);
		argv_option(b, "-add-fd", "set=%zu,fd=%d", i + 1, argv_fd_serial_log(i));
	}
	argv_option(b, "-chardev", "socket,id=char-%s,fd=%d,server=on,wait=off%s", s->id,
		argv_fd_serial(i), log);
}

static void devices_add_serials(struct argv_build *b)
{
	unsigned uarts = 0, consoles = 0;

	for (size_t i = 0; i < b->c->serials; i++) {
		const struct conf_serial *s = &b->c->serial[i];
		bool virtio = s->type == CONF_SERIAL_VIRTIO;

		devices_add_serial_socket(b, i);
		if (virtio && consoles == 0)
			argv_json(b, "-device", device_virtio_serial(&b->bus, &b->e));
		argv_json(b, "-device", device_serial(s, virtio ? consoles++ : uarts++));
	}
	if (uarts > UARTS_MAX) {
		err_set(&b->e, ERR_INVALID_CONFIG,
			"a machine has %d serial ports, but %u are configured; use Type=virtio for some",
			UARTS_MAX, uarts);
		argv_failed(b);
	}
}

/* A file, as for serial output: messages sent while no daemon runs are not lost. */
static void devices_add_notify(struct argv_build *b)
{
	if (b->ctx->paste) {
		argv_option(b, "-chardev", "null,id=notify");
	} else {
		argv_option(b, "-add-fd", "set=" ARGV_FDSET_NOTIFY ",fd=%d", ARGV_FD_NOTIFY);
		argv_option(b, "-chardev",
			"file,id=notify,path=/dev/fdset/" ARGV_FDSET_NOTIFY ",append=on");
	}
	argv_json(b, "-device", device_notify());
}

static void devices_add_guest_ports(struct argv_build *b)
{
	const struct conf_vm *c = b->c;
	bool notify = argv_wants_notify(c), has_controller = false;

	for (size_t i = 0; i < c->serials; i++)
		has_controller |= c->serial[i].type == CONF_SERIAL_VIRTIO;
	if ((c->agent || notify) && !has_controller)
		argv_json(b, "-device", device_virtio_serial(&b->bus, &b->e));
	if (c->agent) {
		if (b->ctx->paste)
			argv_option(b, "-chardev", "null,id=agent");
		else
			argv_option(b, "-chardev", "socket,id=agent,fd=%d,server=on,wait=off",
				ARGV_FD_AGENT);
		argv_json(b, "-device", device_agent());
	}
	if (notify)
		devices_add_notify(b);
}

/* Disks and NICs */

/* The position in [Boot] Order, from 1; without Order: disks, CDs, NICs as listed. 0: not
 * bootable. */
static unsigned devices_boot_index(const struct conf_vm *c, const char *id, size_t by_default)
{
	for (size_t i = 0; i < c->order.n; i++)
		if (streq(c->order.item[i], id))
			return (unsigned)i + 1;
	return c->order.n ? 0 : (unsigned)by_default + 1;
}

static void devices_add_image(struct argv_build *b, const struct conf_disk *d)
{
	json_t *top = device_disk_node(d, b->bus.id, b->ctx->image_dir, &b->e);

	/* vmkeep-jail locks what is read only; without it QEMU has to */
	for (json_t *n = top; b->ctx->paste && n; n = json_object_get(n, "backing"))
		json_object_set_new(json_object_get(n, "file"), "locking", json_string("on"));
	argv_json(b, "-blockdev", top);
}

/* Adds back ends at once and collects front ends, whose root ports must come before them. */
static void devices_add_drives(struct argv_build *b, json_t *front)
{
	const struct conf_vm *c = b->c;
	size_t plain = 0, cds = 0, disks = 0;

	for (size_t i = 0; i < c->disks; i++)
		disks += !c->disk[i].cdrom;
	for (size_t i = 0; b->r == 0 && i < c->disks; i++) {
		const struct conf_disk *d = &c->disk[i];
		size_t nth = d->cdrom ? disks + cds++ : plain++;
		json_t *dev = device_disk(d, &b->bus, devices_boot_index(c, d->id, nth), &b->e);

		b->place = &d->place;
		json_array_append_new(front, dev);
		if (!dev)
			argv_failed(b);
		argv_json(b, "-object", device_disk_iothread(d));
		if (d->path)
			devices_add_image(b, d);
	}
	b->place = NULL;
}

static void devices_add_nics(struct argv_build *b, json_t *front)
{
	const struct conf_vm *c = b->c;

	for (size_t i = 0; b->r == 0 && i < c->nics; i++) {
		json_t *dev = device_nic(&c->nic[i], &b->bus,
			devices_boot_index(c, c->nic[i].id, c->disks + i), &b->e);
		char fd[16];

		b->place = &c->nic[i].place;
		json_array_append_new(front, dev);
		if (!dev)
			argv_failed(b);
		snprintf(fd, sizeof fd, "%d", argv_fd_tap(i));
		argv_json(b, "-netdev", device_netdev(&c->nic[i], b->ctx->paste ? NULL : fd));
	}
	b->place = NULL;
}

/* After all disks and NICs, so that none of theirs moves in a guest that counts. */
static void devices_add_seed(struct argv_build *b, json_t *front)
{
	json_t *dev;

	if (b->r < 0 || b->ctx->paste || !conf_vm_wants_seed(b->c))
		return;
	dev = device_seed(&b->bus, &b->e);
	json_array_append_new(front, dev);
	if (!dev)
		argv_failed(b);
	argv_option(b, "-add-fd", "set=" ARGV_FDSET_SEED ",fd=%d", ARGV_FD_SEED);
	argv_json(b, "-blockdev", device_seed_node("/dev/fdset/" ARGV_FDSET_SEED));
}

static void devices_add_ports(struct argv_build *b)
{
	unsigned n = device_ports_used(b->bus.id) + DEVICE_SPARE_PORTS;

	if (b->bus.board == DEVICE_PC)
		return;
	for (unsigned i = 1; i <= n && i <= DEVICE_PORTS_MAX; i++)
		argv_json(b, "-device", device_root_port(i));
}

static void devices_add_video(struct argv_build *b)
{
	argv_json(b, "-device", device_video(b->c, &b->bus));
	if (b->c->display == CONF_DISPLAY_NONE || !b->c->tablet)
		return;
	argv_json(b, "-device", device_usb(&b->bus, &b->e));
	argv_json(b, "-device", device_tablet());
}

static void devices_add_balloon(struct argv_build *b)
{
	if (b->c->balloon)
		argv_json(b, "-device", device_balloon(b->c, &b->bus, &b->e));
}

static void devices_add_rng(struct argv_build *b)
{
	if (streq(b->c->rng_source, "none"))
		return;
	argv_json(b, "-object", device_rng_source(b->c));
	argv_json(b, "-device", device_rng(b->c, &b->bus, &b->e));
}

static void devices_add_pvpanic(struct argv_build *b)
{
	argv_json(b, "-device", device_pvpanic(&b->bus, &b->e));
}

static void devices_add_watchdog(struct argv_build *b)
{
	if (b->c->watchdog ==
		CONF_WATCHDOG_ITCO) /* part of the chipset; older machines disable its reset */
		argv_option(b, "-global", "driver=ICH9-LPC,property=noreboot,value=off");
	else if (b->c->watchdog == CONF_WATCHDOG_I6300ESB)
		argv_json(b, "-device", device_watchdog(&b->bus, &b->e));
}

static void devices_add_generation(struct argv_build *b)
{
	argv_json(b, "-device", device_generation(b->c, b->bus.id));
}

static void devices_add_vsock(struct argv_build *b)
{
	char fd[16];

	snprintf(fd, sizeof fd, "%d", ARGV_FD_VSOCK);
	if (b->c->vsock_cid)
		argv_json(b, "-device",
			device_vsock(b->c, b->ctx->paste ? NULL : fd, &b->bus, &b->e));
}

/* Optional devices. A new VM assigns its slots in this order, so add new rows at the end. */
static void (*const parts[])(struct argv_build *b) = {
	devices_add_serials,
	devices_add_video,
	devices_add_balloon,
	devices_add_rng,
	devices_add_pvpanic,
	devices_add_guest_ports, /* after the above: a later virtio-serial must not move those */
	devices_add_watchdog,
	devices_add_generation,
	devices_add_vsock,
};

/* Disks and NICs get their slots first, before optional devices. */
void argv_devices(struct argv_build *b)
{
	json_t *front = json_array(), *dev;
	size_t i;

	devices_add_drives(b, front);
	devices_add_nics(b, front);
	devices_add_seed(b, front);
	devices_add_ports(b);
	if (argv_wants_scsi(b->c))
		argv_json(b, "-device", device_scsi_controller(&b->bus, &b->e));
	json_array_foreach (front, i, dev)
		argv_json(b, "-device", json_incref(dev));
	json_decref(front);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i](b);
}
