/* SPDX-License-Identifier: MIT */
/*
 * QEMU as started by hand with the daemon's command line: listening sockets and a connection made
 * before exec, posix_spawn, two commands on the monitor, and nothing else.
 */
#include "tests/bench/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/qemu/argv.h"

enum { WORDS_MAX = 512, TEXT_MAX = 64 << 10, ASIDE = 100 }; /* ASIDE: above QEMU's own numbers */

extern char **environ;

void words_read(struct words *words, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t len;

	words->text = xcalloc(1, TEXT_MAX);
	words->word = xcalloc(WORDS_MAX, sizeof *words->word);
	len = fd >= 0 ? read(fd, words->text, TEXT_MAX - 1) : -1;
	if (len <= 0)
		give_up("read '%s': %s", path, strerror(errno));
	close(fd);
	for (char *p = words->text; p < words->text + len && n < WORDS_MAX - 1; p += strlen(p) + 1)
		words->word[n++] = p;
}

void words_release(struct words *words)
{
	free(words->word);
	free(words->text);
}

static int aside(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, ASIDE);

	if (high < 0)
		give_up("a descriptor for QEMU: %s", strerror(errno));
	close(fd);
	return high;
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4) < 0)
		give_up("listen at '%s': %s", path, strerror(errno));
	return aside(fd);
}

static void spawn(struct hand *h, const struct words *words, const int from[3])
{
	static const int to[] = { ARGV_FD_QMP, ARGV_FD_SERIAL_FIRST, ARGV_FD_SERIAL_FIRST + 1 };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	/* its own session, like ours: the scheduler may group by session */
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		posix_spawn_file_actions_adddup2(&actions, from[i], to[i]);
	r = posix_spawn(&h->pid, words->word[0], &actions, &attributes, words->word, environ);
	if (r != 0)
		give_up("run '%s': %s", words->word[0], strerror(r));
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	h->executed = now_ms();
	h->pidfd = pidfd_open(h->pid, 0);
}

void hand_start(struct hand *h, const struct words *words, const char *dir)
{
	_cleanup_(free_ptr) char *qmp = xasprintf("%s/qmp.sock", dir);
	_cleanup_(free_ptr) char *serial = xasprintf("%s/serial.sock", dir);
	_cleanup_(free_ptr) char *log = xasprintf("%s/serial.out", dir);
	int from[3];

	*h = (struct hand){ .begun = now_ms() };
	from[0] = listen_at(qmp);
	from[1] = listen_at(serial);
	from[2] = aside(open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
	wire_connect(&h->qmp, qmp);
	spawn(h, words, from);
	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		close(from[i]);
	json_decref(wire_receive(&h->qmp, &h->greeting));
	hand_call(h, "qmp_capabilities");
	h->greeted = now_ms();
	hand_call(h, "cont");
	h->running = now_ms();
}

void hand_call(struct hand *h, const char *execute)
{
	json_t *message;
	double when;
	bool done = false;

	wire_send(&h->qmp, json_pack("{s:s}", "execute", execute));
	while (!done) {
		message = wire_receive(&h->qmp, &when);
		if (json_object_get(message, "error"))
			give_up("QEMU refuses %s", execute);
		done = json_object_get(message, "return") != NULL;
		json_decref(message);
	}
}

void hand_event(struct hand *h, const char *event)
{
	json_t *message;
	double when;
	bool done = false;

	while (!done) {
		message = wire_receive(&h->qmp, &when);
		done = streq(json_string_value(json_object_get(message, "event")), event);
		json_decref(message);
	}
}

double hand_end(struct hand *h)
{
	struct pollfd p = { .fd = h->pidfd, .events = POLLIN };
	double when;

	if (poll(&p, 1, PATIENCE_MS) <= 0)
		give_up("QEMU does not end");
	when = now_ms();
	waitpid(h->pid, NULL, 0);
	close_fd(&h->pidfd);
	wire_close(&h->qmp);
	return when;
}

off_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Polls every 2 ms; nothing is measured in the meantime. */
void text_wait(const char *path, off_t offset, const char *text)
{
	double end = now_ms() + PATIENCE_MS;
	char got[4096];

	while (now_ms() < end) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? pread(fd, got, sizeof got, offset) : 0;

		if (fd >= 0)
			close(fd);
		if (n > 0 && memmem(got, (size_t)n, text, strlen(text)))
			return;
		usleep(2000);
	}
	give_up("no '%s' in '%s'", text, path);
}
