/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/record_table.h - what a run record holds, one row a member
 *
 * Writing, reading and the test walk the same rows. Version 1 has been released: older daemons ask for
 * each required member, so that none goes, and none comes; of the others any may be missing or of
 * another type, which is the same. A member that nothing knows is passed over.
 */
#ifndef SUPERVISOR_VM_RECORD_TABLE_H
#define SUPERVISOR_VM_RECORD_TABLE_H

#include "supervisor/vm/record.h"

enum record_type {
	RECORD_BOOL,
	RECORD_INT, /* of 4 or 8 bytes */
	RECORD_HEX, /* uint64_t, as 16 digits of text */
	RECORD_REAL,
	RECORD_TEXT,   /* char[] */
	RECORD_STRING, /* char *, owned; NULL: left out */
	RECORD_WORD,   /* an enum, by name; an unknown name leaves what was there */
	RECORD_ARRAY,  /* by functions of its own */
};

struct record_row {
	const char *name;
	enum record_type type;
	bool required;
	bool process; /* at is in struct record_process, not in struct vm */
	size_t at, size;
	const char *boot_name; /* beside a moment of the wall clock: the same by clock_boot() */
	size_t boot;
	json_int_t max; /* of an INT that may not be anything */
	unsigned words; /* of a WORD */
	const char *(*word)(unsigned value);
	json_t *(*write)(const struct vm *vm);
	void (*read)(struct vm *vm, const json_t *value); /* NULL: there is none */
};

extern const struct record_row record_rows[];
extern const size_t record_rows_count;

/* The caller's; NULL: something required cannot be written. */
json_t *record_write(const struct vm *vm);
/* False: damaged, and nothing of vm is changed. */
bool record_read(struct vm *vm, struct record_process *p, const json_t *doc);

#endif
