/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/vm.h - preflight check: everything that can be verified before a start
 *
 * Beyond the configuration text: conflicts between VM files, memory, networks and bridges, VNC
 * ports, the QEMU binary and its machine types, KVM, and access to all files as the VM's uid,
 * tested by vmkeep-jail. Files are read into copies: nothing is created or started, and the
 * daemon's state does not change. One VM at a time, so that checking many is no more load than
 * checking one.
 */
#ifndef SUPERVISOR_CHECK_VM_H
#define SUPERVISOR_CHECK_VM_H

#include <jansson.h>

#include "supervisor/vm/vms.h"

/* severity: "error" or "warning"; place and key may be NULL. */
void check_row(struct conf_problems *rows, const struct conf_place *place, const char *key,
	const char *severity, const struct err *e);
/* Of a key that applies once; has: what the thing has instead, may be NULL. */
void check_row_has(struct conf_problems *rows, const struct conf_place *place, const char *key,
	const char *severity, const struct err *e, const char *has);

/* A row for what two VMs both claim. Either VM alone may start, so this is an error only for a new VM with
 * another's UUID=; true: it is. */
bool check_duplicate(struct conf_problems *rows, const struct vm *vm, const struct vm *other,
	const struct conf_place *place, const char *key, const char *text, const char *hint);

struct vm_check;
/* Adds the problems of this VM, or of all if name is NULL, to p (borrowed), as the files are now.
 * vm_check_new() adds errors in the files; vm_check_run() does the other checks and then calls
 * done, from the loop or immediately. */
struct vm_check *vm_check_new(struct daemon *d, const char *name, struct conf_problems *p,
	void (*done)(void *data), void *data);
void vm_check_run(struct vm_check *c);
/* May also be called after done; before done, prevents the call. */
void vm_check_free(struct vm_check *c);

/* --- files.c: the files as they are now --- */

/* All VMs that have a file, by name: the daemon's own objects if they are up to date, else
 * copies. */
struct check_files {
	struct daemon *daemon;
	struct vms vms;
	struct conf_daemon conf;
	struct conf_problems *problems;
};
/* p: collects problems in any file; NULL: load the VMs only. */
void check_files_read(struct check_files *f, struct daemon *d, struct conf_problems *p);
void check_files_release(struct check_files *f);
/* A copy, freed by vm_free(); have_conf tells whether its files are valid. */
struct vm *check_vm(struct daemon *d, const char *name, struct conf_problems *p);

/* --- gone.c --- */

/* Adds a row for each VM whose file is gone and that runs or has not been forgotten. files: the VMs
 * with current files. only: this one; NULL: all. */
void check_gone(
	struct daemon *d, const struct vms *files, const char *only, struct conf_problems *rows);

/* --- jail.c: the child process that inspects files --- */

struct check_jail;
/* problem: an object as in jail/plan.h, or a growth if requested. The last call has NULL, with e if
 * something prevented the inspection; after it the check_jail is gone. */
typedef void check_jail_fn(void *data, const json_t *problem, const struct err *e);
struct check_jail *check_jail_run(struct daemon *d, const char *name, json_t *plan /* stolen */,
	check_jail_fn *tell, void *data, struct err *e);
/* What it found the bases to be, as in the identity; borrowed, for the last call. */
const json_t *check_jail_bases(const struct check_jail *j);
void check_jail_cancel(struct check_jail *j);

/* --- space.c: total growth of images --- */

struct check_space;
/* For these VMs, whose files may change afterwards. only: the one being checked; NULL: all. */
struct check_space *check_space_new(
	struct daemon *d, struct vm *const *vm, size_t n, const char *only);
/* Skips the images of this VM, because one of its files did not respond. */
void check_space_skip(struct check_space *s, const char *vm);
/* Adds a row for each file system without space for all images to grow, then calls done, from the
 * loop or immediately. */
void check_space_run(
	struct check_space *s, struct conf_problems *rows, void (*done)(void *data), void *data);
void check_space_free(struct check_space *s); /* NULL is fine; done is not called afterwards */

#endif
