/* SPDX-License-Identifier: MIT */
/* Proves the reader of what a QEMU writes: every byte comes once and in order, also across daemons
 * and with NULs in it; whatever a writer does to the file costs bounded work and ends in silence; a
 * flood is cut to the bucket, counted to the byte, told once, and its last bytes come. */
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

static size_t take(void *data, char *bytes, size_t len)
{
	struct reader *r = data;

	r->takes++;
	buf_add(&r->got, bytes, len);
	return len;
}

/* Only whole lines, as notify.c does. */
static size_t take_lines(void *data, char *bytes, size_t len)
{
	const char *end = memrchr(bytes, '\n', len);

	if (!end && len < SPOOL_PAGE)
		return 0;
	return take(data, bytes, end ? (size_t)(end + 1 - bytes) : len);
}

static void lost(void *data, uint64_t bytes)
{
	struct reader *r = data;

	r->losses++;
	r->lost += bytes;
}

static const struct spool_kind plain = { .take = take, .lost = lost };
static const struct spool_kind lines = { .take = take_lines, .lost = lost };

static void reader_open(
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

static void reader_close(struct reader *r, bool over)
{
	spool_close(&r->spool, over);
	buf_release(&r->got);
}

/* A writer as QEMU is one: it can only write, and appends until it thinks better of it. */
static int file_new(int *writer)
{
	int fd = memfd_create("spool", MFD_CLOEXEC);
	char path[32];

	assert_true(fd >= 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*writer = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(*writer >= 0);
	return fd;
}

static bool quiet(struct reader *r)
{
	return !ev_is_active(&r->spool.timer);
}

/* Turns of the loop until nothing is planned and nothing comes any more. */
static void until_quiet(struct reader *r)
{
	double end = daemon_now() + DEADLINE;

	for (unsigned calm = 0; calm < 3; calm = quiet(r) ? calm + 1 : 0) {
		assert_true(daemon_now() < end);
		ev_run(loop.ev, EVRUN_NOWAIT);
		usleep(quiet(r) ? 15000 : 100); /* longer than watch.c looks away */
	}
}

static void put(int fd, const char *bytes, size_t len)
{
	assert_int_equal(write(fd, bytes, len), len);
}

static void each_byte_comes_once(void **state)
{
	static const char nuls[] = "a\0\0b\0\n";
	char big[100000];
	struct reader r;
	struct buf want = BUF_INIT;
	struct stat st;
	int writer, fd = file_new(&writer);

	(void)state;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7 % 251);
	put(writer, "early ", 6);
	buf_add(&want, "early ", 6);
	reader_open(&r, &plain, fd, SPOOL_RATE, SPOOL_BURST);
	for (int i = 0; i < 20; i++) {
		put(writer, nuls, sizeof nuls - 1);
		put(writer, big, sizeof big);
		buf_add(&want, nuls, sizeof nuls - 1);
		buf_add(&want, big, sizeof big);
		if (i % 3 == 0)
			until_quiet(&r);
	}
	until_quiet(&r);
	assert_int_equal(r.got.len, want.len);
	assert_memory_equal(r.got.data, want.data, want.len);
	assert_int_equal(r.losses, 0);
	fstat(fd, &st);
	assert_true(st.st_blocks * 512 <= SPOOL_PAGE);
	reader_close(&r, true);
	buf_release(&want);
	close(writer);
	close(fd);
}

static void the_next_daemon_goes_on(void **state)
{
	struct reader r;
	int writer, fd = file_new(&writer);

	(void)state;
	reader_open(&r, &plain, fd, SPOOL_RATE, SPOOL_BURST);
	put(writer, "first", 5);
	until_quiet(&r);
	assert_int_equal(r.got.len, 5);
	reader_close(&r, false);
	put(writer, "second", 6);
	reader_open(&r, &plain, fd, SPOOL_RATE, SPOOL_BURST);
	assert_int_equal(r.got.len, 6);
	assert_memory_equal(r.got.data, "second", 6);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

static void half_a_line_waits(void **state)
{
	struct reader r;
	char text[3 * SPOOL_PAGE];
	int writer, fd = file_new(&writer);

	(void)state;
	reader_open(&r, &lines, fd, SPOOL_RATE, SPOOL_BURST);
	put(writer, "READY", 5);
	until_quiet(&r);
	assert_int_equal(r.got.len, 0);
	put(writer, "=1\nST", 5);
	until_quiet(&r);
	assert_int_equal(r.got.len, 8);
	memset(text, 'x', sizeof text);
	put(writer, text, sizeof text);
	until_quiet(&r);
	assert_true(r.got.len > sizeof text - SPOOL_PAGE);
	/* half a line before a hole is never whole: what is behind it comes */
	assert_int_equal(ftruncate(writer, 1 << 20), 0);
	put(writer, "\nREADY=1\n", 9);
	until_quiet(&r);
	assert_memory_equal(r.got.data + r.got.len - 8, "READY=1\n", 8);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

/* QEMU cuts its own file, behind which its reader then stands: what comes next is heard all the same, by each
 * kind of reader. */
static void what_follows_a_cut_is_heard(void **state)
{
	static const struct spool_kind *const kinds[] = { &plain, &lines };
	char text[3 * SPOOL_PAGE + 100];

	(void)state;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\n';
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct reader r;
		int writer, fd = file_new(&writer);

		reader_open(&r, kinds[i], fd, SPOOL_RATE, SPOOL_BURST);
		for (off_t left = 0; left < 3 * SPOOL_PAGE; left += SPOOL_PAGE - 1) {
			put(writer, text, sizeof text);
			until_quiet(&r);
			buf_clear(&r.got);
			assert_int_equal(ftruncate(writer, left), 0);
			put(writer, "READY=1\n", 8);
			until_quiet(&r);
			assert_true(r.got.len >= 8);
			assert_memory_equal(r.got.data + r.got.len - 8, "READY=1\n", 8);
			/* and has written as much again, and more, before anybody looks */
			buf_clear(&r.got);
			assert_int_equal(ftruncate(writer, 0), 0);
			put(writer, "FIRST=1\n", 8);
			put(writer, text, sizeof text);
			until_quiet(&r);
			assert_int_equal(r.got.len, 8 + sizeof text);
			assert_memory_equal(r.got.data, "FIRST=1\n", 8);
		}
		reader_close(&r, true);
		close(writer);
		close(fd);
	}
}

/* --- tricks --- */

static void stretch(int fd, off_t size)
{
	assert_int_equal(ftruncate(fd, size), 0);
}

static void write_anywhere(int fd)
{
	static const off_t where[] = { 0, 1, SPOOL_PAGE - 1, 1 << 20, (off_t)1 << 40,
		(off_t)1 << 60, (off_t)1 << 62, OFF_MAX_ - SPOOL_PAGE, OFF_MAX_ - 1 };

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	for (size_t i = ARRAY_SIZE(where); i-- > 0;)
		(void)!pwrite(fd, "x", 1, where[i]);
	for (size_t i = 0; i < ARRAY_SIZE(where); i++)
		(void)!pwrite(fd, "y", 1, where[i]);
}

static void byte_per_page(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	for (off_t at = 0; at < 1 << 20; at += 2 * SPOOL_PAGE)
		assert_int_equal(pwrite(fd, "x", 1, at), 1);
}

static void byte_far_apart(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	for (off_t at = 0; at < (off_t)1 << 62; at += (off_t)1 << 55)
		assert_int_equal(pwrite(fd, "x", 1, at), 1);
}

static void to_and_fro(int fd)
{
	for (int i = 0; i < 1000; i++) {
		(void)!ftruncate(fd, i % 2 ? 0 : (off_t)1 << 60);
		(void)!write(fd, "x", 1);
	}
}

static void allocate(int fd)
{
	fallocate(fd, 0, (off_t)1 << 60, 1 << 20);
	fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)1 << 61, 1 << 20);
	fallocate(fd, 0, OFF_MAX_ - SPOOL_PAGE, SPOOL_PAGE);
}

