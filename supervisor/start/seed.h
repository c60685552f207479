/* SPDX-License-Identifier: MIT */
/*
 * supervisor/start/seed.h - the seed for cloud-init, made by each start of a VM with [CloudInit]
 *
 * A CD image of cloud-init's data source NoCloud: a file system named cidata, with meta-data,
 * user-data, vendor-data and perhaps network-config. What the keys say is vendor data, so that user
 * data of a person counts where the two differ. The instance id is the VM's UUID: cloud-init sets
 * up a guest once, however often it starts and whatever its file says later; a VM with another
 * UUID is another guest.
 *
 * The daemon knows no secret and opens no file that root named: vmkeepd runs itself as a child,
 * which reads these files and writes the texts to RUN/vms/NAME/seed.d; then xorriso in the jail
 * makes RUN/vms/NAME/seed.iso of them, and QEMU gets its descriptor. All texts are JSON, which is
 * YAML: no value can end its string.
 */
#ifndef SUPERVISOR_START_SEED_H
#define SUPERVISOR_START_SEED_H

#include <jansson.h>

#include "base/err.h"
#include "conf/vm.h"
#include "supervisor/qemu/identity.h"

/* What the child is told: the texts as far as the configuration has them, and the files by key. */
json_t *seed_document(const struct conf_vm *c, const struct identity *id);

/* In the child: vmkeepd --seed DIR, with such a document on stdin. DIR is made for the texts; "": the
 * files are only checked. Returns the exit status: 0, or 1 after an error on stdout, with its key. */
int seed_main(const char *dir);
/* The same, without the pipes. *key: what is wrong, or NULL. */
int seed_write(const json_t *document, const char *dir, const char **key, struct err *e);

#endif
