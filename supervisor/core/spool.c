/* SPDX-License-Identifier: MIT */
#include "supervisor/core/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/watch.h"

enum {
	CHUNK = 16 << 10,
	TURN_BYTES = 256 << 10,
	TURN_PIECES = 1024, /* as many pages as the tmpfs has */
	TELL_SECONDS = 60,  /* between two lines in the daemon's log */
};

static size_t spool_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* --- the file --- */

/* Where the previous daemon stopped reading: after the hole that it punched, and the zeros after
 * that. */
static off_t spool_first_data(int fd)
{
	off_t at = lseek(fd, 0, SEEK_DATA);
	char chunk[SPOOL_PAGE];
	ssize_t n, zeros = 0;

	if (at < 0)
		return lseek(fd, 0, SEEK_END);
	n = pread(fd, chunk, sizeof chunk, at);
	while (zeros < n && chunk[zeros] == '\0')
		zeros++;
	return at + zeros;
}

/* Updates the size. *held: the allocated bytes, which the kernel counts and QEMU cannot fake. */
static bool spool_stat(struct spool *s, size_t *held)
{
	struct stat st;
	off_t first;

	if (fstat(s->fd, &st) < 0)
		return false;
	s->size = st.st_size;
	*held = (size_t)st.st_blocks * 512;
	/* the writer truncated the file, and may have written as much again: everything before at
	 * had been freed, so any data there is new */
	if (s->size < s->at || !s->solid) {
		first = spool_first_data(s->fd);
		if (first < s->at)
			s->at = first;
	}
	return true;
}

/* The next piece of data before end. */
static bool spool_piece(const struct spool *s, off_t end, off_t *from, off_t *to)
{
	*from = lseek(s->fd, s->at, SEEK_DATA);
	*to = *from < 0 ? -1 : lseek(s->fd, *from, SEEK_HOLE);
	if (*to > end)
		*to = end;
	return *from >= 0 && *from < *to;
}

/* Skips at most max bytes of data; returns how many. */
static uint64_t spool_skip(struct spool *s, off_t end, uint64_t max)
{
	uint64_t n = 0;
	off_t from, to;

	for (unsigned i = 0; n < max && i < TURN_PIECES && spool_piece(s, end, &from, &to); i++) {
		if ((uint64_t)(to - from) > max - n)
			to = from + (off_t)(max - n);
		n += (uint64_t)(to - from);
		s->at = to;
	}
	return n;
}

/* Passes on at most max bytes of data; returns how many. */
static size_t spool_take(struct spool *s, off_t end, size_t max)
{
	char chunk[CHUNK];
	size_t got = 0, used;
	off_t from, to;

	for (unsigned i = 0; got < max && i < TURN_PIECES && spool_piece(s, end, &from, &to); i++)
		for (s->at = from; s->at < to && got < max; s->at += (off_t)used, got += used) {
			size_t want = spool_least(sizeof chunk, max - got);
			ssize_t n;

			if (to - s->at < (off_t)want)
				want = (size_t)(to - s->at);
			n = pread(s->fd, chunk, want, s->at);
			used = n > 0 ? s->kind->take(s->data, chunk, (size_t)n) : 0;
			/* data before a hole will not be continued */
			if (n > 0 && !used && to < s->size)
				used = (size_t)n;
			if (!used)
				return got;
		}
	return got;
}

/* Punches from the start of the file: only whole pages are freed, and this may complete one. */
static void spool_give_back(struct spool *s)
{
	if (s->at > 0 && fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, s->at) < 0)
		s->solid = true;
	if (s->kind->reserve)
		fallocate(s->fd, FALLOC_FL_KEEP_SIZE, s->at & ~(off_t)(SPOOL_PAGE - 1),
			(off_t)s->kind->reserve);
}

static void spool_settle(struct spool *s)
{
	if (s->kind->settle)
		s->kind->settle(s->data);
	if (!s->over)
		spool_give_back(s);
	if (s->kind->done)
		s->kind->done(s->data);
}

size_t spool_tail(const struct spool *s, char *bytes, size_t len)
{
	struct spool end = *s;
	off_t from, to, last = -1, behind = -1;
	struct stat st;
	ssize_t n;

	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return 0;
	for (unsigned i = 0; i < TURN_PIECES && spool_piece(&end, st.st_size, &from, &to); i++) {
		last = from;
		behind = end.at = to;
	}
	if (behind - last > (off_t)len)
		last = behind - (off_t)len;
	n = last < 0 ? 0 : pread(s->fd, bytes, (size_t)(behind - last), last);
	return n > 0 ? (size_t)n : 0;
}

/* --- floods --- */

