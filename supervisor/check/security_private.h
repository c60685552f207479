/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/security_private.h - the rules' common ground: security.c, security_mounts.c,
 * security_fds.c
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
	dev_t device;	   /* of a device: itself */
	dev_t file_system; /* that its name is in */
	char protocol[32]; /* of a socket: "UNIX-STREAM", "TCP" */
};

struct security_fds {
	struct security_fd *fd;
	size_t n;
	dev_t root; /* the private root's file system; 0: all of this could not be read */
	bool read;
};

/* One look at a process: its status is read once, the rest when a rule asks. */
struct look {
	const struct vm *vm;
	struct buf status;
	char value[160];  /* of the line that was asked for last */
	struct buf found; /* what the rule under way has seen, for people */
	struct security_fds fds;
};

enum { PROC_MAX = 256 << 10 };

/* /proc/PID/name; "" when it cannot be read: then no rule holds. */
char *security_proc(const struct look *l, const char *name);

/* security_mounts.c */
bool security_private_root(struct look *l);
bool security_mounts(struct look *l);
dev_t security_root_device(const struct look *l); /* 0: not known */

/* security_fds.c */
bool security_no_foreign_socket(struct look *l); /* adds to found only what is wrong */
bool security_sockets(struct look *l);
bool security_devices(struct look *l);
bool security_directories(struct look *l);
void security_fds_release(struct security_fds *fds);

#endif
