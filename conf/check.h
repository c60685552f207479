/* SPDX-License-Identifier: MIT */
/*
 * conf/check.h - cross-key validation
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/schema.h"

/* Where each key was set, kept during a parse. */
struct conf_mark {
	const struct conf_section *section;
	const char *id; /* NULL: not a named section */
	const struct conf_key *key;
	struct conf_place place;
	bool by_default; /* set in [Defaults] */
	bool refused;	 /* its value was, so the field has another one */
};

struct conf_marks {
	struct conf_mark *mark;
	size_t n, cap;
};

/* NULL if not set anywhere. */
struct conf_mark *conf_mark_find(
	const struct conf_marks *m, const char *section, const char *id, const char *key);
void conf_mark_set(struct conf_marks *m, const struct conf_mark *mark);
void conf_mark_remove(struct conf_marks *m, const struct conf_section *section, const char *id,
	const struct conf_key *key);
/* Was the value of one of these keys of that element refused? Then a check that reads them would judge
 * values that nobody wrote. reads: "Section.Key", or "Section." for all of its keys; ends with NULL. */
bool conf_marks_refused(const struct conf_marks *m, const char *id, const char *const *reads);
/* Of a key in a section without id; file NULL if not set anywhere. */
struct conf_place conf_marks_place(
	const struct conf_marks *m, const char *section, const char *key);
/* Records where keys were set that only a comparison of all VMs can check. */
void conf_marks_note(const struct conf_marks *m, struct conf_vm *c);
void conf_marks_release(struct conf_marks *m);

void conf_check_name(const char *name, const struct conf_place *place, struct conf_problems *p);
/* whole: no problems so far, so an unset value is really missing and not just misspelt. d: has the
 * stores; NULL: unknown. */
void conf_vm_check(const struct conf_vm *c, const struct conf_daemon *d, const struct conf_marks *m,
	bool whole, struct conf_problems *p);
void conf_daemon_check(const struct conf_daemon *c, const struct conf_marks *m, bool whole,
	struct conf_problems *p);
void conf_network_check(
	const struct conf_network *c, const struct conf_marks *m, struct conf_problems *p);

#endif
