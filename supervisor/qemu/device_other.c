/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "base/text.h"
#include "supervisor/qemu/device.h"

/* NICs */

const char *device_nic_id(const struct conf_nic *n, char buf[80])
{
	snprintf(buf, 80, "nic-%s", n->id);
	return buf;
}

json_t *device_netdev(const struct conf_nic *n, const char *fd)
{
	if (fd) /* QEMU wants the number as a string */
		return json_pack("{s:s, s:s+, s:s}", "type", "tap", "id", "net-", n->id, "fd", fd);
	return json_pack("{s:s, s:s+}", "type", "user", "id", "net-", n->id);
}

json_t *device_nic(
	const struct conf_nic *n, struct device_bus *bus, unsigned bootindex, struct err *e)
{
	/* clang-format off */
	static const struct {
		const char *driver;
		bool express; /* works behind a PCI Express port */
	} model[] = {
		[CONF_NIC_VIRTIO] = {"virtio-net-pci", true },
		[CONF_NIC_E1000] = { "e1000",	      false},
		[CONF_NIC_E1000E] = { "e1000e",	true },
		[CONF_NIC_RTL8139] = { "rtl8139",	  false},
	};
	/* clang-format on */
	_Static_assert(ARRAY_SIZE(model) == CONF_NIC_MODELS, "a Model= has no driver");
	const struct identity_nic *known = identity_nic(bus->id, n->id);
	const uint8_t *m = n->mac.set || !known ? n->mac.byte : known->mac;
	char id[80], mac[TEXT_MAC];
	json_t *dev;

	dev = json_pack("{s:s, s:s, s:s+, s:s}", "driver", model[n->model].driver, "id",
		device_nic_id(n, id), "netdev", "net-", n->id, "mac", text_mac(mac, m));
	dev = device_place(dev, bus, id, model[n->model].express, e);
	if (dev && bootindex)
		json_object_set_new(dev, "bootindex", json_integer((json_int_t)bootindex));
	return dev;
}

/* Controllers */

static json_t *other_controller(
	const char *driver, const char *id, const char *name, struct device_bus *bus, struct err *e)
{
	return device_place(
		json_pack("{s:s, s:s}", "driver", driver, "id", id), bus, name, false, e);
}

json_t *device_scsi_controller(struct device_bus *bus, struct err *e)
{
	return other_controller("virtio-scsi-pci", "scsi0", "scsi", bus, e);
}

json_t *device_virtio_serial(struct device_bus *bus, struct err *e)
{
	return other_controller("virtio-serial-pci", "vserial0", "virtio-serial", bus, e);
}

json_t *device_pvpanic(struct device_bus *bus, struct err *e)
{
	return other_controller("pvpanic-pci", "pvpanic0", "pvpanic", bus, e);
}

json_t *device_watchdog(struct device_bus *bus, struct err *e)
{
	return other_controller("i6300esb", "watchdog0", "watchdog", bus, e);
}

/* On pc it is a function of the chipset, as on real boards. */
json_t *device_usb(struct device_bus *bus, struct err *e)
{
	if (bus->board == DEVICE_PC)
		return json_pack("{s:s, s:s, s:s, s:s}", "driver", "piix3-usb-uhci", "id", "usb",
			"bus", "pci.0", "addr", "1.2");
	return other_controller("qemu-xhci", "usb", "usb", bus, e);
}

json_t *device_tablet(void)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "driver", "usb-tablet", "id", "tablet0", "bus",
		"usb.0", "port", "1");
}

/* Memory, randomness, screen, serial ports */

json_t *device_balloon(const struct conf_vm *c, struct device_bus *bus, struct err *e)
{
	json_t *dev = other_controller("virtio-balloon-pci", "balloon0", "balloon", bus, e);

	if (dev) {
		json_object_set_new(dev, "deflate-on-oom", json_boolean(c->deflate_on_oom));
		json_object_set_new(
			dev, "free-page-reporting", json_boolean(c->free_page_reporting));
	}
	return dev;
}

