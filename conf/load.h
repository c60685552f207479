/* SPDX-License-Identifier: MIT */
/*
 * conf/load.h - the configuration directory
 *
 *   vmkeep.conf          the daemon; may be absent
 *   NAME.vm              a VM, and NAME.vm.d/(any).conf over it, in the order of their names
 *   NAME.network         a network
 *
 * Dot files, (any)~, .bak and .dpkg-(any) are ignored. A file or directory that others than root
 * and we ourselves may write is refused: who writes it decides what runs. Nothing is ever written.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/conf.h"

enum { CONF_DROPINS_MAX = 64 };

/* False: there is no such file, and out is as it was. Everything else that is wrong, also an
 * unreadable file, is in p. */
bool conf_load_vm(struct conf_vm *out, const char *dir, const char *name,
	const struct conf_context *ctx, struct conf_problems *p);
/* False: there is no such file, and out holds the defaults. */
bool conf_load_network(
	struct conf_network *out, const char *dir, const char *name, struct conf_problems *p);
bool conf_load_daemon(struct conf_daemon *out, const char *dir, struct conf_problems *p);

/* The texts of a VM's files as they are, each after a line "# PATH". ERR_NOT_FOUND without file. */
int conf_load_vm_texts(struct buf *b, const char *dir, const char *name, struct err *e);

/* Changes whenever the file or a drop-in may have; 0: there is no such file. Reads no content. */
uint64_t conf_vm_stamp(const char *dir, const char *name);
uint64_t conf_network_stamp(const char *dir, const char *name);
uint64_t conf_daemon_stamp(const char *dir);

/* Calls f for each NAME of NAME.vm or NAME.network that can be used, in order. Names that are none,
 * and all of those that clash (equal but for case, or as DNS names), are told in p, which may be
 * NULL: f is not called for them, for who came first is not ours to guess. */
typedef void conf_name_fn(void *data, const char *name);
void conf_list_vms(const char *dir, conf_name_fn *f, void *data, struct conf_problems *p);
void conf_list_networks(const char *dir, conf_name_fn *f, void *data, struct conf_problems *p);

#endif
