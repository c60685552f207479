/* SPDX-License-Identifier: MIT */
/* [VSock]: sockets between guest and host. QEMU gets an fd of /dev/vhost-vsock, which does not
 * exist in its jail. */
#include "supervisor/guest/parts.h"

#include <errno.h>
#include <fcntl.h>

#include "supervisor/qemu/argv.h"
#include "supervisor/qemu/device.h"

static const char vsock_device[] = "/dev/vhost-vsock";

static int vsock_open(struct err *e)
{
	int fd = open(vsock_device, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT && errno != ENODEV && errno != ENXIO)
		return err_errno(e, "vsock: open '%s'", vsock_device);
	err_set(e, ERR_NO_RESOURCES, "vsock: this host has no %s", vsock_device);
	return err_hint(e, "modprobe vhost_vsock, or remove CID= from [VSock]");
}

static int vsock_check(
	const struct vm *vm, const struct conf_vm *c, const char **key, struct err *e)
{
	int fd;

	if (!c->vsock_cid)
		return 0;
	*key = "CID";
	fd = vsock_open(e);
	close_fd(&fd);
	return e->number;
}

static int vsock_start(struct vm *vm, void **state, struct fd_list *fds, struct err *e)
{
	if (!vm->proc.conf.vsock_cid)
		return 0;
	return fd_list_add(fds, vsock_open(e), ARGV_FD_VSOCK);
}

static void vsock_info(const struct vm *vm, void *state, json_t *out)
{
	if (vm->proc.conf.vsock_cid)
		json_object_set_new(
			out, "cid", json_integer(device_cid(&vm->proc.conf, &vm->identity)));
}

const struct vm_part vsock_part = {
	.name = "vsock",
	.check = vsock_check,
	.start = vsock_start,
	.info = vsock_info,
};
