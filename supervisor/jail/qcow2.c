/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/qcow2.c - reads a qcow2 header, and compares what it promises with the file
 *
 * Layout: QEMU's docs/interop/qcow2.txt. The guest may have written any of it.
 */

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/jail/image.h"

enum {
	BACKING_MAX = 1023,
	HEADER_2 = 72,
	HEADER_3 = 104,
	EXTENSION_END = 0,
	EXTENSION_FORMAT = (int)0xe2792aca,
	EXTENSION_FEATURES = 0x6803f857,
	EXTENSION_BITMAPS = 0x23852875,
	FEATURE_ROW = 48,
	TABLE_ENTRY = 8,
	L1_MAX = 32 << 20, /* bytes, as QEMU has it */
	REFTABLE_MAX = 8 << 20,
	SNAPSHOTS_MAX = 65536,
	CHUNK = 64 << 10,
	BLOCKS_MAX = 64,
	SCAN_MAX = 256 << 20, /* of level 2 tables: describes 2 TiB */
};
static const uint64_t qcow2_offset = 0x00fffffffffffe00, qcow2_compressed = 1ULL << 62,
		      qcow2_zero = 1;

bool qcow2_is(const uint8_t *head, size_t len)
{
	return len >= 4 && memcmp(head, "QFI\xfb", 4) == 0 &&
	       !(len >= 8 && file_be(head + 4, 4) == 1);
}

/* --- the header --- */

static void qcow2_take_features(struct qcow2 *q, const uint8_t *p, size_t len)
{
	for (; len >= FEATURE_ROW; p += FEATURE_ROW, len -= FEATURE_ROW)
		if (!q->feature[0] && p[0] == 0 && p[1] < 64 &&
			q->incompatible & ~(uint64_t)QCOW2_KNOWN & 1ULL << p[1]) {
			memcpy(q->feature, p + 2, sizeof q->feature - 1);
			text_clean(q->feature);
		}
}

static void qcow2_take_extensions(struct qcow2 *q, const uint8_t *head, size_t len)
{
	size_t at = q->header_len;

	if (q->backing_at && q->backing_at < len)
		len = q->backing_at;
	while (at + 8 <= len) {
		uint32_t type = (uint32_t)file_be(head + at, 4);
		size_t size = file_be(head + at + 4, 4);
		const uint8_t *data = head + at + 8;

		if (type == EXTENSION_END || size > len - at - 8)
			return;
		if (type == (uint32_t)EXTENSION_FORMAT && size < sizeof q->backing_format) {
			memcpy(q->backing_format, data, size);
			text_clean(q->backing_format);
		} else if (type == EXTENSION_FEATURES) {
			qcow2_take_features(q, data, size);
		} else if (type == EXTENSION_BITMAPS && size >= 4) {
			q->bitmaps = (uint32_t)file_be(data, 4);
		}
		at += 8 + (size + 7) / 8 * 8;
	}
}

static int qcow2_damaged(
	const struct jail_file *f, struct err *e, const char *why, unsigned long long number)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);

	err_set(e, ERR_INVALID_CONFIG, "%s: %s has a damaged header: %s %llu", f->what,
		f->shown_path, why, number);
	return err_hint(e,
		"restore it from a backup, or download it again; qemu-img info %s says more",
		quoted);
}

/* What the other checks rely on. */
static int qcow2_check_layout(const struct qcow2 *q, const struct jail_file *f, struct err *e)
{
	unsigned least = q->incompatible & QCOW2_EXTENDED_L2 ? 14 : 9;

	if (q->cluster_bits < least || q->cluster_bits > 21)
		return qcow2_damaged(f, e, "cluster bits", q->cluster_bits);
	if ((q->version > 2 && q->header_len < HEADER_3) || q->header_len > 1U << q->cluster_bits)
		return qcow2_damaged(f, e, "length", q->header_len);
	return 0;
}

