/* SPDX-License-Identifier: MIT */
/*
 * Proves that the client reads the greeting, matches replies, hands a stream over without losing a
 * byte however the data is split, and has an error message for a daemon that refuses, speaks
 * another version, dies or does not run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <fcntl.h>
#include <signal.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/client/conn.h"

#define GREETING \
	"{\"QMP\": {\"version\": {}, \"capabilities\": []}, \"vmkeep\": {\"version\": \"9\", \"api\": 1}}\n"

/* A connection on which the daemon has sent this and, if `goes` is set, hung up. */
static struct conn said(const char *text, int *daemon, bool goes)
{
	struct conn c = CONN_INIT;
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	codec_init(&c.codec, CONN_REPLY_MAX);
	c.fd = fd[0];
	assert_int_equal(file_write_all(fd[1], text, strlen(text)), 0);
	if (goes)
		shutdown(fd[1], SHUT_WR);
	*daemon = fd[1];
	return c;
}

static void a_call_has_its_result_or_words(void **state)
{
	/* clang-format off */
	static const struct {
		const char *said;
		const char *result; /* NULL: an error */
		enum err_class class;
		const char *text;
	} rows[] = {
		{GREETING "{\"return\": {\"a\": 1}, \"id\": 1}\n",						    "{\"a\":1}", ERR_FAILED,	     ""						},
		{ "{\"return\": [], \"id\": 1}",								    "[]",	       ERR_FAILED,	   ""						      },
		{ GREETING
			"{\"event\": \"X\"}{\"return\": 7, \"id\": 8}{\"return\": {}, \"id\": 1}", "{}",	      ERR_FAILED,	  ""						},
		{ GREETING "{\"error\": {\"class\": \"NotFound\", \"desc\": \"no VM\"}, \"id\": 1}",
			NULL,													   ERR_NOT_FOUND,    "no VM"					     },
		{ "{\"error\": {\"class\": \"NoResources\", \"desc\": \"too many clients\"}}\n",
			NULL,													   ERR_NO_RESOURCES, "too many clients"				   },
		{ "{\"QMP\": {}, \"vmkeep\": {\"version\": \"9\", \"api\": 9}}\n",				   NULL,	 ERR_FAILED,
			"vmkeepd speaks protocol 9, this vmkeep speaks 1"																   },
		{ GREETING "{\"id\": 1}",									   NULL,	ERR_FAILED,
			"vmkeepd sent neither a result nor an error"																	},
		{ GREETING,											 NULL,	  ERR_UNREACHABLE,
			"vmkeepd closed the connection before it answered"																  },
		{ GREETING "{\"return\": {\"a\": ",								 NULL,	  ERR_UNREACHABLE,
			"vmkeepd closed the connection before it answered"																  },
		{ "",											       NULL,	    ERR_UNREACHABLE,  "vmkeepd closed the connection before it answered"},
		{ "HTTP/1.1 400 Bad Request\r\n",								   NULL,	ERR_FAILED,	    NULL						 },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(free_ptr) char *text = NULL;
		struct err e = ERR_INIT;
		int daemon;
		struct conn c = said(rows[i].said, &daemon, true);
		json_t *result = conn_call(&c, "x", NULL, &e);

		if (rows[i].result) {
			text = json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
			assert_string_equal(text, rows[i].result);
		} else {
			assert_null(result);
			assert_int_equal(e.class, rows[i].class);
			if (rows[i].text)
				assert_string_equal(e.text, rows[i].text);
			assert_true(strlen(e.text) > 0);
		}
		json_decref(result);
		conn_release(&c);
		close(daemon);
	}
}

static void requests_are_one_line_each_with_rising_ids(void **state)
{
	static const char want[] =
		"{\"execute\":\"vm-list\",\"id\":1}\n"
		"{\"execute\":\"vm-info\",\"arguments\":{\"name\":\"a\"},\"id\":2}\n";
	json_t *arguments = json_pack("{s:s}", "name", "a"), *none = json_object();
	char got[sizeof want] = "";
	json_int_t id;
	int daemon;
	struct conn c = said("", &daemon, false);

	(void)state;
	assert_int_equal(conn_send(&c, "vm-list", none, &id, NULL), 0);
	assert_int_equal(conn_send(&c, "vm-info", arguments, &id, NULL), 0);
	assert_int_equal(id, 2);
	assert_int_equal(read(daemon, got, sizeof got - 1), sizeof want - 1);
	assert_string_equal(got, want);
	json_decref(arguments);
	json_decref(none);
	conn_release(&c);
	close(daemon);
}

