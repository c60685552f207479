/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/security_private.h - shared by security.c, security_mounts.c, security_fds.c
 */
#ifndef SUPERVISOR_CHECK_SECURITY_PRIVATE_H
#define SUPERVISOR_CHECK_SECURITY_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"

struct vm;

struct security_fd {
	char number[16];
	mode_t type;	   /* S_IFSOCK, ... */
	dev_t device;	   /* if it is a device: its number */
	dev_t file_system; /* that contains its inode */
	char protocol[32]; /* if it is a socket: "UNIX-STREAM", "TCP" */
};

struct security_fds {
	struct security_fd *fd;
	size_t n;
	dev_t root; /* device number of the private root; 0: the fds could not be read completely */
	bool read;
};

/* Inspection of one process: status is read at the start, everything else when a rule needs it. */
struct look {
	const struct vm *vm;
	struct buf status;
	char value[160];  /* result of the last security_line_of() */
	struct buf found; /* what the current rule has found, in display form */
	struct security_fds fds;
};

enum { PROC_MAX = 256 << 10 };

/* Content of /proc/PID/name; "" if it cannot be read, so that no rule holds. */
char *security_proc(const struct look *l, const char *name);

/* security_mounts.c */
bool security_private_root(struct look *l);
bool security_mounts(struct look *l);
dev_t security_root_device(const struct look *l); /* 0: unknown */

/* security_fds.c */
bool security_no_foreign_socket(struct look *l); /* adds only violations to found */
bool security_sockets(struct look *l);
bool security_devices(struct look *l);
bool security_directories(struct look *l);
void security_fds_release(struct security_fds *fds);

#endif
