/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/listener.h - the socket that clients find in the file system
 *
 * Its path may be longer than the 107 bytes of sun_path: the directory is opened and reached by
 * its descriptor. A socket that nobody listens on is replaced; anything else there is left alone.
 */
#ifndef SUPERVISOR_CONTROL_LISTENER_H
#define SUPERVISOR_CONTROL_LISTENER_H

#include <sys/types.h>

#include "base/err.h"

struct listener {
	int fd;	   /* non-blocking */
	int dirfd; /* where name stands */
	char *name;
	dev_t dev; /* of the path, which is removed only while it is this one */
	ino_t ino;
};

#define LISTENER_INIT                 \
	{                             \
		.fd = -1, .dirfd = -1 \
	}

/* Mode 0666: what a client may do is decided by who he is. ERR_CONFLICT when somebody answers. */
int listener_open(struct listener *l, const char *path, struct err *e);
/* fd: stands at path already, stolen. */
int listener_inherit(struct listener *l, const char *path, int fd, struct err *e);
/* A copy that survives exec, or -errno; the path is left to who gets it. */
int listener_hand_over(struct listener *l);
void listener_close(struct listener *l); /* removes the path */

#endif
