/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/vm.h - would it start? Everything that can be known before it does
 *
 * Beyond the configuration's text: what VM files claim both, memory, networks and bridges, VNC
 * ports, the QEMU binary and its machines, KVM, and all files as the VM's uid sees them, which
 * vmkeep-jail looks at. Files are read into copies: nothing is made, nothing started, and what the
 * daemon knows stays as it is. VM after VM, so that many VMs are as little load as one.
 */
#ifndef SUPERVISOR_CHECK_VM_H
#define SUPERVISOR_CHECK_VM_H

#include <jansson.h>

#include "supervisor/vm/vms.h"

/* severity: "error", "warning"; place and key may be NULL, hint empty. */
void check_row(struct conf_problems *rows, const struct conf_place *place, const char *key,
	const char *severity, const char *reason, const char *hint);

struct vm_check;
/* Adds to p (borrowed) what is wrong with this VM, or with all where name is NULL, as the files are
 * now: here what their texts say, then with vm_check_run() whether it can work; then done, from the
 * loop or at once. */
struct vm_check *vm_check_new(struct daemon *d, const char *name, struct conf_problems *p,
	void (*done)(void *data), void *data);
void vm_check_run(struct vm_check *c);
/* Also after done; done is not called any more. */
void vm_check_free(struct vm_check *c);

/* --- files.c: what the files say now --- */

/* All VMs with a file, by name: those of the daemon where it knows the file as it is, else copies. */
struct check_files {
	struct daemon *daemon;
	struct vms vms;
	struct conf_daemon conf;
	struct conf_problems *problems;
};
/* p: what is wrong with any file; NULL: only the VMs are wanted. */
void check_files_read(struct check_files *f, struct daemon *d, struct conf_problems *p);
void check_files_release(struct check_files *f);
/* A copy, with vm_free(); have_conf says whether its files are right. */
struct vm *check_vm(struct daemon *d, const char *name, struct conf_problems *p);

/* --- gone.c --- */

/* A row for each VM that is gone and not forgotten. files: the VMs as their files are now. */
void check_forgettable(struct daemon *d, const struct vms *files, struct conf_problems *rows);

/* --- jail.c: the child that looks at files --- */

struct check_jail;
/* problem: an object as in jail/plan.h, or a growth where that was asked for; NULL at the end, then e says what kept it from looking, if
 * anything did. The jail is gone with the last call. */
typedef void check_jail_fn(void *data, const json_t *problem, const struct err *e);
struct check_jail *check_jail_run(struct daemon *d, const char *name, json_t *plan /* stolen */,
	check_jail_fn *tell, void *data, struct err *e);
void check_jail_cancel(struct check_jail *j);

/* --- space.c: what images may still grow by, in sum --- */

struct check_space;
/* Of these VMs, whose files may change meanwhile. only: the one that is checked, NULL: all are. */
struct check_space *check_space_new(
	struct daemon *d, struct vm *const *vm, size_t n, const char *only);
/* The images of this VM are not looked at: something of it did not answer. */
void check_space_skip(struct check_space *s, const char *vm);
/* Adds a row for each file system that is too small for all; then done, from the loop or at once. */
void check_space_run(
	struct check_space *s, struct conf_problems *rows, void (*done)(void *data), void *data);
void check_space_free(struct check_space *s); /* NULL is fine; done is not called any more */

#endif
