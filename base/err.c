/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const int class_errno[] = {
	[ERR_FAILED]	     = EIO,
	[ERR_USAGE]	     = EINVAL,
	[ERR_INVALID_CONFIG] = EINVAL,
	[ERR_CONFLICT]	     = EBUSY,
	[ERR_NOT_FOUND]	     = ENOENT,
	[ERR_WRONG_STATE]    = EBUSY,
	[ERR_TIMEOUT]	     = ETIMEDOUT,
	[ERR_QEMU_FAILED]    = EIO,
	[ERR_GUEST_REFUSED]  = EAGAIN,
	[ERR_PERMISSION]     = EPERM,
	[ERR_UNREACHABLE]    = ECONNREFUSED,
	[ERR_NO_RESOURCES]   = ENOMEM,
	[ERR_DIFFERS]	     = EEXIST,
};
/* clang-format on */
_Static_assert(sizeof class_errno / sizeof *class_errno == ERR_CLASSES, "a class has no errno");

static enum err_class err_class_of(int number)
{
	switch (number) {
	case EACCES:
	case EPERM:
		return ERR_PERMISSION;
	case ENOENT:
		return ERR_NOT_FOUND;
	case ENOMEM:
	case ENOSPC:
	case EROFS:
	case EMFILE:
	case ENFILE:
		return ERR_NO_RESOURCES;
	case EBUSY:
	case EEXIST:
		return ERR_CONFLICT;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
		return ERR_UNREACHABLE;
	default:
		return ERR_FAILED;
	}
}

__attribute__((format(printf, 5, 0))) static void err_vset(struct err *e, int number,
	enum err_class class, const char *tail, const char *fmt, va_list ap)
{
	int n;

	e->number = -number;
	e->class = class;
	e->hint[0] = '\0';
	n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	if (n < 0)
		n = 0;
	if (tail && (size_t)n < sizeof e->text)
		snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", tail);
}

int err_set(struct err *e, enum err_class class, const char *fmt, ...)
{
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		err_vset(e, class_errno[class], class, NULL, fmt, ap);
		va_end(ap);
	}
	return -class_errno[class];
}

int err_errno(struct err *e, const char *fmt, ...)
{
	int number = errno ? errno : EIO;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		err_vset(e, number, err_class_of(number), strerror(number), fmt, ap);
		va_end(ap);
	}
	return -number;
}

int err_wrap(struct err *e, int r, const char *fmt, ...)
{
	char context[256], old[ERR_TEXT_MAX];
	va_list ap;

	if (!e)
		return r;
	va_start(ap, fmt);
	vsnprintf(context, sizeof context, fmt, ap);
	va_end(ap);
	memcpy(old, e->text, sizeof old);
	/* the context is short; a text that no longer fits is truncated */
	snprintf(e->text, sizeof e->text, "%s: %.*s", context,
		(int)(sizeof old - sizeof context - 2), old);
	return r;
}

int err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof e->hint, fmt, ap);
	va_end(ap);
	return e->number;
}

int err_class(struct err *e, enum err_class class)
{
	if (!e)
		return -EIO;
	e->class = class;
	return e->number;
}

void err_clear(struct err *e)
{
	if (!e)
		return;
	e->number = 0;
	e->class = ERR_FAILED;
	e->text[0] = e->hint[0] = '\0';
}

void err_copy(struct err *to, const struct err *from)
{
	if (to && from && to != from)
		*to = *from;
}
