/* SPDX-License-Identifier: MIT */
/*
 * base/mem.h - allocation that aborts on failure
 *
 * Small allocations exit the program when out of memory: guests keep running and the next daemon
 * adopts them. Sizes that come from outside are limited before they get here.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	      (sizeof(a) / sizeof *(a))
#define container_of(p, t, m) ((t *)(void *)((char *)(p) - offsetof(t, m)))

/* Ensures capacity for one more element in an array of n elements, allocated for cap. */
#define GROW(array, n, cap)                                                               \
	((n) < (cap) ? (void)0                                                            \
		     : (void)((array) = xrealloc((array), (cap) = (cap) ? (cap) * 2 : 16, \
				      sizeof(__typeof__(*(array))))))

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

bool streq(const char *a, const char *b); /* NULL equals only NULL */

/*
 * An arena: many small allocations with one lifetime, zeroed. Nothing is freed before
 * arena_release(), which is safe on ARENA_INIT and leaves an empty arena.
 */
struct arena_block;
struct arena {
	struct arena_block *head;
};
#define ARENA_INIT { NULL }

void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_release(struct arena *a);

/* Cleanup helpers: _cleanup_(close_fd) int fd = -1; _cleanup_(free_ptr) char *s = NULL. Can also
 * be called directly: they reset the variable to NULL or -1. */
#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void free_ptr(void *p)
{
	free(*(void **)p);
	memset(p, 0, sizeof(void *));
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

static inline int steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#endif
