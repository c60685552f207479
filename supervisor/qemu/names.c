/* SPDX-License-Identifier: MIT */
/* What a name alone tells: a machine's board, a disk's path. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/qemu/device.h"

bool device_board_of(const char *machine, enum device_board *board)
{
	if (strncmp(machine, "pc-q35-", 7) == 0)
		*board = DEVICE_Q35;
	else if (strncmp(machine, "pc-i440fx-", 10) == 0)
		*board = DEVICE_PC;
	else
		return false;
	return true;
}

const char *device_path(const char *path, const char *image_dir, char *buf)
{
	if (path[0] == '/')
		snprintf(buf, PATH_MAX, "%s", path);
	else
		snprintf(buf, PATH_MAX, "%s/%s", image_dir, path);
	return buf;
}

const char *device_disk_dir(const struct conf_disk *d, const char *image_dir)
{
	return d->dir ? d->dir : image_dir;
}

const char *device_disk_path(
	const struct conf_disk *d, const char *path, const char *image_dir, char *buf)
{
	return device_path(path, device_disk_dir(d, image_dir), buf);
}

bool device_path_is_block(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0;
}

uint32_t device_cid(const struct conf_vm *c, const struct identity *id)
{
	if (!c->vsock_cid)
		return 0;
	return streq(c->vsock_cid, "auto") ? id->cid : (uint32_t)strtoul(c->vsock_cid, NULL, 10);
}
