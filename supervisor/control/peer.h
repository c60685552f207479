/* SPDX-License-Identifier: MIT */
/*
 * supervisor/control/peer.h - peer credentials and the role they grant
 *
 * As of the time of connection; later changes of the user's groups need a new connection.
 */
#ifndef SUPERVISOR_CONTROL_PEER_H
#define SUPERVISOR_CONTROL_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "conf/vm.h"
#include "supervisor/api/api.h"

enum { PEER_NAME = 64 };

struct peer { /* shared by a connection and its requests */
	unsigned refs;
	uid_t uid;
	pid_t pid;
	char user[PEER_NAME]; /* "alice"; "uid 1000" if /etc/passwd does not have it */
	/* for history, logs and jobs: the user, and the login user if another: "root (alice)" */
	char who[2 * PEER_NAME + 4];
	size_t groups;
	gid_t group[]; /* including the primary one */
};

/* NULL on failure. */
struct peer *peer_new(int fd, struct err *e);
struct peer *peer_ref(struct peer *p);
void peer_unref(struct peer *p);	 /* NULL is fine */
size_t peer_bytes(const struct peer *p); /* in memory: there may be 65536 groups */

/* The groups that grant a role. */
struct peer_groups {
	gid_t operators, create, view; /* (gid_t)-1: no such group */
};
/* From /etc/group only. */
void peer_groups_load(struct peer_groups *g);

enum api_role peer_role(const struct peer *p, const struct peer_groups *g);
bool peer_is_jail(const struct peer *p);
/* owner: user or @group, by name in /etc/passwd and /etc/group, or by number. */
bool peer_is(const struct peer *p, const char *owner);
bool peer_owns(const struct peer *p, const struct conf_list *owner); /* is it one of these? */

#endif
