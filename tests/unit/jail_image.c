/* SPDX-License-Identifier: MIT */
/* An image's header is compared with the plan: a match passes, a mismatch is refused with a fix,
 * and no header, however crafted, is read beyond its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "supervisor/jail/image.h"

enum { MEANT = 1 << 0, BASE = 1 << 1, ALIEN = 1 << 2, READ = 1 << 3 };

static const struct {
	const char *name;
	enum jail_format format;
	int flags;
	/* members of the header */
	size_t len;
	uint32_t version, incompatible;
	uint64_t backing_at;
	uint32_t backing_size;
	const char *backing; /* put at backing_at */
	/* expected result */
	const char *says; /* NULL: accepted */
	const char *hint;
} cases[] = {
	/* clang-format off */
	{ "no format", JAIL_ANY, 0, 512, 3, 0, 0, 0, NULL, NULL, "" },
	{ "raw", JAIL_RAW, ALIEN, 512, 0, 0, 0, 0, NULL, NULL, "" },
	{ "empty raw", JAIL_RAW, ALIEN, 0, 0, 0, 0, 0, NULL, NULL, "" },
	{ "short raw", JAIL_RAW, 0, 3, 3, 0, 0, 0, NULL, NULL, "" },
	{ "raw like qcow2", JAIL_RAW, 0, 4, 3, 0, 0, 0, NULL, "has a qcow2 header", "Format=qcow2" },
	{ "raw, meant", JAIL_RAW, MEANT, 512, 3, 0, 0, 0, NULL, NULL, "" },
	{ "raw on a base", JAIL_RAW, BASE | ALIEN, 512, 0, 0, 0, 0, NULL, "no backing file", "" },
	{ "qcow2", JAIL_QCOW2, 0, 512, 3, 0, 0, 0, NULL, NULL, "" },
	{ "qcow2 of version 2", JAIL_QCOW2, 0, 72, 2, 4, 0, 0, NULL, NULL, "" },
	{ "not qcow2", JAIL_QCOW2, ALIEN, 512, 3, 0, 0, 0, NULL, "not a qcow2", "Format=raw" },
	{ "empty", JAIL_QCOW2, 0, 0, 0, 0, 0, 0, NULL, "not a qcow2 image: it is empty", "" },
	{ "cut", JAIL_QCOW2, 0, 71, 2, 0, 0, 0, NULL, "is truncated: only 71 bytes", "" },
	{ "cut after its magic", JAIL_QCOW2, 0, 4, 2, 0, 0, 0, NULL, "truncated: only 4 bytes", "" },
	{ "cut version 3", JAIL_QCOW2, 0, 103, 3, 0, 0, 0, NULL, "is truncated: only 103 bytes", "" },
	{ "version 1", JAIL_QCOW2, 0, 512, 1, 0, 0, 0, NULL, "qcow image of version 1", "convert -f qcow -O" },
	{ "version 4", JAIL_QCOW2, 0, 512, 4, 0, 0, 0, NULL, "version 4", "" },
	{ "dirty", JAIL_QCOW2, 0, 512, 3, 1, 0, 0, NULL, NULL, "" },
	{ "corrupt", JAIL_QCOW2, 0, 512, 3, 2, 0, 0, NULL, "marked as corrupt", "check -r all /p" },
	{ "corrupt, but only read", JAIL_QCOW2, READ, 512, 3, 2, 0, 0, NULL, NULL, "" },
	{ "zstd", JAIL_QCOW2, 0, 512, 3, 8, 0, 0, NULL, NULL, "" },
	{ "unknown", JAIL_QCOW2, 0, 512, 3, 1 << 20, 0, 0, NULL, "without a name (bit 20)", "NEW" },
	{ "data file", JAIL_QCOW2, 0, 512, 3, 4, 0, 0, NULL, "another file", "convert" },
	{ "base", JAIL_QCOW2, BASE, 512, 3, 0, 200, 3, "b.q", NULL, "" },
	{ "no base", JAIL_QCOW2, BASE, 512, 3, 0, 0, 0, NULL, "has no backing file", "Base=" },
	{ "base unnamed", JAIL_QCOW2, 0, 512, 3, 0, 200, 3, "b.q", "file 'b.q'", "Base=b.q" },
	{ "base to the end", JAIL_QCOW2, 0, 512, 3, 0, 509, 3, "b.q", "backing file 'b.q'", "" },
	{ "base beyond the end", JAIL_QCOW2, 0, 512, 3, 0, 510, 3, NULL, "damaged", "" },
	{ "base far away", JAIL_QCOW2, 0, 512, 3, 0, UINT64_MAX, 3, NULL, "damaged header: backing file name at", "" },
	{ "base wraps", JAIL_QCOW2, 0, 512, 3, 0, UINT64_MAX - 1, 3, NULL, "damaged", "" },
	{ "base too long", JAIL_QCOW2, 0, 512, 3, 0, 104, 1024, NULL, "damaged", "" },
	{ "base endless", JAIL_QCOW2, 0, 512, 3, 0, 104, UINT32_MAX, NULL, "damaged", "" },
	{ "base without name", JAIL_QCOW2, 0, 512, 3, 0, 104, 0, NULL, "damaged", "" },
	{ "hostile base", JAIL_QCOW2, 0, 512, 3, 0, 200, 7, "nbd:\x1b[2", "'nbd:\\x1b[2'", "path" },
	/* clang-format on */
};

