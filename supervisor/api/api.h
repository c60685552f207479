/* SPDX-License-Identifier: MIT */
/*
 * supervisor/api/api.h - the contract with clients, as tables
 *
 * Verbs, arguments, results, roles, events, error classes and exit codes. Server, client, help,
 * completion, vmkeep(1) and vmkeep-api(7) are drawn from these.
 */
#ifndef SUPERVISOR_API_API_H
#define SUPERVISOR_API_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { API_VERSION = 1 };

/* Ordered: who has one has those before it. An owner's reaches as far as his own VMs. */
enum api_role {
	API_ROLE_NONE,
	API_ROLE_VIEW,
	API_ROLE_OWNER,
	API_ROLE_OPERATOR,
	API_ROLE_ROOT,
	API_ROLES
};
const char *api_role_name(enum api_role r);

/* How an argument is given, checked by the server before the handler runs and by the client. */
enum api_type {
	API_STRING, /* without control characters */
	API_NAME,   /* of a VM, network, snapshot: [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
	API_SIZE,   /* bytes, or "512M" */
	API_TIME,   /* seconds as a number, or "2min" */
	API_INT,    /* not negative */
	API_BOOL,
	API_JSON,  /* any value */
	API_WORDS, /* strings, one at least; on the command line all words that are left */
	API_TYPES
};
const char *api_type_name(enum api_type t);

/* "infinity", as a number of seconds; no more than this is accepted. */
enum { API_TIME_MAX = 1000 * 1000 * 1000 };

enum { API_ARGS_MAX = 8, API_ALIASES_MAX = 6, API_CHOICES_MAX = 6 };

struct api_arg {
	const char *name; /* in "arguments" */
	enum api_type type;
	bool required;
	const char *option; /* "--timeout TIME", "-f, --follow", or "NAME" for a positional one;
			       NULL: not on the command line */
	const char *help;
	const char *choices[API_CHOICES_MAX]; /* where only these are taken; ends with NULL */
};

enum api_target { API_NO_TARGET, API_VM, API_VMS /* several, globs */, API_NETWORK, API_NETWORKS };

/* What a member of a result is, or a column of a table. One that is not known is null, or missing. */
enum api_value {
	API_TEXT,
	API_ID, /* a text that is always there */
	API_NUMBER,
	API_FRACTION,
	API_BYTES,
	API_SECONDS, /* how long */
	API_DATE,    /* Unix time, in seconds */
	API_TRUTH,
	API_FLAG, /* a truth; false where it is missing */
	API_TEXTS,
	API_OBJECT, /* with members of its own */
	API_LIST,   /* of such objects */
	API_TABLE,  /* columns and rows */
	API_VALUES
};
const char *api_value_name(enum api_value v);

struct api_field {
	const char *name; /* on the wire */
	enum api_value type;
	const char *help; /* where the name does not say it all */
	const char *as;	  /* its name in --json, where that on the wire is none for all time */
	const struct api_field *of; /* OBJECT, LIST, TABLE: ends with a NULL name */
	const char *head; /* over its column, where the name is too long for a line of 80 */
};

/* Columns: a table. Members: an object, which has a table beside them where there are columns too.
 * Neither: any JSON. All end with a NULL name. */
struct api_result {
	const struct api_field *members, *columns;
	const char *rows; /* with both: what --json calls the table */
	const char *with; /* returned in place of the usual where this argument is true */
	const struct api_field *shown; /* members of --json, where the client tells more */
};

enum api_trait {
	/* What is refused before the handler runs, in this order, once the VM is found. */
	API_NOT_BUSY = 1,    /* no operation under way holds the VM: Conflict */
	API_NEEDS_GUEST = 2, /* it runs or is paused: WrongState */
	API_JOINS = 4,	   /* but for a request that joins one under way, which the handler sees */
	API_NAME_ONLY = 8, /* the VM itself may be gone: nothing is looked up */
	API_NEEDS = 15,	   /* all of these */

	API_JOB = 16,	   /* takes time; "wait": false returns {"job": N} at once */
	API_PROGRAMS = 32, /* runs programs of ours: a few of a user's at a time */
	API_OWN_ROWS = 64, /* who owns a VM may it too, and sees the rows of own ones */
	API_STREAM = 128,  /* replies, then the connection is raw bytes */
	API_SHARED = 256,  /* a job of it for the same VM that is under way is joined */
};

struct api_verb {
	const char *execute; /* "vm-start" */
	const char *command; /* "start"; "net list"; NULL: not on the command line */
	enum api_role role;
	enum api_target target;		      /* its argument is "name" */
	unsigned traits;		      /* enum api_trait */
	const char *aliases[API_ALIASES_MAX]; /* virsh's and others' spellings; ends with NULL */
	struct api_arg arg[API_ARGS_MAX];     /* ends with a NULL name */
	const char *result;		      /* what "return" holds, one sentence */
	struct api_result returns, other;     /* other: for one with an argument */
	const char *help;		      /* one line, for people */
	const char *text;		      /* a paragraph for the manual, may be NULL */
};

extern const struct api_verb api_verbs[];
extern const size_t api_verbs_n;
const struct api_verb *api_verb_by_execute(const char *execute);
/* By command or alias; command may have two words ("net list"). */
const struct api_verb *api_verb_by_command(const char *command);
/* The nearest "execute" name, for "did you mean", or NULL. */
const char *api_verb_nearest(const char *execute);

/* All arguments of a verb in the order of the command line: its target's "name", its own, and
 * "wait" of a job. NULL after the last. */
const struct api_arg *api_verb_arg(const struct api_verb *v, size_t i);

/* Is it one of those that may be given, or may anything? */
bool api_is_choice(const struct api_arg *arg, const char *s);
/* "console, qemu"; buf of 128. */
const char *api_choices(const struct api_arg *arg, char buf[128]);

/* Holds the arguments of a request against the table: names, types, required ones, control
 * characters. Sizes and times that were given as text become numbers in args (bytes, seconds). */
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
/* {"class", "desc", "hint"}, as in an error reply and JOB_DONE; what is no UTF-8 is escaped. */
json_t *api_error_json(const struct err *e);
/* A string, whatever the bytes: what is not UTF-8 is escaped. */
json_t *api_text(const char *text);

/* What query-schema returns, from all of the above. */
json_t *api_schema(void);

#endif
