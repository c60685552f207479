/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/command.h - one invocation: a verb, its targets, its output
 *
 * Most verbs need nothing here: calls.c sends them and print.c lays out the result by its shape.
 * run.c lists those that differ, in how they run or in how they print.
 */
#ifndef SUPERVISOR_CLIENT_COMMAND_H
#define SUPERVISOR_CLIENT_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "supervisor/client/args.h"
#include "supervisor/client/conn.h"

struct command {
	const struct args *args;
	const struct api_verb *verb;
	const struct command_form *form; /* of the verb, never NULL */
	const struct api_result *result; /* what it returns with these arguments */
	struct conn conn;
	bool json, quiet;
	bool tty;	     /* stdout */
	size_t width;	     /* of it, 0: no limit */
	const char **target; /* names, globs resolved; owned, as are the strings */
	size_t targets;
	bool several;	  /* targets were named by more than one word or by a glob */
	struct buf out;	  /* not yet written */
	size_t headings;  /* printed between results */
	json_t *document; /* of --json, an array; NULL: nothing yet */
};

/* What is not the usual way in a verb; NULL: as usual. */
struct command_form {
	const char *execute;
	int (*run)(struct command *c); /* in place of calls_run(), returns the exit code */
	void (*print)(struct command *c, const char *target, const json_t *result);
	void (*print_dry)(struct command *c, const char *target, const json_t *result);
	int (*status)(const json_t *result); /* exit code of a result, in place of 0 */
	const char *column,
		*value; /* a row that has this, or any where value is NULL, ends with: */
	enum err_class class;
};

/* Runs the verb and prints; returns the exit code. run.c */
int command_run(const struct args *a);
/* Connects and resolves globs; what runs without the daemon does not call it. */
int command_open(struct command *c, struct err *e);

/* A result as the form of the verb, --json and --quiet have it; the exit code. */
int command_result(struct command *c, const char *target, const json_t *result);
/* A result for people, into c->out, by its shape. target NULL: the verb has none. */
void command_print(struct command *c, const char *target, const json_t *result);
/* In place of the result, in what --json prints in the end, see api/result.h. */
void command_add_json_error(struct command *c, const char *target, const struct err *e);
void command_flush_json(struct command *c);
/* Any value as JSON text, into c->out. */
void command_print_json(struct command *c, const json_t *value);
/* Writes c->out to stdout. A reader that went away ends the program quietly with 1. */
void command_flush(struct command *c);

/* Opens, then sends the command's request for all its targets. calls.c */
int calls_run(struct command *c);
/* Opens, then asks once, for the only target if there is one: 0, or the exit code of an error that was
 * printed. What follows comes in c->conn. */
int calls_begin(struct command *c);

/* Runs of verbs that are not request and result; each opens by itself. */
int check_run(struct command *c);   /* check.c */
int events_run(struct command *c);  /* events.c */
int stream_run(struct command *c);  /* stream.c */
int console_run(struct command *c); /* console.c */

/* guest.c */
int guest_passwd_run(struct command *c);
int guest_exec_status(const json_t *result);
void guest_exec_print(struct command *c, const char *target, const json_t *result);

/* dry.c: what --dry-run prints */
void dry_shutdown_print(struct command *c, const char *target, const json_t *result);
void dry_net_stop_print(struct command *c, const char *target, const json_t *result);
void dry_reload_print(struct command *c, const char *target, const json_t *result);
void dry_revert_print(struct command *c, const char *target, const json_t *result);
/* That of the refusal, where there would be one. */
int dry_status(const json_t *result);

/* Turns c->args->target into names. targets.c */
int targets_resolve(struct command *c, struct err *e);
void targets_release(struct command *c);

#endif
