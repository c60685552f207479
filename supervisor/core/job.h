/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/job.h - what takes time and somebody may watch
 *
 * A job is made by a verb, told its progress by whoever works, and finished exactly once. The last
 * finished ones are kept, so that a late look at one says how it went. Emits JOB_PROGRESS and JOB_DONE.
 */
#ifndef SUPERVISOR_CORE_JOB_H
#define SUPERVISOR_CORE_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct account;
struct daemon;

enum { JOBS_KEPT = 32 };

struct job {
	struct job *prev, *next;
	struct account *account; /* of the user who asked for it; NULL: it ended */
	struct daemon *daemon;
	unsigned id;
	const char *verb; /* static */
	char vm[64];
	char *who;
	double started, ended;	 /* clock_boot(), 0: runs */
	uint64_t current, total; /* in the unit of the work, 0 of 0: unknown */
	char *text;		 /* error, or what it does now */
	const char *(*step)(const struct job
			*j); /* the same, asked when somebody looks; NULL, also by it: text */
	json_t *result;
	struct err *error;
	void (*done)(void *data, struct job *j);
	void *data;
	/* 0: it will end as cancelled, and soon; else e says why it cannot. NULL: it never can */
	int (*cancel)(void *data, struct err *e);
	void *cancel_data;
	double told; /* last progress event */
};

struct jobs {
	struct job *head, *last; /* newest first */
	unsigned last_id;
};

/* account: ref taken. */
struct job *job_new(struct daemon *d, const char *verb, const char *vm, const char *who,
	struct account *account);
/* At most four events a second; what comes sooner is only told by `jobs`. text may be NULL. */
void job_progress(struct job *j, uint64_t current, uint64_t total, const char *text);
/* e NULL: well done. The done callback runs before this returns; the job stays for `jobs`. */
void job_finish(struct job *j, json_t *result /* stolen */, const struct err *e);
/* Who wants the end; one at most. NULL takes it back. */
void job_on_done(struct job *j, void (*done)(void *data, struct job *j), void *data);
struct job *job_find(struct daemon *d, int64_t id);
/* One under way with this verb (NULL: any) for this VM, and how many there are. */
struct job *job_running(struct daemon *d, const char *verb, const char *vm, unsigned *n);
json_t *jobs_list(struct daemon *d); /* those under way: columns, rows */
void jobs_release(struct jobs *js);

#endif
