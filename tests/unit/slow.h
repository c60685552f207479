/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/slow.h - deadlines of tests
 *
 * A deadline only ends a hung test; no test judges how long something took. Each deadline is four times as long
 * as written, and VMKEEP_SLOW=N multiplies it by N.
 */
#ifndef TESTS_UNIT_SLOW_H
#define TESTS_UNIT_SLOW_H

#include <stdlib.h>

static inline double stretched(double seconds)
{
	const char *text = getenv("VMKEEP_SLOW");
	double factor = text ? strtod(text, NULL) : 1;

	return seconds * 4 * (factor > 0 ? factor : 1);
}

static inline int stretched_ms(double seconds)
{
	return (int)(stretched(seconds) * 1000);
}

#endif