static void rearrange(int fd)
{
	static const int modes[] = { FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_UNSHARE_RANGE };

	for (int i = 0; i < 64; i++)
		(void)!write(fd, "xxxxxxxxyyyyyyyyzzzzzzzz", 24);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		fallocate(fd, modes[i], 0, SPOOL_PAGE);
}

static void lock_and_seal(int fd)
{
	struct flock l = { .l_type = F_WRLCK };

	fcntl(fd, F_SETLK, &l);
	fcntl(fd, F_OFD_SETLK, &l);
	fcntl(fd, F_SETLEASE, F_WRLCK);
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	(void)!write(fd, "x", 1);
}

static void map_it(int fd)
{
	char path[32], *p;
	int both;

	/* not even QEMU's descriptor allows that: with one that does */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	both = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(ftruncate(both, 1 << 20), 0);
	p = mmap(NULL, 1 << 20, PROT_WRITE, MAP_SHARED, both, 0);
	assert_true(p != MAP_FAILED);
	for (size_t i = 0; i < 1 << 20; i += 3 * SPOOL_PAGE)
		p[i] = 'x';
	munmap(p, 1 << 20);
	close(both);
}

static void tricks_cost_nothing(void **state)
{
	static const struct {
		const char *name;
		off_t size;
		void (*run)(int fd);
		bool deaf; /* nothing can be appended afterwards */
	} tricks[] = {
		{ .name = "1 TiB", .size = (off_t)1 << 40 },
		{ .name = "2^60", .size = (off_t)1 << 60 },
		{ .name = "2^62", .size = (off_t)1 << 62 },
		{ .name = "the most", .size = OFF_MAX_, .deaf = true },
		{ .name = "anywhere", .run = write_anywhere, .deaf = true },
		{ .name = "a byte a page", .run = byte_per_page },
		{ .name = "far apart", .run = byte_far_apart },
		{ .name = "to and fro", .run = to_and_fro },
		{ .name = "allocate", .run = allocate, .deaf = true },
		{ .name = "rearrange", .run = rearrange },
		{ .name = "locks", .run = lock_and_seal, .deaf = true },
		{ .name = "mapped", .run = map_it },
	};
	static const char after[] = "and an honest line\n";

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(tricks); i++) {
		struct reader r;
		struct stat st;
		bool away = i >= ARRAY_SIZE(tricks); /* the daemon, meanwhile */
		size_t t = i % ARRAY_SIZE(tricks);
		int writer, fd = file_new(&writer);

		put(writer, "some text\n", 10);
		reader_open(&r, &plain, fd, SPOOL_RATE, SPOOL_BURST);
		until_quiet(&r);
		if (away)
			reader_close(&r, false);
		if (tricks[t].size)
			stretch(writer, tricks[t].size);
		else
			tricks[t].run(writer);
		if (away)
			reader_open(&r, &plain, fd, SPOOL_RATE, SPOOL_BURST);
		until_quiet(&r);
		if (r.takes > 2000 || r.got.len > 2 << 20 || r.losses)
			fail_msg("%s: %u pieces, %zu bytes, %u losses", tricks[t].name, r.takes,
				r.got.len, r.losses);
		if (!tricks[t].deaf) {
			assert_int_equal(fcntl(writer, F_SETFL, O_APPEND), 0);
			put(writer, after, sizeof after - 1);
			until_quiet(&r);
			if (!r.got.len || !memmem(r.got.data, r.got.len, after, sizeof after - 1))
				fail_msg("%s: nothing is read any more", tricks[t].name);
		}
		fstat(fd, &st);
		reader_close(&r, true);
		close(writer);
		close(fd);
	}
}