static void put(uint8_t *p, size_t len, uint64_t v)
{
	while (len--) {
		p[len] = (uint8_t)v;
		v >>= 8;
	}
}

/* A header of a 1 MiB image with 64 KiB clusters. */
static void header(uint8_t *head, unsigned version)
{
	memcpy(head, "QFI\xfb", 4);
	put(head + 4, 4, version);
	put(head + 20, 4, 16);
	put(head + 24, 8, 1 << 20);
	put(head + 36, 4, 1);
	put(head + 40, 8, 3 << 16);
	put(head + 48, 8, 1 << 16);
	put(head + 56, 4, 1);
	put(head + 96, 4, 4);
	put(head + 100, 4, 104);
}

static const struct jail_file disk = { .what = "disk 'r'",
	.path = "/p",
	.shown_path = "/p",
	.seen = "",
	.data = -1,
	.write = true,
	.format = JAIL_QCOW2 };

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jail_file f = { .what = "disk 'r'",
			.path = "/p",
			.shown_path = "/p",
			.write = !(cases[i].flags & READ),
			.data = -1,
			.format = cases[i].format,
			.seen = "",
			.format_written = cases[i].flags & MEANT,
			.has_base = cases[i].flags & BASE };
		uint8_t whole[512] = { 0 }, *head = xcalloc(1, cases[i].len + 1);
		struct err e = ERR_INIT;
		int r;

		header(whole, cases[i].version);
		memcpy(whole, cases[i].flags & ALIEN ? "none" : "QFI\xfb", 4);
		put(whole + 8, 8, cases[i].backing_at);
		put(whole + 16, 4, cases[i].backing_size);
		put(whole + 72, 8, cases[i].incompatible);
		if (cases[i].backing)
			memcpy(whole + cases[i].backing_at, cases[i].backing,
				cases[i].backing_size);
		memcpy(head, whole, cases[i].len); /* of exactly its size, for the sanitizer */
		r = image_check_header(&f, head, cases[i].len, &e);
		free(head);
		if ((r < 0) != !!cases[i].says || (r < 0 && !strstr(e.text, cases[i].says)) ||
			!strstr(e.hint, cases[i].hint))
			fail_msg("%s: %d '%s' (%s)", cases[i].name, r, e.text, e.hint);
		if (r < 0)
			assert_int_equal(e.class, ERR_INVALID_CONFIG);
	}
}

