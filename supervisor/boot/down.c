/* SPDX-License-Identifier: MIT */
#include "supervisor/boot/down.h"

#include <inttypes.h>
#include <limits.h>

#include "conf/load.h"
#include "supervisor/core/daemon.h"
#include "supervisor/boot/shutdown.h"

#define SLACK 30 /* seconds */

static void down_print_shutdown(void *data, const struct shutdown_end *guest, size_t n)
{
	struct daemon *d = data;

	for (size_t i = 0; i < n; i++)
		printf("%s: %s\n", guest[i].name, guest[i].result);
	ev_break(d->loop.ev, EVBREAK_ALL);
}

void down_run(struct daemon *d, uint64_t given)
{
	uint64_t ms = given ? given : d->conf.shutdown_ms;
	struct shutdown_options o = { .budget = (double)ms / 1000,
		.who = "vmkeepd --shutdown-all",
		.done = down_print_shutdown,
		.data = d };

	/* nothing else limits our run time */
	if (ms / 1000 < UINT_MAX - SLACK)
		alarm((unsigned)(ms / 1000) + SLACK);
	shutdown_all(d, &o);
	ev_run(d->loop.ev, 0);
	alarm(0);
}

/* A file with problems does not prevent the shutdown of the host. */
int down_print_time(const char *config)
{
	struct conf_daemon conf = CONF_DAEMON_INIT;
	struct conf_problems problems = { 0 };

	conf_load_daemon(&conf, config, &problems);
	printf("%" PRIu64 "\n", (conf.shutdown_ms + 999) / 1000);
	conf_problems_release(&problems);
	conf_daemon_release(&conf);
	return 0;
}
