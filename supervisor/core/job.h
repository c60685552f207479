/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/job.h - long-running operations that clients can watch
 *
 * A verb creates a job, the code that does the work reports progress, and the job is finished
 * exactly once. The last finished jobs are kept, so that a late job-cancel is told that they have
 * ended; their results, which may be megabytes, are not. Emits JOB_PROGRESS and JOB_DONE.
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
	struct account *account; /* of the requester; NULL: the job has ended */
	size_t bytes;		 /* of its arguments, charged to the account */
	struct daemon *daemon;
	unsigned id;
	const char *verb; /* static */
	char vm[64];
	char *who;
	double started, ended;	 /* clock_boot(), 0: running */
	uint64_t current, total; /* in any unit; both 0: unknown */
	char *text;		 /* the error, or the current step */
	const char *(*step)(const struct job
			*j); /* the same, computed on demand; text if it is or returns NULL */
	json_t *result;	     /* for the done callback only */
	struct err *error;
	void (*done)(void *data, struct job *j);
	void *data;
	/* Returns 0 if the job will soon end as cancelled; else e says why it cannot. NULL: never
	 * can. */
	int (*cancel)(void *data, struct err *e);
	void *cancel_data;
	bool cancelled; /* it was told to, and has not ended yet */
	bool by_state;	/* how it ends is in the VM's history as a change of state */
	double told;	/* last progress event */
};

struct jobs {
	struct job *head, *last; /* newest first */
	unsigned last_id;
};

/* account: ref taken. */
struct job *job_new(struct daemon *d, const char *verb, const char *vm, const char *who,
	struct account *account);
/* At most four events a second; progress in between only shows up in `jobs`. text may be NULL. */
void job_progress(struct job *j, uint64_t current, uint64_t total, const char *text);
/* e NULL: success. The done callback runs before this returns. */
void job_finish(struct job *j, json_t *result /* stolen */, const struct err *e);
/* Sets the callback for the end of the job; there is only one. NULL removes it. */
void job_on_done(struct job *j, void (*done)(void *data, struct job *j), void *data);
struct job *job_find(struct daemon *d, int64_t id);
/* Finds a running job with this verb (NULL: any) for this VM; *n is their number. */
struct job *job_running(struct daemon *d, const char *verb, const char *vm, unsigned *n);
json_t *jobs_list(struct daemon *d); /* running jobs: columns, rows */
void jobs_release(struct jobs *js);

#endif