/* One number in a valid header is wrong. */
static const struct {
	unsigned at, len;
	uint64_t is;
	const char *says;
} numbers[] = {
	{ 20, 4, 8, "cluster bits 8" },
	{ 20, 4, 22, "cluster bits 22" },
	{ 20, 4, UINT32_MAX, "cluster bits" },
	{ 24, 8, UINT64_MAX, "size" },
	{ 24, 8, 1ULL << 40, "L1 table entries 1" },
	{ 32, 4, 1, "is encrypted (AES)" },
	{ 32, 4, 2, "is encrypted (LUKS)" },
	{ 32, 4, 3, "is encrypted" },
	{ 36, 4, 0, "L1 table entries 0" },
	{ 36, 4, UINT32_MAX, "L1 table entries" },
	{ 40, 8, 1, "L1 table at 1" },
	{ 48, 8, 0, "refcount table at 0" },
	{ 48, 8, 512, "refcount table at 512" },
	{ 56, 4, 0, "refcount table clusters 0" },
	{ 56, 4, 1 << 20, "refcount table clusters" },
	{ 60, 4, 1 << 20, "snapshots" },
	{ 72, 8, 0x8000000000000000, "(bit 63)" },
	{ 96, 4, 7, "refcount order 7" },
	{ 100, 4, 103, "length 103" },
	{ 100, 4, UINT32_MAX, "length" },
};

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint8_t head[512] = { 0 };
		struct err e = ERR_INIT;

		header(head, 3);
		put(head + numbers[i].at, numbers[i].len, numbers[i].is);
		if (image_check_header(&disk, head, sizeof head, &e) == 0 ||
			!strstr(e.text, numbers[i].says) || !e.hint[0])
			fail_msg("%s: '%s' (%s)", numbers[i].says, e.text, e.hint);
	}
}

static void extension(uint8_t *head, size_t *at, uint32_t type, const char *data, size_t len)
{
	put(head + *at, 4, type);
	put(head + *at + 4, 4, len);
	memcpy(head + *at + 8, data, len);
	*at += 8 + (len + 7) / 8 * 8;
}

static void test_extensions(void **state)
{
	char row[48] = "\0\024the \033future";
	uint8_t head[512] = { 0 };
	struct err e = ERR_INIT;
	struct qcow2 q;
	size_t at = 104;

	(void)state;
	header(head, 3);
	extension(head, &at, 0x12345678, "else", 4);
	extension(head, &at, 0x6803f857, row, sizeof row);
	extension(head, &at, 0x23852875, "\0\0\0\2", 4);
	extension(head, &at, 0xe2792aca, "raw", 3);
	assert_int_equal(qcow2_parse(&q, &disk, head, sizeof head, &e), 0);
	assert_string_equal(q.backing_format, "raw");
	assert_int_equal(q.bitmaps, 2);
	put(head + 72, 8, 1 << 20);
	assert_true(qcow2_parse(&q, &disk, head, sizeof head, &e) < 0);
	assert_non_null(strstr(e.text, "the ?future (bit 20)"));
	/* of any length, and truncated anywhere */
	put(head + 72, 8, 0);
	for (size_t len = 104; len < at + 8; len++) {
		uint8_t *part = xcalloc(1, len);

		memcpy(part, head, len);
		assert_int_equal(qcow2_parse(&q, &disk, part, len, &e), 0);
		free(part);
	}
	put(head + 108, 4, UINT32_MAX);
	assert_int_equal(qcow2_parse(&q, &disk, head, sizeof head, &e), 0);
	assert_string_equal(q.backing_format, "");
}

