/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/create.h - the keys of a new VM's file, from the arguments of vm-create, and its name;
 * the text of the file, and whether the client may write it
 */
#ifndef SUPERVISOR_VERBS_CREATE_H
#define SUPERVISOR_VERBS_CREATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "conf/vm.h"
#include "supervisor/api/api.h"

struct peer;

/* The file of a new VM; private to supervisor/verbs. create_text.c */
struct create_text {
	struct daemon *daemon;
	char *name, *path;
	char uuid[37];
	char *start;   /* the text that the words are set in; NULL: none */
	json_t *words; /* for conf_edit_set() */
	/* What a user other than an operator gets without asking: the rest must be theirs to set. */
	char *granted;
	enum api_role role;
	struct peer *peer;
	struct buf text;     /* of the file */
	struct conf_vm conf; /* what it says */
};

/* path: stolen. A new UUID. peer: ref taken. */
void create_text_init(struct create_text *t, struct daemon *d, const char *name, char *path,
	enum api_role role, struct peer *peer);
void create_text_release(struct create_text *t);
/* Composes it from all words but one (NULL: from all). */
int create_text_compose(struct create_text *t, const char *without, struct err *e);
/* Parses it. ERR_PERMISSION, or by the quota ERR_NO_RESOURCES. */
int create_text_check(struct create_text *t, struct err *e);
/* Whose a VM is that this client makes. NULL: no owner. ERR_PERMISSION: Owner= would name nobody. */
const char *create_owner(enum api_role role, const struct peer *peer, struct err *e);

/* Words for conf_edit_set(), in the order of the file: "VM.Memory=2G". Disks are called root, data,
 * data2 and so on, NICs lan, lan2. Numbers without a unit are in virt-install's: MiB for memory, GiB
 * for a disk's size. NULL with e: ERR_USAGE. Values are not checked.
 * owner NULL: none, and new disks get the usual name; else one that no other image has. */
json_t *create_words(const json_t *arguments, const char *uuid, const char *owner, struct err *e);
/* The image that disk root is based on, by --image or a key, and its store; NULL: none. */
const char *create_words_base(const json_t *words);
const char *create_words_store(const json_t *words);
/* Adds the size of disk root, if none is given, to that of its base; else it must not be smaller. */
int create_words_size(json_t *words, uint64_t size, struct err *e);

/* A CD that is there only until the VM is off: it is started at once, and has a disk to install to. */
#define CREATE_CD "CDROM.cd."
bool create_words_installs(const json_t *arguments);

/* A name from create_name_may() on until its file is there. Embedded; zero: none. */
struct create_claim {
	struct create_claim *next;
	const char *name; /* borrowed */
};
void create_name_claim(struct create_claim *c, const char *name);
void create_name_release(struct create_claim *c);

/* Names are unique regardless of case, and as DNS names; and no state of a VM whose file is gone is
 * taken over; one that is claimed is not free either. Not pure: create_name.c */
struct daemon;
int create_name_may(struct daemon *d, const char *name, struct err *e);
/* VMs of others wait for a VM or network of that name, so that whoever has it can hold up their start. */
int create_name_free_for(const struct daemon *d, const char *name, enum api_role role,
	const struct peer *peer, struct err *e);
/* No drop-ins for that name are there, but for n own ones, which are paths. */
int create_dropins_may(
	const struct daemon *d, const char *name, char *const *own, size_t n, struct err *e);

#endif
