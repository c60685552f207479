/* SPDX-License-Identifier: MIT */
/*
 * conf/default.h - one line of [Defaults]
 */
#ifndef CONF_DEFAULT_H
#define CONF_DEFAULT_H

#include "conf/daemon.h"
#include "conf/schema.h"

/* Checks Section.Key and value against the VM's schema. Only what is right is kept, so that a
 * mistake here spoils no VM. The place's file must live as long as c. */
void conf_default_add(struct conf_daemon *c, const char *key, const char *value,
	const struct conf_place *place, struct conf_problems *p);

#endif
