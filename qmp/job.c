/* SPDX-License-Identifier: MIT */
#include "qmp/job.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "base/loop.h"
#include "base/mem.h"
#include "qmp/session.h"

/* Seconds; not const so that the test can shorten it. */
static double poll_every = 0.25;
static double patience = 60; /* for one answer, then query again */

struct qmp_job {
	struct qmp *q;
	struct qmp_listener listener;
	struct loop_timer poll;
	struct qmp_job_handlers h;
	void *data;
	uint64_t current, total;
	bool asking;	 /* query-jobs is in flight */
	bool ended;	 /* reported by an event since the last query-jobs */
	bool dismissing; /* the result is known */
	struct err result;
	char id[];
};

static void qmp_job_finish(struct qmp_job *job, const struct err *e)
{
	loop_timer_stop(&job->poll);
	qmp_unlisten(job->q, &job->listener);
	qmp_forget(job->q, job);
	if (job->h.done)
		job->h.done(job->data, e);
	free(job);
}

/* A query that timed out, or was not sent because too many are pending, proves nothing; any other
 * error ends the job. */
static bool job_is_late(const struct err *e)
{
	return e && (e->class == ERR_TIMEOUT || e->class == ERR_NO_RESOURCES);
}

static void job_dismissed(void *data, const json_t *result, const struct err *e)
{
	struct qmp_job *job = data;

	(void)e; /* the job's own result is known regardless */
	qmp_job_finish(job, job->result.number ? &job->result : NULL);
}

static void job_dismiss(struct qmp_job *job, const json_t *entry)
{
	const char *error = json_string_value(json_object_get(entry, "error"));

	job->dismissing = true;
	/* QEMU gives no class here, but its text ends with strerror() */
	if (error)
		err_set(&job->result,
			strstr(error, strerror(ENOSPC)) ? ERR_NO_RESOURCES : ERR_FAILED, "%s",
			error);
	if (error && job->h.keeps_failed)
		qmp_job_finish(job, &job->result);
	else
		qmp_call(job->q, "job-dismiss", json_pack("{s:s}", "id", job->id), -1, patience,
			job_dismissed, job);
}

static void job_tell_progress(struct qmp_job *job, const json_t *entry)
{
	uint64_t current = (uint64_t)json_integer_value(json_object_get(entry, "current-progress"));
	uint64_t total = (uint64_t)json_integer_value(json_object_get(entry, "total-progress"));

	if (current == job->current && total == job->total)
		return;
	job->current = current;
	job->total = total;
	if (job->h.progress)
		job->h.progress(job->data, current, total);
}

static const json_t *job_find_entry(const json_t *jobs, const char *id)
{
	json_t *entry;
	size_t i;

	json_array_foreach (jobs, i, entry)
		if (streq(json_string_value(json_object_get(entry, "id")), id))
			return entry;
	return NULL;
}

static void job_answered(void *data, const json_t *jobs, const struct err *e);

static void job_ask(struct qmp_job *job)
{
	if (job->asking)
		return;
	job->asking = true;
	job->ended = false;
	loop_timer_stop(&job->poll);
	qmp_call(job->q, "query-jobs", NULL, -1, patience, job_answered, job);
}

static void job_ask_later(struct qmp_job *job)
{
	loop_timer_start(&job->poll, poll_every);
}

static void job_answered(void *data, const json_t *jobs, const struct err *e)
{
	struct qmp_job *job = data;
	const json_t *entry = job_find_entry(jobs, job->id);
	struct err lost = ERR_INIT;

	job->asking = false;
	if (e && !job_is_late(e)) {
		qmp_job_finish(job, e);
	} else if (!e && !entry) {
		err_set(&lost, ERR_FAILED, "QEMU no longer knows job '%s', its result is lost",
			job->id);
		qmp_job_finish(job, &lost);
	} else if (streq(json_string_value(json_object_get(entry, "status")), "concluded")) {
		job_dismiss(job, entry);
	} else {
		if (entry)
			job_tell_progress(job, entry);
		if (job->ended)
			job_ask(job);
		else
			job_ask_later(job);
	}
}

static void job_started(void *data, const json_t *result, const struct err *e)
{
	struct qmp_job *job = data;

	if (e && e->class != ERR_TIMEOUT && e->class != ERR_UNREACHABLE && job->h.refused)
		job->h.done = job->h.refused;
	if (e && e->class != ERR_TIMEOUT)
		qmp_job_finish(job, e);
	else if (!job->dismissing)
		job_ask(job);
}

static void job_on_poll(void *data)
{
	job_ask(data);
}

static void job_on_event(struct qmp_listener *l, const char *name, const json_t *data)
{
	struct qmp_job *job = container_of(l, struct qmp_job, listener);
	const char *status = json_string_value(json_object_get(data, "status"));

	if (job->dismissing || !streq(name, "JOB_STATUS_CHANGE") ||
		!streq(json_string_value(json_object_get(data, "id")), job->id))
		return;
	/* "null" before our job-dismiss: the job dismissed itself */
	if (streq(status, "concluded") || streq(status, "null")) {
		job_ask(job);
		job->ended = true;
	}
}

static void job_on_gone(struct qmp_listener *l, const struct err *e)
{
	struct qmp_job *job = container_of(l, struct qmp_job, listener);
	struct err unreachable = ERR_INIT;

	err_set(&unreachable, ERR_UNREACHABLE, "job '%s': %s", job->id, e->text);
	qmp_job_finish(job, &unreachable);
}

struct qmp_job *qmp_job_run(struct qmp *q, const char *command, json_t *arguments /* stolen */,
	const char *id, const struct qmp_job_handlers *h, void *data)
{
	size_t size = strlen(id) + 1;
	struct qmp_job *job = xcalloc(1, sizeof *job + size);

	memcpy(job->id, id, size);
	job->q = q;
	job->h = *h;
	job->data = data;
	job->listener.event = job_on_event;
	job->listener.gone = job_on_gone;
	loop_timer_init(&job->poll, qmp_loop(q), job_on_poll, job);
	qmp_listen(q, &job->listener);
	if (command)
		qmp_call(q, command, arguments, -1, patience, job_started, job);
	else
		job_ask(job);
	return job;
}