/* The daemon's final message counts more than the failure to send our request. */
static void last_words_are_read_after_a_broken_pipe(void **state)
{
	struct err e = ERR_INIT;
	int daemon;
	struct conn c = said(
		"{\"error\": {\"class\": \"Permission\", \"desc\": \"go away\"}}\n", &daemon, true);

	(void)state;
	close(daemon);
	assert_null(conn_call(&c, "x", NULL, &e));
	assert_int_equal(e.class, ERR_PERMISSION);
	conn_release(&c);
}

static void a_stream_begins_behind_the_reply(void **state)
{
	static const char text[] = GREETING "{\"return\": {}, \"id\": 1}\r\n\n{\"raw\n";
	static const char want[] = "\n{\"raw\n";
	const size_t len = sizeof text - 1;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		_cleanup_(free_ptr) char *head = xstrndup(text, cut);
		struct buf first = BUF_INIT;
		struct err e = ERR_INIT;
		json_t *result;
		int daemon;
		struct conn c = said(head, &daemon, false);

		/* the codec has read the first part before the second arrives */
		if (cut < len)
			while (codec_pending(&c.codec) < cut) {
				char byte;

				assert_int_equal(read(c.fd, &byte, 1), 1);
				codec_feed(&c.codec, &byte, 1);
			}
		assert_int_equal(file_write_all(daemon, text + cut, len - cut), 0);
		shutdown(daemon, SHUT_WR);
		result = conn_call(&c, "x", NULL, &e);
		assert_non_null(result);
		json_decref(result);
		conn_stream(&c, &first);
		for (;;) {
			ssize_t n = read(c.fd, buf_reserve(&first, 64), 64);

			if (n <= 0)
				break;
			buf_commit(&first, (size_t)n);
		}
		assert_string_equal(first.data, want);
		buf_release(&first);
		conn_release(&c);
		close(daemon);
	}
}

static void nobody_there_is_told_apart(void **state)
{
	char dir[] = "/tmp/vmkeep-conn-XXXXXX";
	struct conn c = CONN_INIT;
	struct err e = ERR_INIT;
	_cleanup_(free_ptr) char *sock = NULL;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	sock = xasprintf("%s/control.sock", dir);
	assert_true(conn_open(&c, dir, &e) < 0);
	assert_int_equal(e.class, ERR_UNREACHABLE);
	assert_non_null(strstr(e.text, "vmkeepd is not running (no socket at /tmp/"));

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", sock);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_true(conn_open(&c, dir, &e) < 0);
	assert_int_equal(e.class, ERR_UNREACHABLE);
	assert_non_null(strstr(e.text, "nothing is listening"));
	close(fd);
	unlink(sock);
	rmdir(dir);
}

/* Socket addresses hold 107 bytes; run directories of tests are longer. */
static void a_long_path_is_reached(void **state)
{
	char top[] = "/tmp/vmkeep-conn-XXXXXX";
	_cleanup_(free_ptr) char *dir = NULL, *sock = NULL;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct conn c = CONN_INIT;
	struct err e = ERR_INIT;
	int fd, at;

	(void)state;
	assert_non_null(mkdtemp(top));
	dir = xasprintf("%s/%0120d", top, 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	sock = xasprintf("%s/control.sock", dir);
	at = open(dir, O_PATH | O_CLOEXEC);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/control.sock", at);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(conn_open(&c, dir, &e), 0);
	conn_release(&c);
	close(fd);
	close(at);
	unlink(sock);
	rmdir(dir);
	rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_has_its_result_or_words),
		cmocka_unit_test(requests_are_one_line_each_with_rising_ids),
		cmocka_unit_test(last_words_are_read_after_a_broken_pipe),
		cmocka_unit_test(a_stream_begins_behind_the_reply),
		cmocka_unit_test(nobody_there_is_told_apart),
		cmocka_unit_test(a_long_path_is_reached),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
