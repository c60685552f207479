/* SPDX-License-Identifier: MIT */
/*
 * Proves, with a daemon that answers in the wrong order, that lines are printed in the order of the
 * command line, that the exit code is that of the first failure, that globs are expanded, that no
 * more requests are in flight than the daemon allows, and that Ctrl-C leaves a job running and says
 * so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/line.h"

/* bad1 is in the wrong state, bad2 is unknown, gone ends the daemon, long is interrupted. */
static void answer(int fd, const json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_t *arguments = json_object_get(request, "arguments");
	const char *name = json_string_value(json_object_get(arguments, "name"));

	if (streq(json_string_value(json_object_get(request, "execute")), "vm-list"))
		line_reply(fd, json_pack("{s:{s:[s, s], s:[[i, s], [i, s], [i, s]]}, s:O}",
				       "return", "columns", "cpus", "name", "rows", 1, "web1", 2,
				       "db1", 3, "web2", "id", id));
	else if (json_is_false(json_object_get(arguments, "wait")))
		line_reply(fd, json_pack("{s:{s:i}, s:O}", "return", "job", 7, "id", id));
	else if (streq(name, "bad1"))
		line_reply(fd, json_pack("{s:{s:s, s:s}, s:O}", "error", "class", "WrongState",
				       "desc", "it is paused", "id", id));
	else if (streq(name, "bad2"))
		line_reply(fd, json_pack("{s:{s:s, s:s, s:s}, s:O}", "error", "class", "NotFound",
				       "desc", "no such VM", "hint", "look", "id", id));
	else if (streq(name, "gone"))
		_exit(0);
	else if (streq(name, "long")) {
		line_reply(fd, json_pack("{s:s, s:{s:i, s:s, s:s}}", "event", "JOB_STARTED", "data",
				       "job", 12, "name", name, "verb", "vm-start"));
		kill(getppid(), SIGINT);
	} else
		line_reply(fd, json_pack("{s:{s:s, s:b}, s:O}", "return", "state", "running",
				       "changed", name && name[0] == 'w', "id", id));
}

struct work {
	size_t total, batch;
};

/* Reads a batch of requests, or all that are left, and answers the last one first. */
static void serve(int fd, void *data)
{
	size_t total = ((struct work *)data)->total, batch = ((struct work *)data)->batch;
	json_t *request[LINE_WORDS_MAX];
	struct codec codec;
	struct err e = ERR_INIT;

	codec_init(&codec, 1 << 20);
	while (total) {
		size_t want = total < batch ? total : batch, n = 0;

		while (n < want) {
			char chunk[512];
			ssize_t got;

			while (n < want && codec_next(&codec, &request[n], &e) == CODEC_MESSAGE)
				n++;
			if (n == want)
				break;
			got = read(fd, chunk, sizeof chunk);
			if (got <= 0)
				_exit(1);
			codec_feed(&codec, chunk, (size_t)got);
		}
		/* with a full window only the end of the last line may be left unread */
		if (want == CONN_IN_FLIGHT &&
			(codec_pending(&codec) > 1 ||
				recv(fd, (char[8]){ 0 }, 8, MSG_PEEK | MSG_DONTWAIT) > 1))
			_exit(2);
		total -= want;
		while (n)
			answer(fd, request[--n]);
	}
	for (char byte; read(fd, &byte, 1) == 1;)
		_exit(1); /* more than the client may send */
	_exit(0);
}

static pid_t daemon_start(size_t total, size_t batch)
{
	return line_daemon(serve, &(struct work){ total, batch });
}

