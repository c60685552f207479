/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/run_template.h - a template as what a throw-away VM is made of: its hardware, and an
 * overlay on its disk
 */
#ifndef SUPERVISOR_VERBS_RUN_TEMPLATE_H
#define SUPERVISOR_VERBS_RUN_TEMPLATE_H

#include <stdint.h>

#include "supervisor/verbs/create.h"

struct copies;
struct job;

/* The disk that the overlay is on. */
struct run_source {
	char *vm;   /* whose it is; NULL: an image */
	char *disk; /* its section */
	char *store, *path;
	const char *format; /* NULL: by its name */
};

void run_source_release(struct run_source *s);

/* Refuses what is no template, and one that has not exactly one disk of its own in a store. */
int run_template_find(struct daemon *d, const char *name, struct run_source *s, struct err *e);
/* The text that the words are set in, and what of it is granted. size: of the disk. */
int run_template_compose(
	const struct run_source *s, struct create_text *t, uint64_t size, struct err *e);
/* Begins to copy its UEFI variables; NULL: there are none. done as in make/copies.h */
struct copies *run_template_copy(const struct run_source *s, const struct create_text *t,
	struct job *j, void (*done)(void *data, const struct err *e), void *data);

#endif
