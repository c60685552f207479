/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/command.h - one invocation: a verb, its targets, its output
 *
 * Most verbs need nothing here: calls.c sends them and print.c formats the result by its shape.
 * run.c lists the exceptions, in how they run or print.
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
	const struct api_result *result; /* result type with these arguments */
	struct conn conn;
	bool json, quiet;
	bool tty;	     /* stdout is a terminal */
	size_t width;	     /* its width, 0: no limit */
	const char **target; /* names, globs resolved; owned, as are the strings */
	size_t targets;
	bool several;	  /* targets given as more than one word or as a glob */
	struct buf out;	  /* not yet written */
	size_t headings;  /* number of headings printed so far */
	json_t *document; /* --json output, an array; NULL: none yet */
};

/* How a verb differs from the default; NULL: default. */
struct command_form {
	const char *execute;
	int (*run)(struct command *c); /* replaces calls_run(), returns the exit code */
	void (*print)(struct command *c, const char *target, const json_t *result);
	void (*print_dry)(struct command *c, const char *target, const json_t *result);
	int (*status)(const json_t *result); /* exit code of a result, instead of 0 */
	const char *column,
		*value; /* a row with it, or any row if value is NULL: exit with class */
	enum err_class class;
};

/* Runs the verb and prints; returns the exit code. run.c */
int command_run(const struct args *a);
/* Connects and resolves globs; verbs that run without the daemon do not call it. */
int command_open(struct command *c, struct err *e);

/* Asks on a terminal, if the command ends or discards much at once; 0: go on. confirm.c */
int confirm(struct command *c, struct err *e);

/* Prints a result according to the verb's form, --json and --quiet; returns the exit code. */
int command_result(struct command *c, const char *target, const json_t *result);
/* Formats a result for people, into c->out, by its shape. target NULL: the verb has none. */
void command_print(struct command *c, const char *target, const json_t *result);
/* "web1: disk root created, 20G", one line each. */
void command_print_notes(struct command *c, const char *target, const json_t *notes);
/* Adds an error instead of a result to the --json output, see api/result.h. */
void command_add_json_error(struct command *c, const char *target, const struct err *e);
void command_flush_json(struct command *c);
/* The exit code of an error: this one, or that of a command whose codes are a program's. */
int command_failed(const struct command *c, int code);
/* Any value as JSON text, into c->out. */
void command_print_json(struct command *c, const json_t *value);
/* Writes c->out to stdout. If the reader is gone, exits quietly with 1. */
void command_flush(struct command *c);

/* Opens, then sends the command's request for all its targets. calls.c */
int calls_run(struct command *c);
/* Opens, then sends one request, for the only target if there is one: 0, or the exit code of an
 * error that was printed. Further messages arrive on c->conn. */
int calls_begin(struct command *c);

/* run functions of verbs beyond request and result; each opens by itself. */
int check_run(struct command *c);     /* check.c */
int events_run(struct command *c);    /* events.c */
int stream_run(struct command *c);    /* stream.c */
int ssh_run(struct command *c);	      /* ssh.c */
int create_run(struct command *c);    /* create.c */
int fetch_image(struct command *c);   /* fetch.c: 0, or an exit code */
int throwaway_run(struct command *c); /* throwaway.c */
int console_run(struct command *c);   /* console.c */
int start_run(struct command *c);     /* also there: with --console */
int start_status(const json_t *result);

int editor_run(struct command *c); /* editor.c */

/* sentence.c */
void sentence_fetched(struct command *c, const char *target, const json_t *result);
void sentence_clone(struct command *c, const char *target, const json_t *result);
void sentence_rename(struct command *c, const char *target, const json_t *result);
void sentence_memory(struct command *c, const char *target, const json_t *result);
void sentence_cd(struct command *c, const char *target, const json_t *result);
void sentence_nic(struct command *c, const char *target, const json_t *result);
void sentence_disk(struct command *c, const char *target, const json_t *result);
void sentence_snapshot(struct command *c, const char *target, const json_t *result);
void sentence_freeze(struct command *c, const char *target, const json_t *result);
void sentence_thaw(struct command *c, const char *target, const json_t *result);
void sentence_time(struct command *c, const char *target, const json_t *result);
/* A result of vm-info for people; the caller owns it. */
json_t *sentence_info(const json_t *result);
/* edit.c: one line per change of a file */
void edit_print(struct command *c, const char *target, const json_t *result);
void edit_print_dry(struct command *c, const char *target, const json_t *result);
/* create.c: the file of a new VM */
void create_print(struct command *c, const char *target, const json_t *result);
void create_print_dry(struct command *c, const char *target, const json_t *result);
/* problems.c: list --problems */
int problems_run(struct command *c);
void problems_print(struct command *c, const char *target, const json_t *result);

/* guest.c */
int guest_passwd_run(struct command *c);
int guest_exec_run(struct command *c);
int guest_exec_status(const json_t *result);
void guest_exec_print(struct command *c, const char *target, const json_t *result);

int copy_push_run(struct command *c); /* copy.c */
int copy_pull_run(struct command *c);

/* dry.c: output of --dry-run */
void dry_shutdown_print(struct command *c, const char *target, const json_t *result);
void dry_net_stop_print(struct command *c, const char *target, const json_t *result);
void dry_reload_print(struct command *c, const char *target, const json_t *result);
void delete_print(struct command *c, const char *target, const json_t *result); /* delete.c */
void delete_print_dry(struct command *c, const char *target, const json_t *result);
void delete_print_removed(struct command *c, const char *target, const json_t *result);
/* prune.c */
void prune_print(struct command *c, const char *target, const json_t *result);
void prune_print_dry(struct command *c, const char *target, const json_t *result);
int prune_status(const json_t *result);
void dry_revert_print(struct command *c, const char *target, const json_t *result);
/* The exit code of the refusal, if there would be one. */
int dry_status(const json_t *result);

/* Resolves c->args->target to names. targets.c */
int targets_resolve(struct command *c, struct err *e);
void targets_release(struct command *c);

#endif
