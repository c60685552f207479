/* SPDX-License-Identifier: MIT */
/* shutdown-all: shuts down the guests before the host goes down. */
#include "supervisor/api/result.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/boot/shutdown.h"

static void shutdown_progress(void *data, size_t down, size_t all, const char *text)
{
	job_progress(data, down, all, text);
}

static void shutdown_done(void *data, const struct shutdown_end *guest, size_t n)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			rows, json_pack("[s, s, s, f]", guest[i].name, guest[i].result,
				      guest[i].reason, guest[i].seconds));
	job_finish(data, api_table(api_shutdown_row, rows), NULL);
}

void verb_shutdown_all(struct daemon *d, struct request *r)
{
	struct shutdown_options o = { .progress = shutdown_progress, .done = shutdown_done };
	struct job *j;

	daemon_look_conf(d);
	o.budget = request_time(r, "timeout", (double)d->conf.shutdown_ms / 1000);
	if (request_bool(r, "dry-run", false)) {
		request_return(r, shutdown_plan(d, o.budget));
		return;
	}
	j = verb_job(d, r, NULL);
	o.who = j->who;
	o.data = j;
	shutdown_all(d, &o);
}
