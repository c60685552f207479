/* SPDX-License-Identifier: MIT */
/*
 * qmp/job.h - one QEMU job, from its command to its end
 *
 * For snapshot-save, -load, -delete, blockdev-create and block jobs. The reply to such a command
 * only says that the job started. Its result is only known from query-jobs, and then the job must
 * be dismissed. Block jobs need "auto-dismiss": false, else the result is lost.
 *
 * snapshot-save blocks QEMU's whole monitor while it writes, so neither the command nor a query
 * is answered for that time: a late answer is no failure, only a lost connection is.
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
	/* On change; in units of QEMU's choice (usually bytes), total 0: not known yet. */
	void (*progress)(void *data, uint64_t current, uint64_t total);
	/* Once, from the loop; the job is freed afterwards. e: NULL on success; ERR_FAILED with
	 * QEMU's text; ERR_UNREACHABLE if the connection was lost, then the result is unknown. */
	void (*done)(void *data, const struct err *e);
	/* Instead of done, if QEMU rejected the command or it was not sent. NULL: done. */
	void (*refused)(void *data, const struct err *e);
	/* Does not dismiss a failed job: QEMU can still be queried about it after done. */
	bool keeps_failed;
};

/* Starts it; id is the "job-id" in the arguments. command NULL follows a job that is already
 * running, started before our restart. Handlers may be NULL. */
struct qmp_job *qmp_job_run(struct qmp *q, const char *command, json_t *arguments /* stolen */,
	const char *id, const struct qmp_job_handlers *h, void *data);

#endif
