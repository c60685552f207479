/* SPDX-License-Identifier: MIT */
/* conf/check_private.h - shared by the files that check a VM */
#ifndef CONF_CHECK_PRIVATE_H
#define CONF_CHECK_PRIVATE_H

#include "conf/check.h"

struct check {
	const struct conf_vm *c;
	const struct conf_daemon *daemon; /* or NULL */
	const struct conf_marks *marks;
	struct conf_problems *problems;
	bool whole; /* an unset value is missing, not misspelt */
};

/* The line that sets the key, else the section's first line, else the file. mark.c */
const struct conf_place *conf_check_place(const struct check *k, const char *section,
	const char *id, const char *key, const struct conf_place *begin);
/* Was the value of one of these keys refused? See conf_marks_refused(); id may be NULL. */
#define CHECK_REFUSED(k, id, ...) \
	conf_marks_refused((k)->marks, id, (const char *const[]){ __VA_ARGS__, NULL })
/* check_disk.c */
void conf_check_disks(const struct check *k);

#endif
