/* SPDX-License-Identifier: MIT */
#include "supervisor/core/job.h"

#include <ev.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/api/api.h"
#include "supervisor/api/result.h"
#include "supervisor/core/daemon.h"

static void job_free(struct job *j)
{
	free(j->who);
	free(j->text);
	free(j->error);
	account_unref(j->account);
	free(j);
}

static void job_unlink(struct jobs *js, struct job *j)
{
	*(j->prev ? &j->prev->next : &js->head) = j->next;
	*(j->next ? &j->next->prev : &js->last) = j->prev;
}

/* Forgets the oldest finished ones. */
static void job_trim(struct jobs *js)
{
	unsigned kept = 0;

	for (struct job *j = js->head, *next; j; j = next) {
		next = j->next;
		if (j->ended <= 0 || ++kept <= JOBS_KEPT)
			continue;
		job_unlink(js, j);
		job_free(j);
	}
}

struct job *job_new(struct daemon *d, const char *verb, const char *vm, const char *who,
	struct account *account)
{
	struct job *j = xcalloc(1, sizeof *j);

	job_trim(&d->jobs);
	j->daemon = d;
	j->id = ++d->jobs.last_id;
	j->verb = verb;
	snprintf(j->vm, sizeof j->vm, "%s", vm ? vm : "");
	j->who = xstrdup(who);
	j->started = clock_boot();
	j->account = account_ref(account);
	account->jobs++;
	j->next = d->jobs.head;
	*(j->next ? &j->next->prev : &d->jobs.last) = j;
	d->jobs.head = j;
	return j;
}

/* 0 to 100, or null if unknown. */
static json_t *job_percent(const struct job *j)
{
	return j->total ? json_integer((json_int_t)((double)j->current * 100 / (double)j->total))
			: json_null();
}

void job_progress(struct job *j, uint64_t current, uint64_t total, const char *text)
{
	double now = clock_boot();

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
		json_pack("{s:i, s:s, s:s, s:o, s:s?}", "job", (int)j->id, "verb", j->verb, "name",
			j->vm, "percent", job_percent(j), "text", j->text));
}

void job_finish(struct job *j, json_t *result, const struct err *e)
{
	j->ended = clock_boot();
	account_change(j->account, j->bytes, 0);
	j->account->jobs--;
	account_unref(j->account);
	j->account = NULL;
	j->result = result;
	if (e) {
		j->error = xcalloc(1, sizeof *j->error);
		err_copy(j->error, e);
		free(j->text);
		j->text = xstrdup(e->text);
	} else if (j->total) {
		j->current = j->total;
	}
	daemon_event(j->daemon, "JOB_DONE",
		json_pack("{s:i, s:s, s:s, s:o}", "job", (int)j->id, "verb", j->verb, "name", j->vm,
			"error", e ? api_error_json(e) : json_null()));
	if (j->done) {
		void (*done)(void *, struct job *) = j->done;

		j->done = NULL;
		done(j->data, j);
	}
	json_decref(j->result);
	j->result = NULL;
}

void job_on_done(struct job *j, void (*done)(void *data, struct job *j), void *data)
{
	j->done = done;
	j->data = data;
}

struct job *job_running(struct daemon *d, const char *verb, const char *vm, unsigned *n)
{
	struct job *found = NULL;

	*n = 0;
	for (struct job *j = d->jobs.head; j; j = j->next)
		if (j->ended <= 0 && streq(j->vm, vm) && (!verb || streq(j->verb, verb))) {
			found = j;
			++*n;
		}
	return found;
}

struct job *job_find(struct daemon *d, int64_t id)
{
	for (struct job *j = d->jobs.head; j; j = j->next)
		if (j->id == id)
			return j;
	return NULL;
}

static const char *job_text(const struct job *j)
{
	const char *step = j->step ? j->step(j) : NULL;

	return step ? step : j->text ? j->text : "";
}

json_t *jobs_list(struct daemon *d)
{
	json_t *rows = json_array();

	/* the list is newest first, people want oldest first */
	for (struct job *j = d->jobs.last; j; j = j->prev)
		if (j->ended <= 0)
			json_array_append_new(
				rows, json_pack("[i, s, s, o, s, f, s]", (int)j->id, j->verb, j->vm,
					      job_percent(j), job_text(j),
					      clock_boot() - j->started, j->who));
	return api_table(api_job_row, rows);
}

void jobs_release(struct jobs *js)
{
	while (js->head) {
		struct job *j = js->head;

		js->head = j->next;
		job_free(j);
	}
}
