/* SPDX-License-Identifier: MIT */
/*
 * conf/load.h - the configuration directory
 *
 *   vmkeep.conf          the daemon; optional
 *   NAME.vm              a VM, overridden by NAME.vm.d/(any).conf in name order
 *   NAME.network         a network
 *   images.d/NAME.ini    an entry of the catalogue of images
 *
 * Ignores dot files, (any)~, .bak and .dpkg-(any). Refuses a file or directory that anyone but
 * root and the daemon's own user can write: whoever writes it decides what runs. Never writes
 * anything.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/conf.h"
#include "conf/image.h"

enum { CONF_DROPINS_MAX = 64 };

/* False if there is no such file; out is unchanged. Everything else that is wrong, including an
 * unreadable file, is in p. */
bool conf_load_vm(struct conf_vm *out, const char *dir, const char *name,
	const struct conf_context *ctx, struct conf_problems *p);
/* False if there is no such file; out then holds the defaults. */
bool conf_load_network(
	struct conf_network *out, const char *dir, const char *name, struct conf_problems *p);
bool conf_load_image(
	struct conf_image *out, const char *dir, const char *name, struct conf_problems *p);
bool conf_load_daemon(struct conf_daemon *out, const char *dir, struct conf_problems *p);

/* The texts of a VM's files as they are, in the order in which they apply, or NULL with e:
 * ERR_NOT_FOUND if there is no file, ERR_INVALID_CONFIG if one of them cannot be read. */
struct conf_texts;
struct conf_texts *conf_texts_new(const char *dir, const char *name, struct err *e);
const struct conf_source *conf_texts_sources(const struct conf_texts *t, size_t *n); /* borrowed */
void conf_texts_free(struct conf_texts *t); /* NULL is fine */

/* The raw text of a VM's files, each preceded by a line "# PATH". ERR_NOT_FOUND if there is no
 * file. */
int conf_load_vm_texts(struct buf *b, const char *dir, const char *name, struct err *e);

/* Changes whenever the file or a drop-in may have changed; 0 if there is no such file. Reads no
 * contents. */
uint64_t conf_vm_stamp(const char *dir, const char *name);
/* True if inotify on the directory does not tell of each change: the file is a link, or there are
 * drop-ins. */
bool conf_vm_is_elsewhere(const char *dir, const char *name);
uint64_t conf_network_stamp(const char *dir, const char *name);
uint64_t conf_daemon_stamp(const char *dir);

/* Calls f for each usable NAME of NAME.vm or NAME.network, in order. Invalid names, and all names
 * that clash (equal except for case, or as DNS names), are reported in p, which may be NULL. f is
 * not called for any of these, because we cannot tell which was first. */
typedef void conf_name_fn(void *data, const char *name);
void conf_list_vms(const char *dir, conf_name_fn *f, void *data, struct conf_problems *p);
void conf_list_networks(const char *dir, conf_name_fn *f, void *data, struct conf_problems *p);
/* Warns of files that look like configuration but are never read: misspelt endings, and drop-ins of
 * what cannot have any. ignored.c */
void conf_list_ignored(const char *dir, struct conf_problems *p);

#endif
