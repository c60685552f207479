/* SPDX-License-Identifier: MIT */
/*
 * Measures for `make bench`: tests/bench/run sets up, and this program measures, because an
 * interpreter's own time would affect the figures. One line per sample: a name and milliseconds.
 */
#include "tests/bench/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void give_up(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("measure: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

void figure(const char *name, double ms)
{
	printf("%s %.4f\n", name, ms);
}

static int number(const char *text)
{
	int n = atoi(text);

	if (n <= 0)
		give_up("'%s' is no count", text);
	return n;
}

/* --- life: a VM of ours and the same by hand, alternating --- */

struct life {
	struct ours ours;
	struct hand hand;
	struct words words;
	const char *dir, *log;
};

static const char banner[] = "guest is up";

static void ours_start(struct life *l, bool wait)
{
	struct ours *o = &l->ours;
	off_t at = file_size(l->log);
	double begun = now_ms(), running;

	running = ours_do(o, "vm-start");
	figure("start.running", running - begun);
	if (wait)
		text_wait(l->log, at, banner);
}

static void by_hand_start(struct life *l, bool wait)
{
	struct hand *h = &l->hand;
	_cleanup_(free_ptr) char *log = xasprintf("%s/serial.out", l->dir);
	off_t at = file_size(log);

	hand_start(h, &l->words, l->dir);
	figure("hand.exec", h->executed - h->begun);
	figure("hand.greeting", h->greeting - h->begun);
	figure("hand.greeted", h->greeted - h->begun);
	figure("hand.running", h->running - h->begun);
	if (wait)
		text_wait(log, at, banner);
}

static void way_kill(struct life *l)
{
	double begun;

	ours_start(l, false);
	begun = now_ms();
	figure("kill", ours_do(&l->ours, "vm-kill") - begun);
	by_hand_start(l, false);
	begun = now_ms();
	wire_send(&l->hand.qmp, json_pack("{s:s}", "execute", "quit"));
	figure("hand.kill", hand_end(&l->hand) - begun);
}

static void way_stop(struct life *l)
{
	double begun;

	ours_start(l, true);
	begun = now_ms();
	figure("stop", ours_do(&l->ours, "vm-stop") - begun);
	by_hand_start(l, true);
	begun = now_ms();
	hand_call(&l->hand, "system_powerdown");
	hand_event(&l->hand, "SHUTDOWN");
	wire_send(&l->hand.qmp, json_pack("{s:s}", "execute", "quit"));
	figure("hand.stop", hand_end(&l->hand) - begun);
}

static void way_crash(struct life *l)
{
	struct ours *o = &l->ours;
	double begun, when;
	json_t *info;
	pid_t pid;

	ours_start(l, true);
	info = ours_call(o, "vm-info", json_pack("{s:s}", "name", o->vm), &when);
	pid = (pid_t)json_integer_value(json_object_get(info, "pid"));
	json_decref(info);
	if (pid <= 1)
		give_up("vm-info tells no pid");
	o->ended = 0;
	begun = now_ms();
	kill(pid, SIGKILL);
	while (o->ended <= 0) {
		json_t *message = wire_receive(&o->wire, &when);

		ours_look(o, message, when);
		json_decref(message);
	}
	figure("crash", o->ended - begun);
	by_hand_start(l, true);
	begun = now_ms();
	kill(l->hand.pid, SIGKILL);
	figure("hand.crash", hand_end(&l->hand) - begun);
}

static void life(char **arg, int n)
{
	static const struct {
		const char *name;
		void (*run)(struct life *l);
	} ways[] = { { "kill", way_kill }, { "stop", way_stop }, { "crash", way_crash } };
	struct life l = { .dir = arg[3], .log = arg[4] };
	double when;

	(void)n;
	words_read(&l.words, arg[2]);
	ours_connect(&l.ours, arg[0], arg[1]);
	json_decref(ours_call(&l.ours, "subscribe", NULL, &when));
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		for (int rounds = streq(ways[i].name, arg[5]) ? number(arg[6]) : 0; rounds;
			rounds--)
			ways[i].run(&l);
	wire_close(&l.ours.wire);
	words_release(&l.words);
}

/* --- requests on one connection --- */

static void requests(char **arg, int n)
{
	struct ours o;

	ours_connect(&o, arg[0], NULL);
	for (int rounds = number(arg[1]); rounds; rounds--) {
		json_t *arguments = n > 3 ? json_loads(arg[3], 0, NULL) : NULL;
		double begun = now_ms(), when;

		json_decref(ours_call(&o, arg[2], arguments, &when));
		figure("request", when - begun);
	}
	wire_close(&o.wire);
}

/* --- whole processes --- */

static pid_t run(char **argv, double *begun)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	*begun = now_ms();
	r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (r != 0)
		give_up("run '%s': %s", argv[0], strerror(r));
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void time_command(const char *name, char **argv)
{
	double begun;
	pid_t pid = run(argv, &begun);
	int status = 0;

	waitpid(pid, &status, 0);
	if (status != 0)
		give_up("'%s' ended with status %d", argv[0], status);
	figure(name, now_ms() - begun);
}

static void processes(char **arg, int n)
{
	(void)n;
	for (int rounds = number(arg[0]); rounds; rounds--)
		time_command("process", arg + 1);
}

/* A file with one command per line: a name for its figure, and its arguments. Runs them
 * alternately. */
