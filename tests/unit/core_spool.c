/* SPDX-License-Identifier: MIT */
/* Proves the reader of QEMU's output: every byte is read once and in order, also across daemons and
 * with NULs in it; a flood is cut to the rate limit, counted exactly, reported once, and its last
 * bytes are kept. */
#include "tests/unit/spool_lab.h"

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
	/* the partial line before a hole is never completed: what follows the hole is read */
	assert_int_equal(ftruncate(writer, 1 << 20), 0);
	put(writer, "\nREADY=1\n", 9);
	until_quiet(&r);
	assert_memory_equal(r.got.data + r.got.len - 8, "READY=1\n", 8);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

/* QEMU truncates its own file, so that the reader's position is past its end: later output is read
 * all the same, by each kind of reader. */
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
			/* the writer has written as much again, and more, before the reader
			 * notices */
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
		/* now and then, two reads in one loop iteration */
		if (i % 8 == 0)
			spool_read(&r.spool);
	}
	assert_true(r.spool.flood);
	assert_int_equal(r.losses, 0); /* reported at the end */
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
	/* then everything is as before */
	put(writer, "calm", 4);
	until_quiet(&r);
	assert_memory_equal(r.got.data + r.got.len - 4, "calm", 4);
	assert_int_equal(r.losses, 1);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

/* Two readers share a rate limit: the other one loses nothing, and is read. */
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
		put(writer, "final line", 10);
		spool_close(&r.spool, cases[i].over);
		assert_in_range(
			r.got.len, cases[i].got ? cases[i].got - SPOOL_PAGE : 0, cases[i].got);
		assert_in_range(r.lost, cases[i].lost, cases[i].lost + SPOOL_PAGE);
		if (cases[i].got)
			assert_memory_equal(r.got.data + r.got.len - 10, "final line", 10);
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
	put(writer, "final line", 10);
	stretch(writer, (off_t)1 << 60);
	n = spool_tail(&r.spool, text, sizeof text);
	assert_true(n >= 10);
	assert_memory_equal(text, "final line", 10);
	reader_close(&r, true);
	close(writer);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_byte_comes_once),
		cmocka_unit_test(the_next_daemon_goes_on),
		cmocka_unit_test(half_a_line_waits),
		cmocka_unit_test(what_follows_a_cut_is_heard),
		cmocka_unit_test(a_flood_is_counted),
		cmocka_unit_test(a_neighbour_is_heard),
		cmocka_unit_test(the_last_words_come),
		cmocka_unit_test(tail_of_a_stretched_file),
	};

	return cmocka_run_group_tests(tests, begin, end_all);
}
