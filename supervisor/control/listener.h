/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/listener.h - the socket that clients find in the file system
 *
 * Its path may be longer than the 107 bytes of sun_path: the directory is opened and reached by
 * its descriptor. A socket that nobody listens on is replaced; anything else there is set aside.
 */
#ifndef SUPERVISOR_CONTROL_LISTENER_H
#define SUPERVISOR_CONTROL_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct listener {
	int fd;	   /* non-blocking */
	int dirfd; /* where name stands */
	char *name;
	dev_t dev; /* of the path, as long as it is the one that leads to fd */
	ino_t ino; /* 0: it leads elsewhere */
	bool ours; /* removed at the end */
};

#define LISTENER_INIT { .fd = -1, .dirfd = -1 }

/* A socket that listens at the path already: our predecessor's, or the service manager's. */
struct listener_heritage {
	int fd;	   /* 0: there is none */
	bool ours; /* the path is removed at the end; else who bound it does that */
};

/* Mode 0666: what a client may do is decided by who he is. ERR_CONFLICT when somebody answers. */
int listener_open(struct listener *l, const char *path, struct err *e);
/* from->fd is stolen, also on failure unless it is no listening socket. */
int listener_inherit(
	struct listener *l, const char *path, const struct listener_heritage *from, struct err *e);
/* What a successor inherits: a copy that survives exec, fd -1 when there is none to be had. The
 * path is left to it. */
struct listener_heritage listener_hand_over(struct listener *l);
/* Whether clients find it there. A manager's socket is asked whether anybody listens. */
bool listener_is_lost(const struct listener *l, const char *path);
void listener_close(struct listener *l); /* removes the path, if it is ours */

#endif