/* QEMU refuses these too, but with messages of its own. */
static int qcow2_check_numbers(const struct qcow2 *q, const struct jail_file *f, struct err *e)
{
	const uint64_t cluster = 1ULL << q->cluster_bits,
		       entry = q->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8,
		       per_l1 = cluster * (cluster / entry);
	const struct {
		bool bad;
		const char *why;
		uint64_t number;
	} rows[] = {
		/* clang-format off */
		{ q->refcount_order > 6, "refcount order", q->refcount_order },
		{ q->crypt > 2, "encryption method", q->crypt },
		{ q->backing_at > cluster, "backing file name at", q->backing_at },
		{ q->size > INT64_MAX, "size", q->size },
		{ q->l1_entries > L1_MAX / TABLE_ENTRY ||
		  q->l1_entries < q->size / per_l1 + !!(q->size % per_l1), "L1 table entries", q->l1_entries },
		{ q->l1_at % cluster, "L1 table at", q->l1_at },
		{ !q->reftable_clusters || q->reftable_clusters * cluster > REFTABLE_MAX,
		  "refcount table clusters", q->reftable_clusters },
		{ !q->reftable_at || q->reftable_at % cluster, "refcount table at", q->reftable_at },
		{ q->snapshots > SNAPSHOTS_MAX, "snapshots", q->snapshots },
		{ q->snapshots && q->snapshots_at % cluster, "snapshot table at", q->snapshots_at },
		/* clang-format on */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].bad)
			return qcow2_damaged(f, e, rows[i].why, rows[i].number);
	return 0;
}

/* Features of a sound image that vmkeep, or this use of the image, does not support. */
static int qcow2_check_features(const struct qcow2 *q, const struct jail_file *f, struct err *e)
{
	const uint64_t unknown = q->incompatible & ~(uint64_t)QCOW2_KNOWN;
	_cleanup_(free_ptr) char *quoted = text_shell_quote(f->path);

	if (unknown) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s needs an unknown feature: %s (bit %d)",
			f->what, f->shown_path, q->feature[0] ? q->feature : "without a name",
			__builtin_ctzll(unknown));
		return err_hint(e,
			"convert it where it was made, with a QEMU that knows it: qemu-img convert -O qcow2 %s NEW",
			quoted);
	}
	if (q->crypt) {
		err_set(e, ERR_INVALID_CONFIG,
			"%s: %s is encrypted (%s), and vmkeep has no image keys", f->what,
			f->shown_path, q->crypt == 2 ? "LUKS" : "AES");
		return err_hint(e,
			"decrypt it: qemu-img convert --object secret,id=k,file=PASSWORDFILE --image-opts "
			"driver=qcow2,encrypt.key-secret=k,file.filename=%s -O qcow2 NEW",
			quoted);
	}
	if (q->incompatible & QCOW2_DATA_FILE) {
		err_set(e, ERR_INVALID_CONFIG, "%s: %s keeps its data in another file", f->what,
			f->shown_path);
		return err_hint(e, "convert it: qemu-img convert -f qcow2 -O qcow2 %s NEW", quoted);
	}
	if (q->incompatible & QCOW2_CORRUPT && f->write) {
		err_set(e, ERR_INVALID_CONFIG,
			"%s: %s is marked as corrupt, so QEMU does not write to it", f->what,
			f->shown_path);
		return err_hint(e, "copy the image, then: qemu-img check -r all %s", quoted);
	}
	return 0;
}

static void qcow2_read(struct qcow2 *q, const uint8_t *head, size_t len)
{
	*q = (struct qcow2){
		.version = (unsigned)file_be(head + 4, 4),
		.backing_at = file_be(head + 8, 8),
		.backing_len = (uint32_t)file_be(head + 16, 4),
		.cluster_bits = (unsigned)file_be(head + 20, 4),
		.size = file_be(head + 24, 8),
		.crypt = (unsigned)file_be(head + 32, 4),
		.l1_entries = (uint32_t)file_be(head + 36, 4),
		.l1_at = file_be(head + 40, 8),
		.reftable_at = file_be(head + 48, 8),
		.reftable_clusters = (uint32_t)file_be(head + 56, 4),
		.snapshots = (uint32_t)file_be(head + 60, 4),
		.snapshots_at = file_be(head + 64, 8),
		.refcount_order = 4,
		.header_len = HEADER_2,
	};
	if (q->version < 3)
		return;
	q->incompatible = file_be(head + 72, 8);
	q->refcount_order = (unsigned)file_be(head + 96, 4);
	q->header_len = (unsigned)file_be(head + 100, 4);
}

