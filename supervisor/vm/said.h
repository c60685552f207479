/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/said.h - why QEMU did not start, from what it wrote
 *
 * QEMU puts the whole option before what is wrong with it, and warnings before that. Pure.
 */
#ifndef SUPERVISOR_VM_SAID_H
#define SUPERVISOR_VM_SAID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The one line that says why, made harmless: of the option only the file or device remains. Caller frees;
 * "" when there is none. */
char *said_why(const char *said, size_t len);
/* What is known of such words: the cure becomes e's hint. True: the host's doing, which may pass by itself. */
bool said_known(const char *why, struct err *e);

#endif
