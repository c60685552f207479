/* SPDX-License-Identifier: MIT */
#include "supervisor/core/job.h"

#include <ev.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/core/daemon.h"

static void job_free(struct job *j)
{
	free(j->who);
	free(j->text);
	free(j->error);
	json_decref(j->result);
	free(j);
}

/* Forgets the oldest finished ones. */
static void trim(struct jobs *js)
{
	unsigned kept = 0;

	for (struct job **p = &js->head; *p;) {
		struct job *j = *p;

		if (j->ended > 0 && ++kept > JOBS_KEPT) {
			*p = j->next;
			job_free(j);
		} else {
			p = &j->next;
		}
	}
}

struct job *job_new(struct daemon *d, const char *verb, const char *vm, const char *who)
{
	struct job *j = xcalloc(1, sizeof *j);

	trim(&d->jobs);
	j->daemon = d;
	j->id = ++d->jobs.last_id;
	j->verb = verb;
	snprintf(j->vm, sizeof j->vm, "%s", vm ? vm : "");
	j->who = xstrdup(who);
	j->started = ev_time();
	j->next = d->jobs.head;
	d->jobs.head = j;
	return j;
}

/* 0 to 100, or null where nobody knows. */
static json_t *percent(const struct job *j)
{
	return j->total ? json_integer((json_int_t)((double)j->current * 100 / (double)j->total)) :
			  json_null();
}

void job_progress(struct job *j, uint64_t current, uint64_t total, const char *text)
{
	double now = ev_time();

	j->current = current;
	j->total = total;
	if (text) {
		free(j->text);
		j->text = xstrdup(text);
	}
	if (now - j->told < 0.25)
		return;
	j->told = now;
	daemon_event(j->daemon, "JOB_PROGRESS",
		json_pack("{s:i, s:s, s:s, s:o, s:s?}", "job", (int)j->id, "verb", j->verb, "name", j->vm,
			"percent", percent(j), "text", j->text));
}

void job_finish(struct job *j, json_t *result, const struct err *e)
{
	j->ended = ev_time();
	j->result = result;
	if (e) {
		j->failed = true;
		j->error = xcalloc(1, sizeof *j->error);
		err_copy(j->error, e);
		free(j->text);
		j->text = xstrdup(e->text);
	} else if (j->total) {
		j->current = j->total;
	}
	daemon_event(j->daemon, "JOB_DONE",
		json_pack("{s:i, s:s, s:s, s:o}", "job", (int)j->id, "verb", j->verb, "name", j->vm, "error",
			e ? api_error_json(e) : json_null()));
	if (j->done) {
		void (*done)(void *, struct job *) = j->done;

		j->done = NULL;
		done(j->data, j);
	}
}

void job_on_done(struct job *j, void (*done)(void *data, struct job *j), void *data)
{
	j->done = done;
	j->data = data;
}

struct job *job_find(struct daemon *d, unsigned id)
{
	for (struct job *j = d->jobs.head; j; j = j->next)
		if (j->id == id)
			return j;
	return NULL;
}

json_t *jobs_list(struct daemon *d)
{
	json_t *rows = json_array();

	/* newest first in memory, oldest first for people */
	for (struct job *j = d->jobs.head; j; j = j->next)
		if (j->ended <= 0)
			json_array_insert_new(rows, 0,
				json_pack("[i, s, s, o, s, f, s]", (int)j->id, j->verb, j->vm, percent(j),
					j->text ? j->text : "", ev_time() - j->started, j->who));
	return json_pack("{s:[s,s,s,s,s,s,s], s:o}", "columns", "job", "verb", "name", "percent", "text", "age",
		"who", "rows", rows);
}

void jobs_release(struct jobs *js)
{
	while (js->head) {
		struct job *j = js->head;

		js->head = j->next;
		job_free(j);
	}
}