static int qcow2_cut(const struct jail_file *f, size_t len, struct err *e)
{
	err_set(e, ERR_INVALID_CONFIG,
		"%s: %s is truncated: only %zu bytes of a qcow2 image are left", f->what,
		f->shown_path, len);
	return err_hint(e, "copy or download it again");
}

int qcow2_parse(
	struct qcow2 *q, const struct jail_file *f, const uint8_t *head, size_t len, struct err *e)
{
	unsigned version = len >= 8 ? (unsigned)file_be(head + 4, 4) : 0;
	int r;

	if (len >= 8 && (version < 2 || version > 3))
		return err_set(e, ERR_INVALID_CONFIG, "%s: %s is qcow2 version %u, not 2 or 3",
			f->what, f->shown_path, version);
	if (len < (version == 3 ? HEADER_3 : HEADER_2))
		return qcow2_cut(f, len, e);
	qcow2_read(q, head, len);
	r = qcow2_check_layout(q, f, e);
	if (r < 0)
		return r;
	qcow2_take_extensions(q, head, len);
	r = qcow2_check_features(q, f, e);
	return r == 0 ? qcow2_check_numbers(q, f, e) : r;
}

char *qcow2_backing_name(
	const struct jail_file *f, const struct qcow2 *q, const uint8_t *head, size_t len)
{
	const size_t at = q->backing_at, size = q->backing_len;
	char name[BACKING_MAX];

	if (!at || size == 0 || size > BACKING_MAX)
		return NULL;

	if (at + size <= len)
		memcpy(name, head + at, size);
	else if (pread(f->data, name, size, (off_t)at) != (ssize_t)size)
		return NULL;
	return text_escape(name, size, false);
}

uint64_t image_size(const struct jail_file *f)
{
	uint8_t head[IMAGE_HEAD];
	struct err e = ERR_INIT;
	struct qcow2 q = { 0 };
	ssize_t n;

	if (f->format != JAIL_QCOW2)
		return (uint64_t)f->st.st_size;
	n = f->data < 0 ? -1 : pread(f->data, head, sizeof head, 0);
	return n > 0 && qcow2_is(head, (size_t)n) && qcow2_parse(&q, f, head, (size_t)n, &e) == 0
		       ? q.size
		       : 0;
}

/* --- its tables against the file's length --- */

/* The file as it is now, for its guest may be running. What lies beyond its end reads as zeroes, as
 * QEMU has it. */
struct extent {
	int fd;
	const struct qcow2 *q;
	uint64_t cluster, left; /* bytes that may still be read */
	uint8_t *block;		/* a cluster */
};

static uint64_t qcow2_length(const struct extent *x)
{
	off_t end = lseek(x->fd, 0, SEEK_END);

	return end > 0 ? (uint64_t)end : 0;
}

static bool qcow2_beyond(const struct extent *x, uint64_t at)
{
	return at && at >= qcow2_length(x);
}

static size_t qcow2_fetch(const struct extent *x, void *to, size_t len, uint64_t at)
{
	ssize_t n = at > INT64_MAX ? 0 : pread(x->fd, to, len, (off_t)at);

	memset((char *)to + (n > 0 ? n : 0), 0, len - (n > 0 ? (size_t)n : 0));
	return len;
}

/* The last of the clusters that a refcount block counts as used; 0: none. */
static uint64_t qcow2_last_in_block(const struct extent *x, uint64_t at, uint64_t first)
{
	const unsigned bits = 1U << x->q->refcount_order;
	size_t i = qcow2_fetch(x, x->block, x->cluster, at);

	while (i > 0 && !x->block[i - 1])
		i--;
	return i ? first + (i * 8 - 1) / bits : 0;
}

/* Where the last used cluster is, as the refcounts have it: cheap, for usually just one of their
 * blocks is read. *missing: a block of them that is itself beyond the end. */
