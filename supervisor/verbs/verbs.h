/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/verbs.h - what the daemon wires to its server
 */
#ifndef SUPERVISOR_VERBS_VERBS_H
#define SUPERVISOR_VERBS_VERBS_H

#include <stdbool.h>

struct conf_problems;
struct daemon;
struct request;

/* Completes the request, now or later, by its verb's handler. data: the daemon. */
void verbs_run(void *data, struct request *r);
/* Is the client an owner of this VM, or of any (NULL), by the files as they are now? data: the daemon. */
bool verbs_owns(void *data, const struct request *r, const char *name);
/* Makes jobs of what former daemons began and this one goes on with. */
void verbs_take_up(struct daemon *d);
/* All files again, as `reload` and SIGHUP do. */
void verbs_reload(struct daemon *d, struct conf_problems *p);

#endif
