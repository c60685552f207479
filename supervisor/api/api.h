/* SPDX-License-Identifier: MIT */
/*
 * supervisor/api/api.h - the contract with clients, as tables
 *
 * Verbs, arguments, results, roles, events, error classes and exit codes. Server, client, help,
 * completion, vmkeep(1) and vmkeep-api(7) are all generated from these.
 */
#ifndef SUPERVISOR_API_API_H
#define SUPERVISOR_API_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { API_VERSION = 1 };

/* Ordered: each role includes those above. The owner role applies to the user's own VMs only. */
enum api_role {
	API_ROLE_NONE,
	API_ROLE_VIEW,
	API_ROLE_CREATE,
	API_ROLE_OWNER,
	API_ROLE_OPERATOR,
	API_ROLE_ROOT,
	API_ROLES
};
const char *api_role_name(enum api_role r);

/* The type of an argument, checked by the server before the handler runs, and by the client. */
enum api_type {
	API_STRING, /* without control characters */
	API_NAME,   /* of a VM, network or snapshot: [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
	API_SIZE,   /* bytes, or "512M" */
	API_TIME,   /* seconds as a number, or "2min" */
	API_INT,    /* not negative */
	API_BOOL,
	API_JSON,  /* any value */
	API_WORDS, /* strings, at least one; on the command line all remaining words */
	API_TYPES
};
const char *api_type_name(enum api_type t);

/* "infinity", in seconds; also the largest value accepted. */
enum { API_TIME_MAX = 1000 * 1000 * 1000 };

enum { API_ARGS_MAX = 20, API_ALIASES_MAX = 6 };

struct api_arg {
	const char *name; /* in "arguments" */
	enum api_type type;
	bool required;
	const char *option; /* "--timeout TIME", "-f, --follow", or positional "NAME"; NULL: none */
	const char *help;
	const char *const *choices; /* if only these are valid; ends with NULL; NULL: any */
	bool harms;		    /* overrides a protection: never suggested */
	bool client;		    /* an option of the command: never sent */
};

enum api_target { API_NO_TARGET, API_VM, API_VMS /* several, globs */, API_NETWORK, API_NETWORKS };

/* The type of a member of a result, or of a table column. An unknown value is null or absent. */
enum api_value {
	API_TEXT,
	API_ID, /* text, always present */
	API_NUMBER,
	API_FRACTION,
	API_BYTES,
	API_SECONDS, /* a duration */
	API_DATE,    /* Unix time, in seconds */
	API_TRUTH,
	API_FLAG, /* boolean; false if absent */
	API_TEXTS,
	API_OBJECT, /* with its own members */
	API_LIST,   /* of such objects */
	API_TABLE,  /* columns and rows */
	API_VALUES
};
const char *api_value_name(enum api_value v);

struct api_field {
	const char *name; /* on the wire */
	enum api_value type;
	const char *help;	    /* if the name is not enough */
	const char *as;		    /* its name in --json, if the wire's is not a stable one */
	const struct api_field *of; /* OBJECT, LIST, TABLE: ends with a NULL name */
	const char *head;	    /* what people read in place of the name */
};

/* Columns: a table. Members: an object, with a table beside them if there are columns too.
 * Neither: any JSON. All end with a NULL name. */
struct api_result {
	const struct api_field *members, *columns;
	const char *rows;	       /* with both: the table's key in --json */
	const char *with;	       /* replaces the usual result if this argument is true */
	const struct api_field *shown; /* members in --json, if the client adds to them */
};

enum api_trait {
	/* Preconditions, checked in this order before the handler runs, once the VM is found. */
	API_NOT_BUSY = 1,    /* no running operation may hold the VM: Conflict */
	API_NEEDS_GUEST = 2, /* it is running or paused: WrongState */
	API_JOINS = 4,	     /* a request may join a running operation, so the handler checks */
	API_NAME_ONLY = 8,   /* the VM itself may be gone: no lookup */
	API_NEEDS = 15,	     /* all of these */

	API_JOB = 16,	   /* takes time; "wait": false returns {"job": N} at once */
	API_PROGRAMS = 32, /* runs helper programs: a few at a time per user */
	API_OWN_ROWS = 64, /* owners of VMs may call it too, and see their own VMs' rows */
	API_STREAM = 128,  /* replies, then the connection is raw bytes */
	API_SHARED = 256,  /* joins a running job of this verb for the same VM */
	API_HARMS = 512,   /* stops, discards or overwrites something: never suggested */
	API_ASKS = 1024,   /* the client shows a dry run and needs a yes, also without a terminal */
	API_KEEPS = 2048, /* not for a throw-away VM: starts, changes, copies or keeps what it is */
	API_RUNS = 4096,  /* the command's exit code is that of a program in a guest, see below */
	API_NEW = 8192,	  /* the target is not there yet: its name is not looked for */
};

/* The exit code of an API_RUNS command that fails itself. */
enum { API_EXIT_OWN = 125 };

struct api_verb {
	const char *execute; /* "vm-start" */
	const char *command; /* "start"; "net list"; NULL: not on the command line */
	enum api_role role;
	enum api_target target;		      /* its argument is "name" */
	unsigned traits;		      /* enum api_trait */
	const char *aliases[API_ALIASES_MAX]; /* as spelt by virsh and others; ends with NULL */
	struct api_arg arg[API_ARGS_MAX];     /* ends with a NULL name */
	const char *result;		      /* the meaning of "return", one sentence */
	struct api_result returns, other;     /* other: selected by an argument */
	const char *help;		      /* one line, for people */
	const char *text;		      /* a paragraph for the manual, may be NULL */
};

extern const struct api_verb api_verbs[];
extern const size_t api_verbs_n;
const struct api_verb *api_verb_by_execute(const char *execute);
/* By command or alias; command may have two words ("net list"). */
const struct api_verb *api_verb_by_command(const char *command);
/* The nearest "execute" name, for "did you mean", or NULL; also NULL if that verb harms. */
const char *api_verb_nearest(const char *execute);

/* All arguments of a verb in command line order: its target's "name", its own, and "wait" for a
 * job. NULL after the last. */
const struct api_arg *api_verb_arg(const struct api_verb *v, size_t i);

/* True if s is one of the choices, or if any value is valid. */
bool api_is_choice(const struct api_arg *arg, const char *s);
/* "console, qemu"; buf of 128 bytes. */
const char *api_choices(const struct api_arg *arg, char buf[128]);

/* Checks a request's arguments against the table: names, types, required ones, control
 * characters. Sizes and times given as text become numbers in args (bytes, seconds). */
int api_check_arguments(const struct api_verb *v, json_t *args, struct err *e);

struct api_event {
	const char *name; /* "VM_STATE" */
	const char *help;
	const char *data; /* "member: meaning; member: meaning" */
};
extern const struct api_event api_events[];
extern const size_t api_events_n;

struct api_class {
	const char *name; /* "WrongState" */
	int exit;
	const char *help;
};
const struct api_class *api_class(enum err_class c);
bool api_class_parse(const char *name, enum err_class *c);
/* {"class", "desc", "hint"}, as in an error reply and JOB_DONE; invalid UTF-8 is escaped. */
json_t *api_error_json(const struct err *e);
/* A string from any bytes: invalid UTF-8 is escaped. */
json_t *api_text(const char *text);

/* The result of query-schema, from all of the above. */
json_t *api_schema(void);

#endif
