/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/exec.h - commands and files in a guest, as streams
 *
 * Each call has a connection of its own, which becomes the stream: vmkeep-api(7) describes its
 * frames. Nothing here prints errors.
 */
#ifndef SUPERVISOR_CLIENT_EXEC_H
#define SUPERVISOR_CLIENT_EXEC_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

struct exec {
	const char *run;       /* conn_run_dir() */
	const char *execute;   /* the verb */
	json_t *arguments;     /* borrowed */
	int in, out, err;      /* -1: no input; output is dropped */
	struct buf *complaint; /* gets the beginning of its standard error; may be NULL */
};

/* To the end of the command. 0 to 255: its exit code; -errno: our own failure, or the daemon's.
 * SIGINT, SIGTERM and SIGQUIT are passed on as SIGTERM, a second one as SIGKILL, and the exit code
 * returned as usual; SIGHUP ends it here, and the daemon ends the command. On a terminal, what the
 * guest writes is escaped. */
int exec_stream(const struct exec *x, struct err *e);

/* guest exec: words is an array of strings; timeout in seconds or as "2min", NULL: none. */
int exec_command(const char *run, const char *vm, json_t *words /* borrowed */,
	const json_t *timeout, int in, int out, int err, struct err *e);

/* One file, whole or not at all; REMOTE is absolute, and may be a directory, as LOCAL may when
 * pulling. 0 or -errno. */
int exec_push(
	const char *run, const char *vm, const char *local, const char *remote, struct err *e);
int exec_pull(
	const char *run, const char *vm, const char *remote, const char *local, struct err *e);

#endif