#define BYTES(text) text, sizeof(text) - 1
static const struct {
	const char *begins;
	size_t len;
	const char *says, *hint;
	bool raw; /* also refused if Format=raw was not written */
} aliens[] = {
	{ BYTES("KDMV\1\0\0\0"), "a VMDK image", "convert -f vmdk -O qcow2 /p /p.qcow2", true },
	{ BYTES("COWD"), "a VMDK image", "convert -f vmdk", true },
	{ BYTES("# Disk DescriptorFile\n"), "VMDK", "convert -f vmdk", true },
	{ BYTES("vhdxfile"), "a VHDX image", "convert -f vhdx", true },
	{ BYTES("conectix"), "a VHD image", "convert -f vpc", true },
	{ BYTES("QFI\xfb\0\0\0\1"), "qcow image of version 1", "convert -f qcow", true },
	{ BYTES("QED\0"), "a QED image", "convert -f qed", true },
	{ BYTES("WithoutFreeSpace"), "a Parallels image", "convert -f parallels", true },
	{ BYTES("\x1f\x8b\x08\0"), "compressed by gzip", "gunzip -c /p > ", true },
	{ BYTES("\xfd"
		"7zXZ\0"),
		"compressed by xz", "xz -dc /p > ", true },
	{ BYTES("\x28\xb5\x2f\xfd"), "compressed by zstd", "zstd -dc /p > ", true },
	{ BYTES("BZh91AY"), "compressed by bzip2", "bunzip2 -c /p > ", true },
	{ BYTES("PK\3\4"), "a ZIP archive", "unzip -p /p > ", true },
	{ BYTES("<!DOCTYPE html>\n"), "a web page", "download it again", true },
	{ BYTES("\xef\xbb\xbf\r\n <HTML lang=en>"), "a web page", "download it again", true },
	{ BYTES("<?xml version='1.0'?><Error>"), "a web page", "download it again", true },
	{ BYTES("404: Not Found"), "a web page", "download it again", true },
	{ BYTES("version https://git-lfs.github.com/spec/v1\n"), "Git LFS", "again", true },
	{ BYTES("LUKS\xba\xbe"), "a LUKS volume", "Format=raw", false },
	{ BYTES("\x7f"
		"ELF"),
		NULL, "Format=raw if", false },
};

static void test_aliens(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(aliens); i++) {
		struct jail_file f = disk;
		uint8_t head[512] = { 0 };
		struct err e = ERR_INIT;
		bool raw;

		memcpy(head, aliens[i].begins, aliens[i].len);
		assert_true(image_check_header(&f, head, sizeof head, &e) < 0);
		if (!strstr(e.text, "is not a qcow2 image") || !strstr(e.hint, aliens[i].hint) ||
			(aliens[i].says && !strstr(e.text, aliens[i].says)))
			fail_msg("%zu: '%s' (%s)", i, e.text, e.hint);
		f.format = JAIL_RAW;
		raw = image_check_header(&f, head, sizeof head, &e) == 0;
		if (raw == aliens[i].raw || (aliens[i].raw && !strstr(e.hint, aliens[i].hint)) ||
			(aliens[i].raw && strstr(e.hint, "Format=raw")))
			fail_msg("%zu as raw: '%s' (%s)", i, e.text, e.hint);
		f.format_written = true;
		assert_int_equal(image_check_header(&f, head, sizeof head, &e), 0);
	}
}

/* A guest may write an archive to its own raw disk. */
static void test_what_a_guest_wrote(void **state)
{
	struct jail_file f = disk;
	uint8_t head[512] = "\x1f\x8b\x08";
	struct err e = ERR_INIT;

	(void)state;
	f.format = JAIL_RAW;
	assert_true(image_check_header(&f, head, sizeof head, &e) < 0);
	f.seen = "2026-11-23";
	assert_int_equal(image_check_header(&f, head, sizeof head, &e), 0);
	memcpy(head, "KDMV", 4);
	assert_true(image_check_header(&f, head, sizeof head, &e) < 0);
}

/* --- an image and its length --- */

enum { CLUSTER = 1 << 16 };

static void write_be(int fd, uint64_t at, size_t len, uint64_t v)
{
	uint8_t b[8];

	put(b, len, v);
	assert_int_equal(pwrite(fd, b, len, (off_t)at), len);
}

/* Header, refcount table, its block, L1 table, L2 table and one cluster of data. */
static int make_image(void)
{
	const uint64_t copied = 1ULL << 63;
	uint8_t head[512] = { 0 };
	int fd = memfd_create("image", MFD_CLOEXEC);

	header(head, 3);
	assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
	write_be(fd, 1 * CLUSTER, 8, 2 * CLUSTER);
	for (uint64_t i = 0; i < 6; i++)
		write_be(fd, 2 * CLUSTER + i * 2, 2, 1);
	write_be(fd, 3 * CLUSTER, 8, copied | 4 * CLUSTER);
	write_be(fd, 4 * CLUSTER, 8, copied | 5 * CLUSTER);
	assert_int_equal(ftruncate(fd, 6 * CLUSTER), 0);
	return fd;
}

