/* SPDX-License-Identifier: MIT */
/*
 * tests/bench/measure.h - shared by the parts of the measuring program
 *
 * A failed measurement ends the program with a line that says why: no figure is better than
 * a wrong one. All times are milliseconds of the monotonic clock.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

enum { PATIENCE_MS = 30000 }; /* no measured operation takes longer */

double now_ms(void);
_Noreturn void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void figure(const char *name, double ms); /* one line on stdout */

/* A connection that carries JSON lines: QEMU's monitor, the control socket. */
struct wire {
	int fd;
	char *data;
	size_t len, used;
};

void wire_open(struct wire *w, int fd /* stolen */);
void wire_connect(struct wire *w, const char *path);
void wire_close(struct wire *w);
void wire_send(struct wire *w, json_t *message /* stolen */);
/* The next message, which the caller frees; when: arrival of its last byte. */
json_t *wire_receive(struct wire *w, double *when);

/* --- the control socket --- */

struct ours {
	struct wire wire;
	const char *vm;
	double ended; /* the VM was no longer running */
	int serial;
};

void ours_connect(struct ours *o, const char *path, const char *vm);
/* The reply's return value, which the caller frees; when: its arrival. */
json_t *ours_call(
	struct ours *o, const char *execute, json_t *arguments /* stolen */, double *when);
double ours_do(struct ours *o, const char *execute); /* on the VM; returns when it completed */
void ours_look(struct ours *o, const json_t *message, double when); /* records the VM's events */

/* QEMU's own command line, run by hand: the same argv and descriptors, no daemon, no jail. */
struct hand {
	pid_t pid;
	int pidfd;
	struct wire qmp;
	double begun, executed, running;
	double greeting; /* QEMU sends it early, and reads nothing until its machine is created */
	double greeted;	 /* capabilities negotiated: what the daemon calls greeted */
};

struct words { /* argv in the format of /proc/PID/cmdline */
	char **word;
	char *text;
};

void words_read(struct words *words, const char *path);
void words_release(struct words *words);
void hand_start(struct hand *h, const struct words *words, const char *dir);
void hand_call(struct hand *h, const char *execute); /* returns when the reply arrived */
void hand_event(struct hand *h, const char *event);
double hand_end(struct hand *h); /* waits for the process; returns when it ended */

/* Waits for a text that a guest writes to this file after the first offset bytes. */
void text_wait(const char *path, off_t offset, const char *text);
off_t file_size(const char *path); /* 0: not in the file */

#endif
