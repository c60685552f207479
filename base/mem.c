/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <poll.h>
#include <stdarg.h>
#include <stdint.h>

enum { ARENA_BLOCK = 2048 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	max_align_t data[];
};

static void *mem_check(void *p)
{
	static const char text[] = "out of memory; guests keep running, a restart adopts them\n";

	struct pollfd stderr_has_room = { STDERR_FILENO, POLLOUT, 0 };

	if (p)
		return p;
	if (poll(&stderr_has_room, 1, 0) == 1)
		(void)!write(STDERR_FILENO, text, sizeof text - 1);
	_exit(1);
}

void *xcalloc(size_t n, size_t size)
{
	return mem_check(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n, size_t size)
{
	return mem_check(reallocarray(p, n ? n : 1, size ? size : 1));
}

char *xstrdup(const char *s)
{
	return s ? mem_check(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t len)
{
	return mem_check(strndup(s, len));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return mem_check(s);
}

bool streq(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_block *b = a->head;
	void *p;

	size = (size + align - 1) / align * align;
	if (!b || b->size - b->used < size) {
		size_t room = size > ARENA_BLOCK / 2 ? size : ARENA_BLOCK - sizeof *b;

		b = xcalloc(1, sizeof *b + room);
		b->size = room;
		b->next = a->head;
		a->head = b;
	}
	p = (char *)b->data + b->used;
	b->used += size;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	memcpy(p, s, len);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	_cleanup_(free_ptr) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return arena_strdup(a, mem_check(text));
}

void arena_release(struct arena *a)
{
	while (a->head) {
		struct arena_block *b = a->head;

		a->head = b->next;
		free(b);
	}
}