static uint64_t qcow2_last_used(struct extent *x, uint64_t *missing)
{
	const uint64_t entries = x->q->reftable_clusters * x->cluster / TABLE_ENTRY,
		       per_block = x->cluster * 8 >> x->q->refcount_order;
	uint8_t *table = xcalloc(entries, TABLE_ENTRY);
	uint64_t last = 0, length;
	unsigned read = 0;

	qcow2_fetch(x, table, entries * TABLE_ENTRY, x->q->reftable_at);
	length = qcow2_length(x);
	for (uint64_t i = entries; i-- > 0 && !*missing;) {
		uint64_t at = file_be(table + i * TABLE_ENTRY, TABLE_ENTRY) & qcow2_offset;

		if (at >= length)
			*missing = at;
		else if (at && !last && read++ < BLOCKS_MAX)
			last = qcow2_last_in_block(x, at, i * per_block);
	}
	free(table);
	return read > BLOCKS_MAX ? UINT64_MAX : last * x->cluster;
}

/* Where an entry's data begins; 0: it has none. */
static uint64_t qcow2_data_at(const struct qcow2 *q, const uint8_t *entry)
{
	uint64_t v = file_be(entry, TABLE_ENTRY);

	if (v & qcow2_compressed)
		return v & ((1ULL << (62 - (q->cluster_bits - 8))) - 1);
	if (q->incompatible & QCOW2_EXTENDED_L2)
		return file_be(entry + 12, 4) ? v & qcow2_offset : 0;
	return v & qcow2_zero ? 0 : v & qcow2_offset;
}

/* The first data beyond the end among what an L2 table refers to; 0: none. */
static uint64_t qcow2_missing_in_l2(struct extent *x, uint64_t at)
{
	const size_t step = x->q->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8;
	uint64_t length;

	qcow2_fetch(x, x->block, x->cluster, at);
	length = qcow2_length(x);
	for (size_t i = 0; i < x->cluster; i += step) {
		uint64_t data = qcow2_data_at(x->q, x->block + i);

		if (data && data >= length)
			return data;
	}
	return 0;
}

/* L2 tables beyond the end, and, deep: what they refer to. */
static uint64_t qcow2_missing_in_l1(struct extent *x, bool deep)
{
	uint64_t left = x->q->l1_entries, at = x->q->l1_at, missing = 0;
	uint8_t chunk[CHUNK];

	while (left && !missing) {
		size_t n = left < CHUNK / TABLE_ENTRY ? left : CHUNK / TABLE_ENTRY;

		qcow2_fetch(x, chunk, n * TABLE_ENTRY, at);
		for (size_t i = 0; i < n && !missing; i++) {
			uint64_t l2 = file_be(chunk + i * TABLE_ENTRY, TABLE_ENTRY) & qcow2_offset;

			if (qcow2_beyond(x, l2))
				missing = l2;
			if (!l2 || missing || !deep || x->left < x->cluster)
				continue;
			x->left -= x->cluster;
			missing = qcow2_missing_in_l2(x, l2);
		}
		at += n * TABLE_ENTRY;
		left -= n;
	}
	return missing;
}

static uint64_t qcow2_missing_table(const struct extent *x)
{
	const struct qcow2 *q = x->q;
	const uint64_t ends[] = { q->l1_entries ? q->l1_at + (uint64_t)q->l1_entries * 8 : 0,
		q->reftable_at + 1, q->snapshots ? q->snapshots_at + q->snapshots * 40ULL : 0 };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (qcow2_beyond(x, ends[i] - !!ends[i]))
			return ends[i] - 1;
	return 0;
}

/* Refcounts alone prove nothing: a cluster that was counted when its writer died is merely lost.
 * Those of an image that was not closed may lag behind. */
struct qcow2_gap qcow2_gap(const struct jail_file *f, const struct qcow2 *q)
{
	struct extent x = {
		.fd = f->data, .q = q, .cluster = 1ULL << q->cluster_bits, .left = SCAN_MAX
	};
	struct qcow2_gap gap = { .at = qcow2_missing_table(&x) };
	uint64_t last = 0;

	x.block = xcalloc(1, x.cluster);
	if (!gap.at)
		last = qcow2_last_used(&x, &gap.at);
	if (!gap.at)
		gap.at = qcow2_missing_in_l1(&x, false);
	if (!gap.at && (qcow2_beyond(&x, last) || q->incompatible & QCOW2_DIRTY)) {
		gap.at = qcow2_missing_in_l1(&x, true);
		gap.data = true;
	}
	free(x.block);
	gap.length = qcow2_length(&x);
	gap.end = (last > gap.at && last < UINT64_MAX ? last : gap.at) + x.cluster;
	return gap;
}
