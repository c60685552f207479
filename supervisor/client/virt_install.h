/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/virt_install.h - options of virt-install(1) that `create` takes besides its own
 *
 * So that a command line of a tutorial works as it is. What differs only in name from an option of
 * ours is in its row in api/verbs.c; here is what becomes a key, or has no meaning for vmkeep.
 */
#ifndef SUPERVISOR_CLIENT_VIRT_INSTALL_H
#define SUPERVISOR_CLIENT_VIRT_INSTALL_H

#include <jansson.h>

#include "base/err.h"
#include "supervisor/client/option.h"

struct virt_install {
	const char *option; /* in the syntax of struct api_arg */
	const char *note;   /* why it is ignored; NULL: it is not */
	int (*take)(json_t *arguments, const char *value, struct err *e);
};

/* NULL: none of these. */
const struct virt_install *virt_install_find(const struct option *o);
/* True for the option that names the VM. */
bool virt_install_is_name(const struct virt_install *v);

#endif
