/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/spool_lab.h - a file that is written like QEMU's, and its readers
 */
#ifndef TESTS_UNIT_SPOOL_LAB_H
#define TESTS_UNIT_SPOOL_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/spool.h"
#include "supervisor/core/watch.h"

#define DEADLINE 60.0 /* seconds */
#define OFF_MAX_ ((off_t)INT64_MAX)

static struct loop loop;
static struct watches *watches;

struct reader {
	struct spool spool;
	struct bucket bucket;
	struct buf got;
	uint64_t lost;
	unsigned takes, losses;
};

static inline size_t take(void *data, char *bytes, size_t len)
{
	struct reader *r = data;

	r->takes++;
	buf_add(&r->got, bytes, len);
	return len;
}

/* Takes only whole lines, like notify.c. */
static inline size_t take_lines(void *data, char *bytes, size_t len)
{
	const char *end = memrchr(bytes, '\n', len);

	if (!end && len < SPOOL_PAGE)
		return 0;
	return take(data, bytes, end ? (size_t)(end + 1 - bytes) : len);
}

static inline void lost(void *data, uint64_t bytes)
{
	struct reader *r = data;

	r->losses++;
	r->lost += bytes;
}

static const struct spool_kind plain = { .take = take, .lost = lost };
static const struct spool_kind lines = { .take = take_lines, .lost = lost };

static inline void reader_open(
	struct reader *r, const struct spool_kind *kind, int fd, double rate, double burst)
{
	struct err e = ERR_INIT;

	*r = (struct reader){ .bucket = BUCKET(rate, burst) };
	r->spool = (struct spool){ .kind = kind,
		.data = r,
		.vm = "a",
		.name = "test",
		.ev = loop.ev,
		.watches = watches,
		.bucket = &r->bucket };
	assert_int_equal(spool_open(&r->spool, dup(fd), &e), 0);
}

static inline void reader_close(struct reader *r, bool over)
{
	spool_close(&r->spool, over);
	buf_release(&r->got);
}

/* A writer like QEMU: it can only write, and appends unless it changes that. */
static inline int file_new(int *writer)
{
	int fd = memfd_create("spool", MFD_CLOEXEC);
	char path[32];

	assert_true(fd >= 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*writer = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(*writer >= 0);
	return fd;
}

static inline bool quiet(struct reader *r)
{
	return !ev_is_active(&r->spool.timer);
}

/* Runs the loop until nothing is scheduled and nothing more arrives. */
static inline void until_quiet(struct reader *r)
{
	double end = daemon_now() + DEADLINE;

	for (unsigned calm = 0; calm < 3; calm = quiet(r) ? calm + 1 : 0) {
		assert_true(daemon_now() < end);
		ev_run(loop.ev, EVRUN_NOWAIT);
		usleep(quiet(r) ? 15000 : 100); /* longer than the pauses of watch.c */
	}
}

static inline void put(int fd, const char *bytes, size_t len)
{
	assert_int_equal(write(fd, bytes, len), len);
}

static inline void stretch(int fd, off_t size)
{
	assert_int_equal(ftruncate(fd, size), 0);
}

static inline int begin(void **state)
{
	(void)state;
	if (loop_init(&loop) < 0)
		return -1;
	watches = watches_new(loop.ev);
	return 0;
}

static inline int end_all(void **state)
{
	(void)state;
	watches_free(watches);
	loop_release(&loop);
	return 0;
}

#endif
