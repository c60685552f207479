/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/listener.h - the listening socket at a path
 *
 * The path may be longer than the 107 bytes of sun_path: the directory is opened and reached
 * through its descriptor. A stale socket is replaced; anything else at the path is renamed.
 */
#ifndef SUPERVISOR_CONTROL_LISTENER_H
#define SUPERVISOR_CONTROL_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct listener {
	int fd;	   /* non-blocking */
	int dirfd; /* the directory that contains name */
	char *name;
	dev_t dev; /* of the path, while it leads to fd */
	ino_t ino; /* 0: it does not */
	bool ours; /* removed on close */
};

#define LISTENER_INIT { .fd = -1, .dirfd = -1 }

/* A socket that is already listening at the path: our predecessor's, or the service manager's. */
struct inherited_socket {
	int fd;	   /* 0: none */
	bool ours; /* we remove the path on close; otherwise its creator does */
};

/* Mode 0666: peer credentials decide what a client may do. ERR_CONFLICT if another process
 * answers. */
int listener_open(struct listener *l, const char *path, struct err *e);
/* from->fd is stolen, even on failure, unless it is not a listening socket. */
int listener_inherit(
	struct listener *l, const char *path, const struct inherited_socket *from, struct err *e);
/* For a successor: a duplicate that survives exec, fd -1 on failure. The successor then owns the
 * path. */
struct inherited_socket listener_hand_over(struct listener *l);
/* True if clients can no longer reach it at path: the socket or its directory was removed or
 * replaced. */
bool listener_is_lost(const struct listener *l, const char *path);
void listener_close(struct listener *l); /* removes the path if it is ours */

#endif
