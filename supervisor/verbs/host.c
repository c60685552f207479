/* SPDX-License-Identifier: MIT */
/* Verbs about the host. */
#include "base/mem.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/check/host.h"

struct asking { /* a request that waits for the checks */
	struct request *r;
	struct host_checking *checking;
};

static void verb_host_asking_gone(void *data)
{
	struct asking *a = data;

	host_check_cancel(a->checking);
	free(a);
}

static void verb_host_asking_done(void *data, json_t *table)
{
	struct asking *a = data;

	request_return(a->r, table);
	free(a);
}

void verb_host_check(struct daemon *d, struct request *r)
{
	struct asking *a = xcalloc(1, sizeof *a);

	daemon_look_conf(d); /* for the stores */
	a->r = r;
	request_on_gone(r, verb_host_asking_gone, a);
	a->checking = host_check_run(d, verb_host_asking_done, a);
}
