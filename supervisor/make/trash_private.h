/* SPDX-License-Identifier: MIT */
/* supervisor/make/trash_private.h - shared by the files of the trash, those of the child and others */
#ifndef SUPERVISOR_MAKE_TRASH_PRIVATE_H
#define SUPERVISOR_MAKE_TRASH_PRIVATE_H

#include <jansson.h>
#include <sys/stat.h>

#include "supervisor/make/trash.h"

enum { TRASH_IMAGES_MAX = 64 };

struct trash_image {
	const char *path, *store, *name; /* of the input */
	bool volume;
	int dir; /* that it is in; -1: it stays, or is a volume */
	struct stat st;
	char *to, *why; /* why: it stays */
};

struct trash {
	json_t *doc;
	const char *uuid;
	json_int_t time;
	struct trash_image image[TRASH_IMAGES_MAX];
	size_t images;
	size_t files; /* seen so far */
};

/* Volumes of the others are no files. */
static inline bool trash_is_dir(const struct conf_store *s)
{
	return s->path && s->type == CONF_STORE_DIR;
}

/* It stays; the first reason stands. trash_search.c */
__attribute__((format(printf, 2, 3))) void trash_keep(struct trash_image *m, const char *fmt, ...);
/* Keeps those that others need. -errno: they may need any. */
int trash_search(struct trash *t, struct err *e);
/* The trash of a store, which nobody else may enter, or take something out of. trash_old.c */
int trash_open(const char *store, bool make, struct err *e);
/* What was moved there before that time: rows gets [path, bytes, why it could not be removed]. A store
 * without a trash is fine. */
int trash_remove_old(const char *store, uint64_t before, bool dry, json_t *rows, struct err *e);
/* One file, unless it is gone. */
void trash_remove(int dir, const char *name, const char *path, bool dry, json_t *rows);

#endif
