/* SPDX-License-Identifier: MIT */
/*
 * conf/default.h - one line of [Defaults]
 */
#ifndef CONF_DEFAULT_H
#define CONF_DEFAULT_H

#include "conf/daemon.h"
#include "conf/schema.h"

/* Checks Section.Key and value against the VM schema. Only valid lines are kept, so a mistake
 * here breaks no VM. The file name in place must live as long as c. */
void conf_default_add(struct conf_daemon *c, const char *key, const char *value,
	const struct conf_place *place, struct conf_problems *p);

#endif
