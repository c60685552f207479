/* SPDX-License-Identifier: MIT */
/*
 * STATE/trash-quota: what the deleted disks of users count until the trash is emptied of them:
 *
 *   {"version": 1, "rows": [{"owner": ["alice"], "bytes": N, "time": TIME}]}
 *
 * The trash itself does not say whose it is, and the daemon does not look into stores.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/control/peer.h"
#include "supervisor/core/aside.h"
#include "supervisor/core/keep.h"
#include "supervisor/make/trash.h"
#include "supervisor/verbs/quota.h"

enum { TRASH_VERSION = 1, TRASH_TEXT_MAX = 1 << 20, DAY_SECONDS = 86400 };

static const char file_name[] = "trash-quota";
static json_t *rows; /* NULL: not read yet */

static json_t *trash_parse(const struct buf *text)
{
	json_t *doc = json_loadb(text->data, text->len, 0, NULL),
	       *found = json_object_get(doc, "rows");
	bool good = json_integer_value(json_object_get(doc, "version")) == TRASH_VERSION &&
		    json_is_array(found);

	found = good ? json_incref(found) : NULL;
	json_decref(doc);
	return found;
}

static void trash_read(const struct daemon *d)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(TRASH_TEXT_MAX);
	char aside[PATH_MAX];
	struct err e = ERR_INIT;

	if (rows)
		return;
	if (file_read(d->dirs.state_fd, file_name, &text, &e) == 0)
		rows = trash_parse(&text);
	if (!rows && e.class != ERR_NOT_FOUND &&
		aside_move(d->dirs.state_fd, file_name, aside, NULL) == 0)
		log_error(NULL, "'%s' is damaged: kept as '%s'", file_name, aside);
	rows = rows ? rows : json_array();
}

/* Is it out of the trash by now? */
static bool trash_is_over(const struct daemon *d, const json_t *row)
{
	return json_integer_value(json_object_get(row, "time")) < trash_old(d->trash);
}

/* One row for each owner and day, so that they stay few. */
static void trash_count(const json_t *owner, json_int_t bytes, json_int_t time)
{
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (json_integer_value(json_object_get(row, "time")) == time &&
			json_equal(json_object_get(row, "owner"), owner)) {
			bytes += json_integer_value(json_object_get(row, "bytes"));
			json_object_set_new(row, "bytes", json_integer(bytes));
			return;
		}
	json_array_append_new(
		rows, json_pack("{s:O, s:I, s:I}", "owner", owner, "bytes", bytes, "time", time));
}

void quota_trash_add(struct daemon *d, const json_t *owner, uint64_t bytes, double now)
{
	json_t *doc;
	char *text;

	if (!json_array_size(owner) || !bytes)
		return;
	trash_read(d);
	for (size_t i = json_array_size(rows); i-- > 0;)
		if (trash_is_over(d, json_array_get(rows, i)))
			json_array_remove(rows, i);
	trash_count(owner, (json_int_t)bytes, ((json_int_t)now / DAY_SECONDS + 1) * DAY_SECONDS);
	doc = json_pack("{s:i, s:O}", "version", TRASH_VERSION, "rows", rows);
	text = json_dumps(doc, JSON_COMPACT);
	keep_unwatched(d, file_name, text);
	free(text);
	json_decref(doc);
}

uint64_t quota_trash(const struct daemon *d, const struct peer *peer)
{
	uint64_t sum = 0;
	json_t *row, *owner;
	size_t i, k;

	trash_read(d);
	json_array_foreach (rows, i, row) {
		json_int_t bytes = json_integer_value(json_object_get(row, "bytes"));
		bool is = false;

		json_array_foreach (json_object_get(row, "owner"), k, owner)
			is = is ||
			     (json_is_string(owner) && peer_is(peer, json_string_value(owner)));
		if (is && bytes > 0 && !trash_is_over(d, row))
			sum += (uint64_t)bytes;
	}
	return sum;
}
