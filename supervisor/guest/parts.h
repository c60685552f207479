/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/parts.h - all that can hang on a guest, see vm/part.h
 */
#ifndef SUPERVISOR_GUEST_PARTS_H
#define SUPERVISOR_GUEST_PARTS_H

#include <stddef.h>

struct vm_part;

extern const struct vm_part *const guest_parts[];
extern const size_t guest_parts_n;

#endif
