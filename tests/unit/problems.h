/* SPDX-License-Identifier: MIT */
/*
 * Problems of configurations as text, for comparison.
 */
#ifndef TESTS_UNIT_PROBLEMS_H
#define TESTS_UNIT_PROBLEMS_H

#include "base/mem.h"
#include "conf/conf.h"

static inline void problems_are(const struct conf_problems *p, const char *want)
{
	_cleanup_(free_ptr) char *text = conf_problems_text(p);

	assert_string_equal(text, want);
}

static inline bool problems_have(const struct conf_problems *p, const char *part)
{
	_cleanup_(free_ptr) char *text = conf_problems_text(p);

	return strstr(text, part) != NULL;
}

#endif
