/* SPDX-License-Identifier: MIT */
/* supervisor/verbs/clone_private.h - shared by the files of a clone */
#ifndef SUPERVISOR_VERBS_CLONE_PRIVATE_H
#define SUPERVISOR_VERBS_CLONE_PRIVATE_H

#include "supervisor/api/api.h"
#include "supervisor/verbs/clone.h"
#include "supervisor/verbs/create.h"
#include "supervisor/verbs/quota.h"

struct copies;
struct job;
struct peer;
struct vm;

struct clone {
	struct daemon *daemon;
	struct request *r; /* until there is a job; NULL: its client is gone */
	struct job *job;
	struct peer *peer;
	enum api_role role;
	const char *owner; /* of the new VM, by its client; NULL: an operator makes it */
	char *from, *to, *path, *like; /* path, like: files */
	char uuid[37];
	uint64_t version; /* of the texts that it began with; 0: not read yet */
	bool held;	  /* clone_hold() */
	bool linked, start, dry;
	json_t *words; /* create: what else is set in the file; NULL: nothing */
	struct buf text;
	struct clone_image *image;
	size_t images;
	struct copies *copies;
	struct quota_claim claim;
	struct create_claim name; /* to */
	bool has_dir;		  /* STATE/vms/TO */
};

/* The text of the new file, and where its images will be. size: of each disk, or NULL; whole: checks that
 * the client may have such a VM, and claims its quota. ERR_CONFLICT: the source's files are not those of
 * the first call. clone_file.c */
int clone_make_text(
	struct clone *t, const struct vm *vm, const uint64_t *size, bool whole, struct err *e);

#endif