static void spool_tell(struct spool *s, bool last)
{
	double now = daemon_now();

	if (s->dropped)
		s->kind->lost(s->data, s->dropped);
	s->untold += s->dropped;
	s->dropped = 0;
	if (!s->untold || (!last && s->told > 0 && now - s->told < TELL_SECONDS))
		return;
	log_warning(s->vm,
		"%s: at least %llu bytes were dropped, it writes more than %.0f KiB a second",
		s->name, (unsigned long long)s->untold, s->bucket->rate / 1024);
	s->untold = 0;
	s->told = now;
}

static void spool_begin_flood(struct spool *s, double now)
{
	s->flood = true;
	s->calm =
		(struct bucket){ .rate = s->bucket->rate, .burst = s->bucket->rate, .since = now };
}

/* Drops everything but the last SPOOL_KEEP bytes. True: the flood is over. */
static bool spool_drop(struct spool *s, double now)
{
	uint64_t n = spool_skip(s, s->size - SPOOL_KEEP, UINT64_MAX);
	double left;

	s->dropped += n;
	bucket_take(&s->calm, (double)n, now);
	if (n)
		spool_give_back(s);
	left = s->calm.burst - bucket_level(&s->calm, now);
	if (left > 0) {
		loop_timer_start(&s->timer, left / s->calm.rate);
		return false;
	}
	s->flood = false;
	spool_tell(s, false);
	spool_settle(s);
	return true;
}

/* --- reading --- */

static size_t spool_allowed(struct spool *s, double now)
{
	double level = bucket_level(s->bucket, now);

	return level < CHUNK ? 0 : spool_least(TURN_BYTES, (size_t)level);
}

static void spool_share(struct spool *s, off_t end, double now)
{
	size_t max = spool_allowed(s, now), got = spool_take(s, end, max);
	off_t from, to;

	if (got) {
		bucket_take(s->bucket, (double)got, now);
		spool_settle(s);
	}
	s->next = now + (got ? s->kind->pause : 0);
	/* there is more, not just an incomplete line */
	if ((got || !max) && spool_piece(s, end, &from, &to))
		loop_timer_start(
			&s->timer, spool_allowed(s, now)
					   ? s->kind->pause
					   : (CHUNK - s->bucket->level) / s->bucket->rate + 0.001);
}

void spool_read(struct spool *s)
{
	const struct spool_kind *kind = s->kind;
	double now = daemon_now();
	size_t held;
	off_t end;

	if (s->fd < 0 || !spool_stat(s, &held))
		return;
	loop_timer_stop(&s->timer);
	if (!s->flood && held > SPOOL_HOLD && !spool_allowed(s, now))
		spool_begin_flood(s, now);
	if (s->flood && !spool_drop(s, now))
		return;
	if (held < kind->patience + kind->reserve)
		return;
	end = kind->tail ? (s->size - (off_t)kind->tail) & ~(off_t)(SPOOL_PAGE - 1) : s->size;
	spool_share(s, end, now);
}

static void spool_on_change(void *data)
{
	struct spool *s = data;
	double left = s->next - daemon_now();

	if (left <= 0)
		spool_read(s);
	else if (!loop_timer_is_active(&s->timer))
		loop_timer_start(&s->timer, left);
}

static void spool_on_timer(void *data)
{
	spool_read(data);
}

int spool_open(struct spool *s, int fd /* stolen */, struct err *e)
{
	s->fd = fd;
	s->at = spool_first_data(fd);
	loop_timer_init(&s->timer, s->ev, spool_on_timer, s);
	s->watch = watch_add(s->watches, fd, IN_MODIFY, spool_on_change, s, e);
	spool_read(s);
	return s->watch < 0 ? s->watch : 0;
}

/* Reads the rest; if that is too much, drops all but the last bytes, which matter most. */
static void spool_finish(struct spool *s)
{
	size_t held, room = (size_t)bucket_level(s->bucket, daemon_now());
	uint64_t all;
	off_t at;

	if (!spool_stat(s, &held))
		return;
	room = spool_least(room > SPOOL_KEEP ? room : SPOOL_KEEP, SPOOL_BOUND);
	at = s->at;
	all = spool_skip(s, s->size, UINT64_MAX);
	s->at = at;
	if (all > room)
		s->dropped += spool_skip(s, s->size, all - room);
	spool_tell(s, true);
	for (size_t got; room && (got = spool_take(s, s->size, spool_least(room, TURN_BYTES)));
		room -= got) {
		bucket_take(s->bucket, (double)got, daemon_now());
		if (s->kind->done)
			s->kind->done(s->data);
	}
}

void spool_close(struct spool *s, bool over)
{
	if (s->fd < 0)
		return;
	watch_remove(s->watches, s->watch);
	loop_timer_stop(&s->timer);
	s->over = over;
	if (over)
		spool_finish(s);
	spool_tell(s, true);
	spool_settle(s);
	close_fd(&s->fd);
}