static void order_and_exit_code_are_the_lines(void **state)
{
	/* clang-format off */
	static const struct {
		const char *line;
		size_t requests, batch;
		int exit;
		const char *out, *err;
	} rows[] = {
		{"start web1",			1, 1, 0,	 "web1: running\n",		    ""					       },
		{ "start db1 web1 web2",	 3, 3, 0,
			"db1: already running\nweb1: running\nweb2: running\n",			""					   },
		{ "-q start db1 web1",	       2, 2, 0,	"",				    ""					       },
		{ "start web1 bad1 web2 bad2", 4, 4, 5,	"web1: running\nweb2: running\n",
			"vmkeep: bad1: it is paused\nvmkeep: bad2: no such VM\nhint: look\n"						     },
		{ "start bad2 bad1",	     2, 2, 4,   "",
			"vmkeep: bad2: no such VM\nhint: look\nvmkeep: bad1: it is paused\n"						     },
		{ "start web*",		3, 1, 0,	 "web1: running\nweb2: running\n", ""					      },
		{ "start web2 w*",		   3, 1, 0,   "web2: running\nweb1: running\n", ""						 },
		{ "start web1 zz*",	    1, 1, 4,   "",				 "vmkeep: no VM matches 'zz*'\nhint: vmkeep list shows which VMs there are\n" },
		{ "cat *",			   1, 1, 2,   "",				"vmkeep: '*' matches 3 names, but cat takes one\n"},
		{ "start --no-wait web1 web2", 2, 2, 0,	"web1: job 7\nweb2: job 7\n",     ""						 },
		{ "destroy web1",		  1, 1, 0,   "web1: running\n",
			"note: 'destroy' forces the VM off, as in virsh; nothing is deleted\n"						   },
		{ "--json start web1",	       1, 1, 0,
			"[\n  {\n    \"name\": \"web1\",\n    \"state\": \"running\",\n    \"changed\": true,\n"
			"    \"reason\": null,\n    \"notes\": []\n  }\n]\n", "" },
		{ "--json start db1 bad1",	   2, 2, 5,
			"[\n  {\n    \"name\": \"db1\",\n    \"state\": \"running\",\n    \"changed\": false,\n"
			"    \"reason\": null,\n    \"notes\": []\n  },\n"
			"  {\n    \"name\": \"bad1\",\n    \"error\": {\n      \"class\": \"WrongState\",\n"
			"      \"desc\": \"it is paused\",\n      \"hint\": null\n    }\n  }\n]\n",		"vmkeep: bad1: it is paused\n"	       },
		{ "start web1 gone web2",	  3, 1, 10,  "web1: running\n",
			"vmkeep: gone: vmkeepd closed the connection before it answered\n"
			"hint: it was stopped or restarted, which does not affect guests: see vmkeep list and vmkeep jobs\n"					 },
		{ "start web1 long",	     2, 1, 130, "web1: running\n",
			"long: job 12 is still running; 'vmkeep jobs' shows it\n"									 },
	};
	/* clang-format on */
	char out[LINE_OUTPUT_MAX], err[LINE_OUTPUT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pid_t pid = daemon_start(rows[i].requests, rows[i].batch);
		int code = line_run(rows[i].line, out, err), status;

		if (code != rows[i].exit || !streq(out, rows[i].out) || !streq(err, rows[i].err))
			fail_msg("vmkeep %s: exit %d\n%s%s", rows[i].line, code, out, err);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0)
			fail_msg("vmkeep %s: the daemon ended with %x", rows[i].line, status);
	}
}

/* The daemon answers nothing until it has as many requests as may be in flight. */
static void many_targets_keep_to_the_window(void **state)
{
	enum { TARGETS = 100 };
	char out[LINE_OUTPUT_MAX], err[LINE_OUTPUT_MAX];
	struct buf line = BUF_INIT, want = BUF_INIT;
	pid_t pid;
	int status;

	(void)state;
	buf_adds(&line, "start");
	for (int i = 0; i < TARGETS; i++) {
		buf_printf(&line, " w%d", i);
		buf_printf(&want, "w%d: running\n", i);
	}
	pid = daemon_start(TARGETS, CONN_IN_FLIGHT);
	assert_int_equal(line_run(line.data, out, err), 0);
	assert_string_equal(out, want.data);
	assert_string_equal(err, "");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	buf_release(&line);
	buf_release(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_and_exit_code_are_the_lines),
		cmocka_unit_test(many_targets_keep_to_the_window),
	};

	return cmocka_run_group_tests(tests, line_setup, line_teardown);
}