static void commands(char **arg, int n)
{
	FILE *f = fopen(arg[1], "r");
	_cleanup_(free_ptr) char *line = NULL;
	size_t room = 0;

	(void)n;
	if (!f)
		give_up("open '%s': %s", arg[1], strerror(errno));
	for (int rounds = number(arg[0]); rounds; rounds--) {
		rewind(f);
		while (getline(&line, &room, f) > 0) {
			char *word[32] = { strtok(line, " \n") };

			for (size_t i = 1; i < ARRAY_SIZE(word) - 1 && word[i - 1]; i++)
				word[i] = strtok(NULL, " \n");
			if (word[0] && word[1])
				time_command(word[0], word + 1);
		}
	}
	fclose(f);
}

/* --- a daemon: exec until ready, and until each guest's monitor has answered --- */

static int notify_socket(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	_cleanup_(free_ptr) char *name = xasprintf("@vmkeep-bench-%d", (int)getpid());
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
	setenv("NOTIFY_SOCKET", name, 1);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *)&at,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) < 0)
		give_up("the socket for READY: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void wait_ready(int fd)
{
	char text[256] = "";

	while (!strstr(text, "READY=1")) {
		ssize_t n = recv(fd, text, sizeof text - 1, 0);

		if (n < 0)
			give_up("the daemon does not get ready");
		text[n] = '\0';
	}
}

static void ask_guest(struct ours *o, int guest)
{
	_cleanup_(free_ptr) char *name = xasprintf("g%d", guest);

	wire_send(&o->wire, json_pack("{s:s, s:{s:s, s:s}, s:i}", "execute", "vm-qmp", "arguments",
				    "name", name, "command", "query-status", "id", guest));
}

/* Queries guests g1 to gN through the daemon, a few at once. */
static double ask_guests(struct ours *o, int guests)
{
	enum { AT_ONCE = 32 };
	double when = 0;
	int asked = 0;

	for (int answered = 0; answered < guests; answered++) {
		json_t *message;
		const json_t *result;

		while (asked < guests && asked < answered + AT_ONCE)
			ask_guest(o, ++asked);
		message = wire_receive(&o->wire, &when);
		result = json_object_get(message, "return");
		if (!streq(json_string_value(json_object_get(result, "status")), "running"))
			give_up("a guest was not taken back");
		json_decref(message);
	}
	return when;
}

/* CPU time used so far, which other processes hardly affect: proc(5) on schedstat. */
static double cpu_ms(pid_t pid)
{
	_cleanup_(free_ptr) char *path = xasprintf("/proc/%d/schedstat", (int)pid);
	char text[96] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
		give_up("read '%s': %s", path, strerror(errno));
	close(fd);
	return strtod(text, NULL) / 1e6;
}

static void ready(char **arg, int n)
{
	int guests = atoi(arg[1]), fd = notify_socket();

	(void)n;
	for (int rounds = number(arg[2]); rounds; rounds--) {
		struct ours o;
		double begun, when;
		pid_t pid = run(arg + 3, &begun);
		json_t *loop;

		wait_ready(fd);
		figure("ready", now_ms() - begun);
		ours_connect(&o, arg[0], NULL);
		if (guests)
			figure("adopted", ask_guests(&o, guests) - begun);
		figure("cpu", cpu_ms(pid));
		loop = ours_call(&o, "debug-loop", NULL, &when);
		figure("turn", json_number_value(json_object_get(loop, "longest_turn")) * 1e3);
		json_decref(loop);
		wire_close(&o.wire);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(fd);
}

/* --- the minimum cost of adoption: a connection to each monitor, and the queries that the daemon
 * makes, including those of ask_guests(); all at once --- */

static bool is_answer(const json_t *message, int id)
{
	return json_integer_value(json_object_get(message, "id")) == id &&
	       json_object_get(message, "return");
}

static void monitors(char **arg, int n)
{
	static const char *const questions[] = { "qmp_capabilities", "query-uuid", "query-status",
		"query-chardev", "query-balloon", "query-status" };
	enum { LAST = ARRAY_SIZE(questions) };
	int guests = number(arg[1]);
	struct wire *w = xcalloc((size_t)guests, sizeof *w);
	double when;

	(void)n;
	for (int i = 0; i < guests; i++) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/vms/g%d/qmp.sock", arg[0], i + 1);

		wire_connect(&w[i], path);
		for (int k = 0; k < LAST; k++)
			wire_send(&w[i],
				json_pack("{s:s, s:i}", "execute", questions[k], "id", k + 1));
	}
	for (int i = 0; i < guests; i++) {
		for (bool answered = false; !answered;) {
			json_t *message = wire_receive(&w[i], &when);

			answered = is_answer(message, LAST);
			json_decref(message);
		}
		wire_close(&w[i]);
	}
	free(w);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *usage;
		int arguments;
		void (*run)(char **arg, int n);
	} tasks[] = {
		{ "life", "SOCKET VM CMDLINE DIR LOG kill|stop|crash ROUNDS", 7, life },
		{ "requests", "SOCKET ROUNDS EXECUTE [ARGUMENTS]", 3, requests },
		{ "processes", "ROUNDS PROGRAM...", 2, processes },
		{ "commands", "ROUNDS FILE", 2, commands },
		{ "ready", "SOCKET GUESTS ROUNDS VMKEEPD...", 4, ready },
		{ "monitors", "RUN GUESTS", 2, monitors },
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(tasks); i++)
		if (streq(tasks[i].name, argv[1]) && argc - 2 >= tasks[i].arguments) {
			tasks[i].run(argv + 2, argc - 2);
			return 0;
		}
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
		fprintf(stderr, "usage: measure %s %s\n", tasks[i].name, tasks[i].usage);
	return 2;
}
