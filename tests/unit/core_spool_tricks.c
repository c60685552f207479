/* SPDX-License-Identifier: MIT */
/* Proves that whatever a writer does to its file, the reader's work is bounded and then stops. */
#include "tests/unit/spool_lab.h"

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

	/* QEMU's own descriptor does not allow that, so this opens one that does */
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
		bool away = i >= ARRAY_SIZE(tricks); /* no daemon runs in the meantime */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tricks_cost_nothing),
	};

	return cmocka_run_group_tests(tests, begin, end_all);
}
