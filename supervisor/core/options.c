/* SPDX-License-Identifier: MIT */
#include "supervisor/core/options.h"

#include <getopt.h>
#include <stdio.h>

#include "base/text.h"

static void options_usage(FILE *out)
{
	fputs("usage: vmkeepd [--config DIR] [--state DIR] [--run DIR] [--log DIR]\n"
	      "               [--log-level error|warning|info|debug] [--shutdown-all [TIME]]\n"
	      "               [--shutdown-time] [--check] [--version] [--help]\n"
	      "\n"
	      "Supervises QEMU virtual machines. See vmkeepd(8).\n",
		out);
}

int options_parse(struct options *o, int argc, char **argv)
{
	const char **const words[] = { &o->dirs.config, &o->dirs.state, &o->dirs.run, &o->dirs.log,
		&o->log_level };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 0 }, /* val: index into words[] */
		{ "state", required_argument, NULL, 1 },
		{ "run", required_argument, NULL, 2 },
		{ "log", required_argument, NULL, 3 },
		{ "log-level", required_argument, NULL, 4 },
		{ "shutdown-all", optional_argument, NULL, 'S' },
		{ "shutdown-time", no_argument, NULL, 'T' },
		{ "check", no_argument, NULL, 'C' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) >= 0)
		switch (c) {
		case 0:
		case 1:
		case 2:
		case 3:
		case 4:
			*words[c] = optarg;
			break;
		case 'S':
			o->shutdown = true;
			if (!optarg && optind < argc && argv[optind][0] != '-')
				optarg = argv[optind++];
			if (!optarg ||
				(text_parse_time(optarg, &o->shutdown_ms) == 0 && o->shutdown_ms))
				break;
			fprintf(stderr, "vmkeepd: --shutdown-all takes a time such as 5min\n");
			return 3;
		case 'T':
			o->print_time = true;
			break;
		case 'C':
			o->check = true;
			break;
		case 'V':
			puts("vmkeepd " VMKEEP_VERSION);
			return 1;
		case 'h':
			options_usage(stdout);
			return 1;
		default:
			options_usage(stderr);
			return 3;
		}
	if (optind == argc)
		return 0;
	options_usage(stderr);
	return 3;
}
