/* SPDX-License-Identifier: MIT */
/*
 * conf/row.h - shorthand for the rows in conf/schema_*.c
 *
 * Each macro sets a row's type and offset; the compiler rejects a field of another type.
 */
#ifndef CONF_ROW_H
#define CONF_ROW_H

#include "conf/schema.h"

#define FIELD(t, s, f) .offset = offsetof(struct s, f) + 0 * sizeof((t *)0 == &((struct s *)0)->f)

#define STRING(T, s, f) .type = CONF_TYPE_##T, FIELD(const char *, s, f)
#define LIST(T, s, f)	.type = CONF_TYPE_##T, .list = true, FIELD(struct conf_list, s, f)
#define BOOL(s, f)	.type = CONF_TYPE_BOOL, FIELD(bool, s, f)
#define MAC(s, f)	.type = CONF_TYPE_MAC, FIELD(struct conf_mac, s, f)
#define SUBNET(s, f)	.type = CONF_TYPE_SUBNET, FIELD(struct conf_subnet, s, f)
#define RANGE(s, f)	.type = CONF_TYPE_RANGE, FIELD(struct conf_range, s, f)
#define SIZE(s, f)	.type = CONF_TYPE_SIZE, FIELD(uint64_t, s, f)
#define TIME(s, f)	.type = CONF_TYPE_TIME, FIELD(uint64_t, s, f)
#define UINT(s, f, lowest, highest) \
	.type = CONF_TYPE_UINT, FIELD(uint64_t, s, f), .min = (lowest), .max = (highest)
#define ENUM(t, s, f, table) .type = CONF_TYPE_ENUM, FIELD(enum t, s, f), NAMES(table)
#define NAMES(table)	     .names = (table), .n_names = ARRAY_SIZE(table)

#define KEYS(table) .key = (table), .keys = ARRAY_SIZE(table)
#define ELEMENTS(s, root, f, n, limit)                               \
	.size = sizeof(struct s), .array = offsetof(struct root, f), \
	.count = offsetof(struct root, n), .max = (limit)

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TIB (UINT64_C(1) << 40)

#endif
