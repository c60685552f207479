/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/create.h - the keys of a new VM's file, from the arguments of vm-create, and its name
 */
#ifndef SUPERVISOR_VERBS_CREATE_H
#define SUPERVISOR_VERBS_CREATE_H

#include <jansson.h>

#include "base/err.h"

/* Words for conf_edit_set(), in the order of the file: "VM.Memory=2G". Disks are called root, data,
 * data2 and so on, NICs lan, lan2. Numbers without a unit are in virt-install's: MiB for memory, GiB
 * for a disk's size. NULL with e: ERR_USAGE. Values are not checked. */
json_t *create_words(const json_t *arguments, const char *uuid, struct err *e);

/* Names are unique regardless of case, and as DNS names; and no state of a VM whose file is gone is
 * taken over. Not pure: create_name.c */
struct daemon;
int create_name_may(struct daemon *d, const char *name, struct err *e);

#endif