static char warned[512];

static void hear(
	const struct jail *j, const char *step, const struct jail_file *f, const struct err *e)
{
	(void)j, (void)step, (void)f;
	snprintf(warned, sizeof warned, "%.300s; %.200s", e->text, e->hint);
}

static int check_length(int fd, off_t length, const char *seen, time_t changed, struct err *e)
{
	struct jail_file f = disk;
	struct jail j = { .file = &f, .n_files = 1 };

	if (length)
		assert_int_equal(ftruncate(fd, length), 0);
	f.data = f.fd = fd;
	f.seen = seen;
	assert_int_equal(fstat(fd, &f.st), 0);
	if (changed)
		f.st.st_ctime = changed;
	warned[0] = '\0';
	image_warn(&j, &f, hear);
	return image_check(&j, &f, e);
}

static void test_length(void **state)
{
	_cleanup_(close_fd) int fd = make_image();
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(check_length(fd, 0, "", 0, &e), 0);
	assert_int_equal(check_length(fd, 5 * CLUSTER + 512, "", 0, &e), 0);
	/* the guest's data */
	assert_true(check_length(fd, 5 * CLUSTER, "", 0, &e) < 0);
	assert_non_null(strstr(e.text, "320K of at least 384K are left"));
	assert_string_equal(warned, "");
	assert_true(check_length(fd, 0, "2026-11-23", 0, &e) < 0);
	assert_non_null(strstr(e.hint, "truncate -s 393216 "));
	/* its last writes before the host went down */
	assert_int_equal(check_length(fd, 0, "2026-11-23", 1, &e), 0);
	assert_non_null(strstr(warned, "320K of at least 384K are left; the host died"));
	assert_true(check_length(fd, 0, "", 1, &e) < 0);
	/* counted but not referenced: a leaked cluster; one of zeros, one of another kind */
	for (uint64_t entry = 0; entry <= 5 * CLUSTER + 1; entry += 5 * CLUSTER + 1) {
		write_be(fd, 4 * CLUSTER, 8, entry);
		assert_int_equal(check_length(fd, 0, "", 0, &e), 0);
		assert_string_equal(warned, "");
	}
	write_be(fd, 4 * CLUSTER, 8, 1ULL << 62 | 5 * CLUSTER); /* compressed */
	assert_true(check_length(fd, 0, "", 0, &e) < 0);
	/* tables: a power failure does not remove these */
	assert_true(check_length(fd, 4 * CLUSTER, "2026-11-23", 1, &e) < 0);
	assert_true(check_length(fd, 3 * CLUSTER + 7, "2026-11-23", 1, &e) < 0);
	assert_true(check_length(fd, 2 * CLUSTER, "2026-11-23", 1, &e) < 0);
	assert_true(check_length(fd, 1 * CLUSTER, "2026-11-23", 1, &e) < 0);
}

/* A guest may write any tables: reading them is bounded. */
static void test_hostile_tables(void **state)
{
	_cleanup_(close_fd) int fd = make_image();
	struct err e = ERR_INIT;

	(void)state;
	for (uint64_t i = 0; i < CLUSTER / 8; i++) { /* everything refers to the same cluster */
		write_be(fd, 1 * CLUSTER + i * 8, 8, 2 * CLUSTER);
		write_be(fd, 4 * CLUSTER + i * 8, 8, 4 * CLUSTER);
	}
	assert_int_equal(check_length(fd, 0, "", 0, &e), 0);
	write_be(fd, 1 * CLUSTER, 8, UINT64_MAX);
	assert_true(check_length(fd, 0, "", 0, &e) < 0);
	write_be(fd, 48, 8, 0xffffffffffff0000);
	assert_true(check_length(fd, 0, "", 0, &e) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_aliens),
		cmocka_unit_test(test_what_a_guest_wrote),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_hostile_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
