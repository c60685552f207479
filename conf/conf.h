/* SPDX-License-Identifier: MIT */
/*
 * conf/conf.h - configuration text to typed structs, and back
 *
 * Pure: the caller supplies the texts (conf/load.h reads files). One run collects all problems of
 * all texts. One table (conf/schema.h) drives parsing, checks, dump and diff.
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

struct conf_problem {		 /* the list owns the strings */
	struct conf_place place; /* no file: applies to none; no line: to the whole file */
	const char *key;	 /* NULL: no key */
	const char *reason;
	const char *hint; /* the fix, may be NULL */
	bool warning;	  /* works all the same */
	const char *has;  /* key applies once: what the thing has instead; NULL: another problem */
	/* what a start would fail with; conf_problem() sets ERR_INVALID_CONFIG */
	enum err_class class;
};

struct conf_problems { /* zero it before use */
	size_t count;  /* errors; includes those not kept, beyond CONF_PROBLEMS_MAX per load */
	size_t warnings;
	struct conf_problem *item;
	size_t n, cap;
	struct arena arena;
};

/* The line that sets the key, where at is the section's or the file's place; at if that is not
 * known. */
const struct conf_place *conf_vm_line(
	const struct conf_vm *c, const struct conf_place *at, const char *key);

void conf_problem(struct conf_problems *p, const struct conf_place *place, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* A warning: the configuration works all the same. */
void conf_warning(struct conf_problems *p, const struct conf_place *place, const char *key,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void conf_problem_add(struct conf_problems *p, const struct conf_problem *problem); /* copies it */
void conf_problems_add(struct conf_problems *to, const struct conf_problems *from);
void conf_problems_release(struct conf_problems *p);
/* "file:line: key: reason" */
void conf_problem_print(const struct conf_problem *p, struct buf *b);
/* One per line; "" if there are none. Caller frees. */
char *conf_problems_text(const struct conf_problems *p);
/* If there are problems, ERR_INVALID_CONFIG with the list as its text; else 0. */
int conf_problems_err(const struct conf_problems *p, struct err *e);

struct conf_context { /* for specifiers and defaults; all borrowed for the call */
	const struct conf_daemon *defaults; /* may be NULL */
	const char *uuid;		    /* %u; NULL: using it is an error */
	const char *state_dir;		    /* %s */
	const char *newer;		    /* see conf/known.h; NULL: no newer version ran here */
};

/* The out structs start as ..._INIT. They are valid and fully defaulted even if problems were
 * found. Later sources override earlier ones: the file, then its drop-ins. */
void conf_vm_parse(struct conf_vm *out, const char *name, const struct conf_source *src, size_t n,
	const struct conf_context *ctx, struct conf_problems *p);
void conf_network_parse(struct conf_network *out, const char *name, const struct conf_source *src,
	size_t n, struct conf_problems *p);
void conf_daemon_parse(
	struct conf_daemon *out, const struct conf_source *src, size_t n, struct conf_problems *p);

/* Canonical text that parses back to the same struct (without [Defaults]), including implicit
 * sections and X- keys. all: also keys at their default, and unset ones as "Key=". A literal % is
 * written as %%. */
void conf_vm_dump(const struct conf_vm *c, bool all, struct buf *b);
/* Replaces *to with the contents of a dump, which has no specifiers and needs no defaults. */
/* The disks' stores are not in a dump: conf_vm_place() finds them, conf_vm_copy() keeps them. */
int conf_vm_read(struct conf_vm *to, const char *name, const char *text, size_t len, struct err *e);
int conf_vm_copy(struct conf_vm *to, const struct conf_vm *from, struct err *e);
/* The same, with a drop-in on top; its disks are in the image directory. */
int conf_vm_copy_with(struct conf_vm *to, const struct conf_vm *from,
	const struct conf_source *dropin, struct err *e);
/* Where the disks' stores are, as vmkeep.conf has them now. */
void conf_vm_place(struct conf_vm *c, const struct conf_daemon *d);
void conf_network_dump(const struct conf_network *c, bool all, struct buf *b);

/* When a changed key takes effect. */
enum conf_apply {
	CONF_APPLY_START,
	CONF_APPLY_LIVE,
	CONF_APPLY_GUEST,
	CONF_APPLY_ONCE, /* when the thing is made; later the thing itself counts */
	CONF_APPLIES
};

struct conf_change {
	const char *section, *id, *key; /* id NULL: none; key NULL: the whole section */
	const char *from, *to;		/* NULL: absent; for a whole section "[Disk root]" */
	enum conf_apply apply;
};

/* Calls f for each difference, in table order, except of keys that apply once; the strings are valid only during the call. Lists
 * are joined by ", ". */
void conf_vm_diff(const struct conf_vm *from, const struct conf_vm *to,
	void (*f)(void *data, const struct conf_change *c), void *data);

void conf_network_diff(const struct conf_network *from, const struct conf_network *to,
	void (*f)(void *data, const struct conf_change *c), void *data);
/* Without [Defaults]: their effect shows in the VMs. */
void conf_daemon_diff(const struct conf_daemon *from, const struct conf_daemon *to,
	void (*f)(void *data, const struct conf_change *c), void *data);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
bool conf_name_ok(const char *name);
/* Lower case, all but letters and digits become '-', for DNS; buf of 64 bytes. */
const char *conf_dns_name(const char *name, char buf[64]);

/* The names of a key's enum values, for argv and messages ("writeback"). */
const char *conf_format_name(enum conf_format v);
const char *conf_bus_name(enum conf_bus v);
const char *conf_accel_name(enum conf_accel v);
const char *conf_enable_name(enum conf_enable v);
const char *conf_aio_name(enum conf_aio v);
const char *conf_network_mode_name(enum conf_network_mode v);

#endif