json_t *device_rng_source(const struct conf_vm *c)
{
	/* no device node needed in the jail: QEMU calls getrandom(2) */
	if (streq(c->rng_source, "/dev/urandom"))
		return json_pack("{s:s, s:s}", "qom-type", "rng-builtin", "id", "rng-source");
	return json_pack("{s:s, s:s, s:s}", "qom-type", "rng-random", "id", "rng-source",
		"filename", c->rng_source);
}

json_t *device_rng(const struct conf_vm *c, struct device_bus *bus, struct err *e)
{
	json_t *dev = other_controller("virtio-rng-pci", "rng0", "rng", bus, e);

	if (!dev)
		return NULL;
	json_object_set_new(dev, "rng", json_string("rng-source"));
	if (c->rng_rate) {
		json_object_set_new(dev, "max-bytes", json_integer((json_int_t)c->rng_rate));
		json_object_set_new(dev, "period", json_integer(1000)); /* ms */
	}
	return dev;
}

json_t *device_generation(const struct conf_vm *c, const struct identity *id)
{
	if (c->vmgenid == CONF_VMGENID_NO || !id->generation[0])
		return NULL;
	return json_pack("{s:s, s:s, s:s}", "driver", "vmgenid", "id", "generation0", "guid",
		id->generation);
}

json_t *device_vsock(const struct conf_vm *c, const char *fd, struct device_bus *bus, struct err *e)
{
	json_t *dev = other_controller("vhost-vsock-pci", "vsock0", "vsock", bus, e);

	if (dev)
		json_object_set_new(
			dev, "guest-cid", json_integer((json_int_t)device_cid(c, bus->id)));
	if (dev && fd)
		json_object_set_new(dev, "vhostfd", json_string(fd));
	return dev;
}

/* At the address used by real boards and by QEMU's defaults; guests expect it there. */
json_t *device_video(const struct conf_vm *c, const struct device_bus *bus)
{
	static const char *const driver[] = {
		[CONF_VIDEO_STD] = "VGA",
		[CONF_VIDEO_VIRTIO] = "virtio-vga",
		[CONF_VIDEO_QXL] = "qxl-vga",
		[CONF_VIDEO_CIRRUS] = "cirrus-vga",
		[CONF_VIDEO_NONE] = NULL,
	};
	_Static_assert(ARRAY_SIZE(driver) == CONF_VIDEOS, "a Video= has no driver");

	if (c->display == CONF_DISPLAY_NONE || !driver[c->video])
		return NULL;
	return json_pack("{s:s, s:s, s:s, s:s}", "driver", driver[c->video], "id", "video0", "bus",
		bus->board == DEVICE_PC ? "pci.0" : "pcie.0", "addr",
		bus->board == DEVICE_PC ? "2" : "1");
}

json_t *device_serial(const struct conf_serial *s, unsigned index)
{
	if (s->type == CONF_SERIAL_VIRTIO)
		return json_pack("{s:s, s:s+, s:s+, s:s, s:I}", "driver", "virtconsole", "id",
			"serial-", s->id, "chardev", "char-", s->id, "bus", "vserial0.0", "nr",
			(json_int_t)index);
	return json_pack("{s:s, s:s+, s:s+, s:I}", "driver", "isa-serial", "id", "serial-", s->id,
		"chardev", "char-", s->id, "index", (json_int_t)index);
}

/* Uses the controller's last port, because consoles are numbered from the first. Without an id QEMU
 * does not report when the guest opens the port. */
json_t *device_agent(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "driver", "virtserialport", "id",
		"agent0", "chardev", "agent", "bus", "vserial0.0", "nr", 30, "name",
		"org.qemu.guest_agent.0");
}

/* Uses the port before the agent's. */
json_t *device_notify(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:s}", "driver", "virtserialport", "id",
		"notify0", "chardev", "notify", "bus", "vserial0.0", "nr", 29, "name",
		"org.vmkeep.notify.0");
}
