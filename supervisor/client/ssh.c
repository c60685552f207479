/* SPDX-License-Identifier: MIT */
/*
 * vmkeep ssh: becomes ssh(1), with the address that the daemon knows. Host keys are kept under the
 * VM's UUID, since addresses and names pass from one VM to another.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/word.h"
#include "supervisor/client/command.h"
#include "supervisor/client/errors.h"
#include "supervisor/client/progress.h"

enum { OPTIONS_MAX = 12, PORT_MAX = 65535, SSH_PORT = 22 };
enum { WAIT_MS = 60000, ANSWER_MS = 1000, AGAIN_MS = 100 };

struct ssh {
	const char **argv;
	size_t n;
};

static void ssh_add(struct ssh *s, const char *word)
{
	s->argv[s->n++] = word;
}

static void ssh_add_option(struct ssh *s, const char *option, const char *value)
{
	if (!value)
		return;
	ssh_add(s, option);
	ssh_add(s, value);
}

static const char *ssh_text(const json_t *answer, const char *key)
{
	return json_string_value(json_object_get(answer, key));
}

static bool ssh_is_address(const char *text)
{
	struct in6_addr a;

	return text && (inet_pton(AF_INET, text, &a) == 1 || inet_pton(AF_INET6, text, &a) == 1);
}

/* --- a guest that boots has an address before its ssh server listens --- */

/* The errno of connecting; ETIMEDOUT if nothing answers. */
static int ssh_try(const struct addrinfo *to)
{
	_cleanup_(close_fd) int fd =
		socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd answer = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof error;

	if (fd < 0)
		return errno;
	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (poll(&answer, 1, ANSWER_MS) <= 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno : error;
}

static bool ssh_is_to_come(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == ETIMEDOUT;
}

/* ssh itself tells of every other error, and of these if they stay. */
static void ssh_wait(const struct addrinfo *to, struct progress *p, int64_t until_ms)
{
	while (progress_now_ms() < until_ms && ssh_is_to_come(ssh_try(to))) {
		progress_tick(p, progress_now_ms());
		poll(NULL, 0, AGAIN_MS);
	}
	progress_erase(p);
}

static uint64_t ssh_timeout(const json_t *given)
{
	uint64_t ms = WAIT_MS;

	if (given)
		text_parse_time(json_string_value(given), &ms);
	return ms < INT64_MAX / 2 ? ms : INT64_MAX / 2; /* infinity */
}

/* began_ms: the address was waited for, too. */
static void ssh_wait_server(const struct command *c, const char *address, int64_t began_ms)
{
	const struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	const json_t *port = json_object_get(c->args->own, "port");
	const uint64_t ms = ssh_timeout(json_object_get(c->args->arguments, "timeout"));
	struct addrinfo *to;
	struct progress p;
	char service[16];

	snprintf(service, sizeof service, "%d", port ? (int)json_integer_value(port) : SSH_PORT);
	if (getaddrinfo(address, service, &numeric, &to) != 0)
		return;
	progress_init(&p, !c->quiet && isatty(STDERR_FILENO));
	progress_text(&p, c->target[0], "waiting for its ssh server");
	ssh_wait(to, &p, began_ms + (int64_t)ms);
	freeaddrinfo(to);
}

/* Returns only if it fails. */
static int ssh_become(const struct command *c, const json_t *answer, struct err *e)
{
	const char *uuid = ssh_text(answer, "uuid"), *user = ssh_text(answer, "user");
	const json_t *own = c->args->own, *words = json_object_get(own, "command"),
		     *port = json_object_get(own, "port");
	_cleanup_(free_ptr) char *alias = xasprintf("HostKeyAlias=%s.vmkeep", uuid);
	_cleanup_(free_ptr) char *number =
		port ? xasprintf("%lld", (long long)json_integer_value(port)) : NULL;
	struct ssh s = { .argv = xcalloc(
				 json_array_size(words) + OPTIONS_MAX + 1, sizeof *s.argv) };
	json_t *word;
	size_t i;

	ssh_add(&s, "ssh");
	ssh_add_option(&s, "-o", alias);
	ssh_add_option(&s, "-o", "StrictHostKeyChecking=accept-new");
	if (json_object_get(own, "user"))
		user = ssh_text(own, "user");
	else if (user && !conf_word_login(user))
		user = NULL;
	ssh_add_option(&s, "-l", user);
	ssh_add_option(&s, "-p", number);
	/* without this, ssh looks for options of its own in the command */
	ssh_add(&s, "--");
	ssh_add(&s, ssh_text(answer, "address"));
	json_array_foreach (words, i, word)
		ssh_add(&s, json_string_value(word));
	signal(SIGPIPE, SIG_DFL);
	execvp(s.argv[0], (char *const *)(uintptr_t)s.argv);
	if (errno == ENOENT)
		err_set(e, ERR_FAILED,
			"there is no program 'ssh' here: the package openssh-client has it");
	else
		err_errno(e, "run ssh");
	free(s.argv);
	return e->number;
}

int ssh_run(struct command *c)
{
	const json_t *port = json_object_get(c->args->own, "port");
	json_auto_t *arguments = NULL, *answer = NULL;
	const int64_t began_ms = progress_now_ms();
	struct err e = ERR_INIT;

	if (port && (json_integer_value(port) < 1 || json_integer_value(port) > PORT_MAX))
		err_set(&e, ERR_USAGE, "--port: not a number from 1 to %d", PORT_MAX);
	if (e.number)
		return errors_print(NULL, &e);
	if (c->json)
		return calls_run(c);
	if (command_open(c, &e) < 0)
		return errors_print(NULL, &e);
	arguments = json_copy(c->args->arguments);
	json_object_set_new(arguments, "name", json_string(c->target[0]));
	answer = conn_call(&c->conn, "vm-ssh", arguments, &e);
	if (answer && !(ssh_is_address(ssh_text(answer, "address")) && ssh_text(answer, "uuid") &&
			      conf_word_uuid(ssh_text(answer, "uuid"))))
		err_set(&e, ERR_FAILED, "vmkeepd answered without an address or a UUID");
	else if (answer) {
		ssh_wait_server(c, ssh_text(answer, "address"), began_ms);
		ssh_become(c, answer, &e);
	}
	return errors_print(c->target[0], &e);
}
