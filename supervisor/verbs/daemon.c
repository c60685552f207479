/* SPDX-License-Identifier: MIT */
/* Verbs about the daemon and its jobs. */
#include "base/clock.h"
#include "supervisor/verbs/verb.h"

void verb_version(struct daemon *d, struct request *r)
{
	request_return(r, json_pack("{s:s, s:i, s:i, s:f, s:s}", "package", VMKEEP_VERSION, "api",
				  API_VERSION, "pid", (int)getpid(), "uptime",
				  clock_boot() - d->started, "config", d->dirs.config));
}

void verb_debug_loop(struct daemon *d, struct request *r)
{
	request_return(r, json_pack("{s:f, s:f}", "longest_turn", d->loop.longest_turn,
				  "longest_turn_elapsed", d->loop.longest_elapsed));
}

void verb_jobs(struct daemon *d, struct request *r)
{
	request_return(r, jobs_list(d));
}

void verb_job_cancel(struct daemon *d, struct request *r)
{
	struct job *j = job_find(d, request_int(r, "job", 0));
	struct err e = ERR_INIT;

	if (j && j->ended <= 0 && j->cancel) {
		struct vm *vm = vms_find(d->vms, j->vm);

		if (vm)
			vm_history(vm, "job-cancel", request_who(r), j->verb);
		if (j->cancel(j->cancel_data, &e) < 0)
			request_error(r, &e);
		else
			request_return(r, NULL);
		return;
	}
	if (!j) {
		err_set(&e, ERR_NOT_FOUND, "no such job: %lld",
			(long long)request_int(r, "job", 0));
		err_hint(&e, "vmkeep jobs lists those in progress");
	} else if (j->ended > 0) {
		err_set(&e, ERR_WRONG_STATE, "the job has ended");
	} else {
		err_set(&e, ERR_WRONG_STATE, "%s cannot be cancelled", j->verb);
	}
	request_error(r, &e);
}