/* --- floods --- */

enum { PIECE = 64 << 10, PIECES = 1024, NUMBER = 8 };

static void a_flood_is_counted(void **state)
{
	double began = daemon_now(), end = began + DEADLINE, level;
	size_t room = SPOOL_BURST;
	char piece[PIECE];
	struct reader r;
	int writer, fd = file_new(&writer);
	uint64_t written = 0;

	(void)state;
	reader_open(&r, &plain, fd, SPOOL_RATE, SPOOL_BURST);
	for (int i = 0; i < PIECES; i++) {
		memset(piece, '.', sizeof piece);
		snprintf(piece + sizeof piece - NUMBER, NUMBER, "%07d", i);
		put(writer, piece, sizeof piece);
		written += sizeof piece;
		/* twice a turn of the loop reads at once, now and then */
		if (i % 8 == 0)
			spool_read(&r.spool);
	}
	assert_true(r.spool.flood);
	assert_int_equal(r.losses, 0); /* told at the end */
	while (r.spool.flood && daemon_now() < end)
		ev_run(loop.ev, EVRUN_ONCE);
	assert_int_equal(r.losses, 1);
	until_quiet(&r);
	assert_int_equal(r.losses, 1);
	assert_int_equal(r.got.len + r.lost, written);
	level = (double)room + SPOOL_RATE * (daemon_now() - began);
	assert_true((double)r.got.len <= level + 1);
	assert_true(r.got.len >= room);
	assert_string_equal(r.got.data + r.got.len - NUMBER, "0001023");
	/* and then all is as before */
	put(writer, "calm", 4);
	until_quiet(&r);
	assert_memory_equal(r.got.data + r.got.len - 4, "calm", 4);
	assert_int_equal(r.losses, 1);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

/* One bucket for two: the other loses nothing, and is heard. */
static void a_neighbour_is_heard(void **state)
{
	double end = daemon_now() + DEADLINE;
	char piece[PIECE] = { 'x' };
	struct reader flood, calm;
	int writer, fd = file_new(&writer), writer2, fd2 = file_new(&writer2);

	(void)state;
	reader_open(&flood, &plain, fd, SPOOL_RATE, 1 << 20);
	reader_open(&calm, &plain, fd2, 1, 1);
	calm.spool.bucket = &flood.bucket;
	for (int i = 0; i < 100; i++) {
		put(writer, piece, sizeof piece);
		spool_read(&flood.spool);
	}
	assert_true(flood.spool.flood);
	put(writer2, "heard", 5);
	while (calm.got.len < 5 && daemon_now() < end) {
		put(writer, piece, sizeof piece);
		ev_run(loop.ev, EVRUN_ONCE);
	}
	assert_true(flood.spool.flood);
	assert_int_equal(calm.got.len, 5);
	assert_int_equal(calm.losses, 0);
	reader_close(&flood, true);
	reader_close(&calm, true);
	close(writer);
	close(writer2);
	close(fd);
	close(fd2);
}

static void the_last_words_come(void **state)
{
	static const struct {
		double burst;
		bool over;
		size_t got;
		uint64_t lost;
	} cases[] = {
		{ SPOOL_BURST, true, SPOOL_BOUND, SPOOL_BOUND / 2 },
		{ 1, true, SPOOL_KEEP, SPOOL_BOUND + SPOOL_BOUND / 2 - SPOOL_KEEP },
		{ 1, false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reader r;
		char piece[PIECE] = { 0 };
		int writer, fd = file_new(&writer);

		reader_open(&r, &plain, fd, 1, cases[i].burst);
		for (size_t n = 0; n < SPOOL_BOUND + SPOOL_BOUND / 2; n += sizeof piece)
			put(writer, piece, sizeof piece);
		stretch(writer, (off_t)1 << 62);
		put(writer, "last words", 10);
		spool_close(&r.spool, cases[i].over);
		assert_in_range(
			r.got.len, cases[i].got ? cases[i].got - SPOOL_PAGE : 0, cases[i].got);
		assert_in_range(r.lost, cases[i].lost, cases[i].lost + SPOOL_PAGE);
		if (cases[i].got)
			assert_memory_equal(r.got.data + r.got.len - 10, "last words", 10);
		buf_release(&r.got);
		close(writer);
		close(fd);
	}
}

static void tail_of_a_stretched_file(void **state)
{
	struct reader r;
	char text[SPOOL_PAGE];
	int writer, fd = file_new(&writer);
	size_t n;

	(void)state;
	reader_open(&r, &plain, fd, SPOOL_RATE, 0);
	put(writer, "last words", 10);
	stretch(writer, (off_t)1 << 60);
	n = spool_tail(&r.spool, text, sizeof text);
	assert_true(n >= 10);
	assert_memory_equal(text, "last words", 10);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

static int begin(void **state)
{
	(void)state;
	if (loop_init(&loop) < 0)
		return -1;
	watches = watches_new(loop.ev);
	return 0;
}

static int end_all(void **state)
{
	(void)state;
	watches_free(watches);
	loop_release(&loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_comes_once),
		cmocka_unit_test(the_next_daemon_goes_on),
		cmocka_unit_test(half_a_line_waits),
		cmocka_unit_test(what_follows_a_cut_is_heard),
		cmocka_unit_test(tricks_cost_nothing),
		cmocka_unit_test(a_flood_is_counted),
		cmocka_unit_test(a_neighbour_is_heard),
		cmocka_unit_test(the_last_words_come),
		cmocka_unit_test(tail_of_a_stretched_file),
	};

	return cmocka_run_group_tests(tests, begin, end_all);
}
