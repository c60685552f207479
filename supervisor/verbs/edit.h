/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/edit.h - changes of a VM's files; private to the verbs that make them
 */
#ifndef SUPERVISOR_VERBS_EDIT_H
#define SUPERVISOR_VERBS_EDIT_H

#include "conf/edit.h"
#include "supervisor/vm/vm.h"

/* Checks that the role may make all changes between the two: keys reserved to root, other images,
 * UUID= and keys X-... need a higher one than an owner's. */
int edit_may(const struct daemon *d, enum api_role role, const struct conf_vm *from,
	const struct conf_vm *to, struct err *e);

/* The keys alone, with what their specifiers stand for. */
int edit_may_keys(
	enum api_role role, const struct conf_vm *from, const struct conf_vm *to, struct err *e);

/* An absolute path that is not in the image directory: only root may use it. */
bool edit_is_outside(const struct daemon *d, const char *path);

/* The manager that X-Managed= names in one of the VM's files, or NULL. */
const char *edit_managed(const struct conf_vm *c);
/* Refuses a change if there is one. */
int edit_refuse(const struct conf_vm *c, struct err *e);

/* The text of a file with what a user gets with a VM that is made from another one: UUID=, Owner=, disks
 * and CDs, X-... keys. Owned. */
char *edit_granted(const struct conf_vm *c);

/* For verbs that change keys as one of several steps: on whose behalf. */
struct request;
struct edit_by {
	enum api_role role;
	struct peer *peer;
	char *who;
	bool force; /* whatever X-Managed= says */
	bool unset; /* the words are keys and sections to remove */
};
void edit_by_init(struct edit_by *by, const struct request *r);
void edit_by_release(struct edit_by *by);
/* words: as for set, or with by->unset for unset, stolen. Tells whether edit_set() would be refused now;
 * afterwards the VM may be gone. */
int edit_may_set(const struct vm *vm, json_t *words, const struct edit_by *by, struct err *e);
/* Waits for its turn. done: once, possibly before this returns. */
typedef void edit_done_fn(void *data, const struct err *e);
void edit_set(
	struct vm *vm, json_t *words, const struct edit_by *by, edit_done_fn *done, void *data);

/* Are the files of this VM being written just now, after all checks? */
bool edit_is_writing(const char *vm);

/* Tells whether a text is still the one that was read. edit_file.c */
void edit_version(const struct conf_source *src, char version[17]);

/* One row of the verb's table, see api_edit_row. */
json_t *edit_row(const struct vm *vm, const struct conf_edit_row *row, const char *file);
/* Such rows of all keys and sections that differ. */
json_t *edit_differences(const struct vm *vm, const struct conf_vm *from, const struct conf_vm *to);
/* Completes such rows: each conflict is in a row with its key, or in the last one. */
void edit_add_conflicts(json_t *rows, json_t *conflicts /* stolen */);

#endif
