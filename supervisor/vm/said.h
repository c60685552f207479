/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/said.h - why QEMU did not start or could not go on, from its stderr. Pure.
 *
 * QEMU prints the whole option before the error, and warnings before that.
 */
#ifndef SUPERVISOR_VM_SAID_H
#define SUPERVISOR_VM_SAID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { SAID_MAX = 8192 }; /* bytes from the end of stderr that are worth reading */

/* The last 20 lines, escaped, with options reduced as in said_why(); the caller frees them. */
char *said_lines(const char *said, size_t len);

/* Why a QEMU, which ended as how says ("exit status 1"), did not start: class, text with its last
 * lines, hint. True: the host is the cause, and it may go away. *why: the cause in one line; the
 * caller frees it. */
bool said_failure(const char *said, size_t len, const char *how, char **why, struct err *e);

/* The line that tells the cause, escaped, with the option reduced to its file or device. The
 * caller frees it; "" if there is none. */
char *said_why(const char *said, size_t len);
/* The line that begins QEMU's or KVM's account of an internal error, before the registers; "" if there is
 * none. text: escaped, newlines kept. The caller frees it. */
char *said_fatal(const char *text);
/* An option is wrong in itself, whatever is on the host. */
bool said_option(const char *why);
/* Raw options, and another QEMU, were not written with our walls in mind: adds which may be the cause, if
 * nothing better is known. own: the VM has some. */
void said_hint_own(bool own, const char *how, const char *why, struct err *e);
/* Known messages: adds the fix as e's hint. True: the host is the cause, and it may go away. */
bool said_known(const char *why, struct err *e);

#endif
