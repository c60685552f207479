/* SPDX-License-Identifier: MIT */
/*
 * qmp/job.h - one QEMU job, from its command to its end
 *
 * For snapshot-save, -load, -delete, blockdev-create and block jobs. Such a command answers
 * "started" at best; what became of it only query-jobs tells, and the job then waits to be
 * dismissed. A block job must be given "auto-dismiss": false, else its result is gone with it.
 *
 * snapshot-save stops QEMU's whole monitor while it writes, so that neither the command nor a query
 * is answered for as long as that takes: a late answer is no failure, only a lost connection is.
 */
#ifndef QMP_JOB_H
#define QMP_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct qmp;
struct qmp_job;

struct qmp_job_handlers {
	/* When it changed; in units of QEMU's choice (bytes for most), total 0: not known yet. */
	void (*progress)(void *data, uint64_t current, uint64_t total);
	/* Once, from the loop; the job is freed after. e: NULL on success; ERR_FAILED with QEMU's
	 * text; ERR_UNREACHABLE when the connection went, then the result is not known. */
	void (*done)(void *data, const struct err *e);
	/* In place of done: QEMU did not take the command, or was not told. NULL: done. */
	void (*refused)(void *data, const struct err *e);
	/* One that failed is not dismissed: done comes first, and QEMU can still tell of it
	 * afterwards. */
	bool keeps_failed;
};

/* Starts it; id is the "job-id" among the arguments. command NULL follows a job that runs already,
 * started before our restart. Handlers may be NULL. */
struct qmp_job *qmp_job_run(struct qmp *q, const char *command, json_t *arguments /* stolen */,
	const char *id, const struct qmp_job_handlers *h, void *data);

#endif
