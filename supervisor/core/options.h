/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/options.h - vmkeepd's command line
 */
#ifndef SUPERVISOR_CORE_OPTIONS_H
#define SUPERVISOR_CORE_OPTIONS_H

#include <stdint.h>

#include "supervisor/core/dirs.h"

struct options {
	struct daemon_options dirs;
	const char *log_level;
	bool shutdown;	      /* shut down all guests instead of running the daemon */
	uint64_t shutdown_ms; /* 0: the default from vmkeep.conf */
	bool print_time;
	bool check; /* reads the configuration and tells what is wrong with it */
};

#define OPTIONS_INIT                          \
	{ .dirs = { .config = "/etc/vmkeep",  \
		  .state = "/var/lib/vmkeep", \
		  .run = "/run/vmkeep",       \
		  .log = "/var/log/vmkeep" } }

/* 0: continue; else exit code + 1. */
int options_parse(struct options *o, int argc, char **argv);

#endif
