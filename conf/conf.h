/* SPDX-License-Identifier: MIT */
/*
 * conf/conf.h - text in, typed structs out; typed structs in, text out
 *
 * Pure: the caller gives the texts (conf/load.h reads files). All problems of all texts are
 * collected in one run. One table (conf/schema.h) drives parsing, checks, dump and diff.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/daemon.h"
#include "conf/network.h"
#include "conf/vm.h"

enum { CONF_TEXT_MAX = 1 << 20, CONF_LINE_MAX = 8192, CONF_PROBLEMS_MAX = 100 };

struct conf_source {
	const char *file; /* for messages, borrowed for the call */
	const char *text;
	size_t len;
};

struct conf_problem {		 /* the strings are the list's */
	struct conf_place place; /* no file: of none; no line: of all of it */
	const char *key;	 /* NULL: of none */
	const char *reason;
	const char *hint; /* what mends it, may be NULL */
	bool warning;	  /* it can work all the same */
};

struct conf_problems { /* zero it before use */
	size_t count;  /* also of those that are not kept, beyond CONF_PROBLEMS_MAX of one load */
	struct conf_problem *item;
	size_t n, cap;
	struct arena arena;
};

void conf_problem(struct conf_problems *p, const struct conf_place *place, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_problem_add(struct conf_problems *p, const struct conf_problem *problem); /* copies it */
void conf_problems_add(struct conf_problems *to, const struct conf_problems *from);
void conf_problems_release(struct conf_problems *p);
/* "file:line: key: reason" */
void conf_problem_print(const struct conf_problem *p, struct buf *b);
/* One per line; "" when there are none. The caller frees it. */
char *conf_problems_text(const struct conf_problems *p);
/* ERR_INVALID_CONFIG with the whole list as its text when there are problems, else 0. */
int conf_problems_err(const struct conf_problems *p, struct err *e);

struct conf_context { /* for specifiers and defaults; all borrowed for the call */
	const struct conf_daemon *defaults; /* may be NULL */
	const char *uuid;		    /* %u; NULL: an error where it is used */
	const char *state_dir;		    /* %s */
};

/* The out structs start as ..._INIT and are valid, fully defaulted, even when problems were found.
 * Of several sources later ones override: the file, then its drop-ins. */
void conf_vm_parse(struct conf_vm *out, const char *name, const struct conf_source *src, size_t n,
	const struct conf_context *ctx, struct conf_problems *p);
void conf_network_parse(struct conf_network *out, const char *name, const struct conf_source *src,
	size_t n, struct conf_problems *p);
void conf_daemon_parse(
	struct conf_daemon *out, const struct conf_source *src, size_t n, struct conf_problems *p);

/* Canonical text that parses back to the same (where there are no [Defaults]), implicit sections
 * and X- keys included. all: also keys that stand at their default; unset ones as "Key=". Literal %
 * is written as %%. */
void conf_vm_dump(const struct conf_vm *c, bool all, struct buf *b);
/* What a dump says, in place of what was there: it holds no specifiers and needs no defaults. */
int conf_vm_read(struct conf_vm *to, const char *name, const char *text, size_t len, struct err *e);
int conf_vm_copy(struct conf_vm *to, const struct conf_vm *from, struct err *e);
void conf_network_dump(const struct conf_network *c, bool all, struct buf *b);

/* When a change of a key takes effect. */
enum conf_apply { CONF_APPLY_START, CONF_APPLY_LIVE, CONF_APPLY_GUEST, CONF_APPLIES };

struct conf_change {
	const char *section, *id, *key; /* id NULL: the section has none; key NULL: all of it */
	const char *from, *to;		/* NULL: not there; of a whole section "[Disk root]" */
	enum conf_apply apply;
};

/* Calls f for each difference, in the order of the tables; the strings live only for the call.
 * Lists are shown joined by ", ". */
void conf_vm_diff(const struct conf_vm *from, const struct conf_vm *to,
	void (*f)(void *data, const struct conf_change *c), void *data);

void conf_network_diff(const struct conf_network *from, const struct conf_network *to,
	void (*f)(void *data, const struct conf_change *c), void *data);
/* Without [Defaults], which are seen in the VMs. */
void conf_daemon_diff(const struct conf_daemon *from, const struct conf_daemon *to,
	void (*f)(void *data, const struct conf_change *c), void *data);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
bool conf_name_ok(const char *name);
/* Lower case, others to '-', for DNS; buf of 64. */
const char *conf_dns_name(const char *name, char buf[64]);

/* The names behind an enum value of a key, for argv and messages ("writeback"). */
const char *conf_format_name(enum conf_format v);
const char *conf_bus_name(enum conf_bus v);
const char *conf_accel_name(enum conf_accel v);
const char *conf_aio_name(enum conf_aio v);
const char *conf_network_mode_name(enum conf_network_mode v);

#endif
