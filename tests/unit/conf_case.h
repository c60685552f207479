/* SPDX-License-Identifier: MIT */
/*
 * Shared by the tests of conf/: a text goes in, problems come out.
 */
#ifndef TESTS_UNIT_CONF_CASE_H
#define TESTS_UNIT_CONF_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "tests/unit/problems.h"

#define UUID "7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d"

struct conf_case {
	const char *text;
	const char *problems; /* exactly; "" is none */
};

static const struct conf_context conf_case_context = {
	.uuid = UUID,
	.state_dir = "/var/lib/vmkeep",
};

static inline struct conf_source conf_case_source(const char *file, const char *text)
{
	return (struct conf_source){ file, text, strlen(text) };
}

/* Parses the text as web1.vm. The caller compares and releases. */
static inline void conf_case_vm(struct conf_vm *vm, const char *text, struct conf_problems *p)
{
	const struct conf_source src = conf_case_source("web1.vm", text);

	*vm = (struct conf_vm)CONF_VM_INIT;
	conf_vm_parse(vm, "web1", &src, 1, &conf_case_context, p);
}

static inline void conf_case_no_problems(struct conf_problems *p)
{
	problems_are(p, "");
	assert_int_equal(p->count, 0);
}

/* Parses a text that is valid. */
static inline void conf_case_good(struct conf_vm *vm, const char *text)
{
	struct conf_problems p = { 0 };

	conf_case_vm(vm, text, &p);
	conf_case_no_problems(&p);
}

static inline void conf_case_check(const struct conf_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_problems p = { 0 };
		struct conf_vm vm;

		conf_case_vm(&vm, c[i].text, &p);
		problems_are(&p, c[i].problems);
		conf_problems_release(&p);
		conf_vm_release(&vm);
	}
}

#endif
