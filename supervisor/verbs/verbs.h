/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/verbs.h - what the daemon connects to its server
 */
#ifndef SUPERVISOR_VERBS_VERBS_H
#define SUPERVISOR_VERBS_VERBS_H

#include <stdbool.h>

struct conf_problems;
struct daemon;
struct request;

/* Runs the verb's handler, which completes the request now or later. data: the daemon. */
void verbs_run(void *data, struct request *r);
/* True if the client owns this VM, or any VM if name is NULL, by the current files. data: the
 * daemon. */
bool verbs_owns(void *data, const struct request *r, const char *name);
/* Creates jobs for operations that a previous daemon started and this one continues. */
void verbs_take_up(struct daemon *d);
/* Reloads all files, as `reload` and SIGHUP do. */
void verbs_reload(struct daemon *d, struct conf_problems *p);

#endif
