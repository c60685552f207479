/* SPDX-License-Identifier: MIT */
/*
 * base/err.h - an error, for the person who must act
 *
 * A function that can fail returns 0 or -errno and takes a struct err last. The place that knows
 * why writes the text once; callers prepend context. Callers may pass NULL if nobody will read
 * it. The class decides the exit code (supervisor/api/classes.c), nothing else.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

enum err_class {
	ERR_FAILED, /* also the fallback */
	ERR_USAGE,
	ERR_INVALID_CONFIG,
	ERR_CONFLICT,
	ERR_NOT_FOUND,
	ERR_WRONG_STATE,
	ERR_TIMEOUT,
	ERR_QEMU_FAILED,
	ERR_GUEST_REFUSED,
	ERR_PERMISSION,
	ERR_UNREACHABLE,
	ERR_NO_RESOURCES,
	ERR_DIFFERS,
	ERR_CLASSES
};

enum { ERR_TEXT_MAX = 2048, ERR_HINT_MAX = 512 };

struct err {
	int number; /* -errno, or 0 when empty */
	enum err_class class;
	char text[ERR_TEXT_MAX]; /* lower case, no full stop, one or more lines */
	char hint[ERR_HINT_MAX]; /* the fix, may be empty */
};

#define ERR_INIT { 0 }

/* "text"; returns an -errno that matches the class. */
int err_set(struct err *e, enum err_class class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "text: strerror(errno)"; returns -errno. EACCES and EPERM become ERR_PERMISSION, ENOENT
 * ERR_NOT_FOUND, ENOMEM, ENOSPC, EROFS, EMFILE and ENFILE ERR_NO_RESOURCES, EBUSY and EEXIST
 * ERR_CONFLICT, ETIMEDOUT ERR_TIMEOUT, ECONNREFUSED ERR_UNREACHABLE, all others ERR_FAILED. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prepends "context: " to the text; returns r. */
int err_wrap(struct err *e, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Sets the fix. Returns e->number, for "return err_hint(e, ...)". */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Changes the class of an error that is already set; returns e->number. */
int err_class(struct err *e, enum err_class class);

void err_clear(struct err *e);
void err_copy(struct err *to, const struct err *from);

#endif
