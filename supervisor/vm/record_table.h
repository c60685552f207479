/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/record_table.h - the members of a run record, one row each
 *
 * Writing, reading and the test use the same rows. Version 1 is released: older daemons insist
 * on each required member, so the set of required members is fixed. Any other member may be
 * missing or have a wrong type, which means the same. Unknown members are ignored.
 */
#ifndef SUPERVISOR_VM_RECORD_TABLE_H
#define SUPERVISOR_VM_RECORD_TABLE_H

#include "supervisor/vm/record.h"

enum record_type {
	RECORD_BOOL,
	RECORD_INT, /* 4 or 8 bytes */
	RECORD_HEX, /* uint64_t, as 16 digits of text */
	RECORD_REAL,
	RECORD_TEXT,   /* char[] */
	RECORD_STRING, /* char *, owned; NULL: omitted */
	RECORD_WORD,   /* an enum, by name; an unknown name changes nothing */
	RECORD_ARRAY,  /* read and write functions in the row */
};

struct record_row {
	const char *name;
	enum record_type type;
	bool required;
	bool process; /* at is an offset into struct record_process, not struct vm */
	size_t at, size;
	/* name of the same moment by clock_boot(); the row itself is wall clock */
	const char *boot_name;
	size_t boot;
	json_int_t max; /* upper limit of an INT, 0: none */
	unsigned words; /* number of values of a WORD */
	const char *(*word)(unsigned value);
	json_t *(*write)(const struct vm *vm);
	void (*read)(struct vm *vm, const json_t *value); /* value NULL: missing */
};

extern const struct record_row record_rows[];
extern const size_t record_rows_count;

/* Owned by the caller; NULL: a required member cannot be written. */
json_t *record_write(const struct vm *vm);
/* False: damaged, and vm is unchanged. */
bool record_read(struct vm *vm, struct record_process *p, const json_t *doc);

#endif
