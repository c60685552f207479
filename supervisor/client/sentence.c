/* SPDX-License-Identifier: MIT */
/* Results that read better as a sentence than as "member value". */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"
#include "supervisor/client/value.h"

static json_int_t sentence_number(const json_t *result, const char *key)
{
	return json_integer_value(json_object_get(result, key));
}

static void sentence_systems(struct buf *b, json_int_t n, const char *what)
{
	buf_printf(b, "%" JSON_INTEGER_FORMAT " file system%s %s", n, n == 1 ? "" : "s", what);
}

void sentence_memory(struct command *c, const char *target, const json_t *result)
{
	char size[32];

	if (!json_object_get(result, "actual")) { /* a job that is not waited for */
		command_print(c, target, result);
		return;
	}
	buf_printf(&c->out, "%s: memory is now %s\n", target,
		text_size(size, sizeof size, (uint64_t)sentence_number(result, "actual")));
}

void sentence_fetched(struct command *c, const char *target, const json_t *result)
{
	const char *image = json_string_value(json_object_get(result, "image"));

	if (!image) { /* a job that is not waited for */
		command_print(c, target, result);
		return;
	}
	buf_printf(&c->out, "%s: %s store %s\n", image,
		json_is_true(json_object_get(result, "changed")) ? "fetched into" : "already in",
		json_string_value(json_object_get(result, "store")));
}

void sentence_clone(struct command *c, const char *target, const json_t *result)
{
	const char *new = json_string_value(json_object_get(result, "new"));

	if (new)
		buf_printf(
			&c->out, "%s: cloned; vmkeep start %s starts the new one\n", target, new);
	else
		command_print(c, target, result);
}

void sentence_rename(struct command *c, const char *target, const json_t *result)
{
	const char *new = json_string_value(json_object_get(result, "new"));

	if (new)
		buf_printf(&c->out, "%s: is %s now; its file is '%s'\n", target, new,
			json_string_value(json_object_get(result, "file")));
	else
		command_print(c, target, result);
}

void sentence_cd(struct command *c, const char *target, const json_t *result)
{
	const json_t *medium = json_object_get(result, "medium");
	_cleanup_(free_ptr) char *drive = value_text(NULL, json_object_get(result, "drive")),
				 *path = value_text(NULL, medium);

	if (!json_object_get(result, "drive"))
		command_print(c, target, result);
	else if (json_is_string(medium))
		buf_printf(&c->out, "%s: drive '%s' has %s\n", target, drive, path);
	else
		buf_printf(&c->out, "%s: drive '%s' is empty\n", target, drive);
}

void sentence_nic(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *nic = value_text(NULL, json_object_get(result, "nic")),
				 *state = value_text(NULL, json_object_get(result, "link"));

	if (!json_object_get(result, "nic"))
		command_print(c, target, result);
	else if (streq(c->verb->execute, "nic-link"))
		buf_printf(&c->out, "%s: the link of NIC '%s' is %s\n", target, nic, state);
	else
		buf_printf(&c->out, "%s: NIC '%s' is plugged %s\n", target, nic,
			streq(c->verb->execute, "nic-attach") ? "in" : "out");
}

void sentence_disk(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *disk = value_text(NULL, json_object_get(result, "disk"));

	if (!json_object_get(result, "disk")) {
		command_print(c, target, result);
		return;
	}
	buf_printf(&c->out, "%s: disk '%s' is %s\n", target, disk,
		streq(c->verb->execute, "disk-attach") ? "attached" : "detached");
}

void sentence_snapshot(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *name = value_text(NULL, json_object_get(result, "snapshot"));

	if (!json_object_get(result, "snapshot")) {
		command_print(c, target, result);
		return;
	}
	buf_printf(&c->out, "%s: snapshot %s %s\n", target, name,
		streq(c->verb->execute, "snapshot-create") ? "created" : "deleted");
}

void sentence_freeze(struct command *c, const char *target, const json_t *result)
{
	char time[32];

	buf_printf(&c->out, "%s: ", target);
	sentence_systems(&c->out, sentence_number(result, "frozen"), "frozen");
	text_duration(time, sizeof time,
		(uint64_t)(json_number_value(json_object_get(result, "seconds")) * 1000));
	buf_printf(&c->out, ", thawed after %s at the latest\n", time);
}

void sentence_thaw(struct command *c, const char *target, const json_t *result)
{
	buf_printf(&c->out, "%s: ", target);
	sentence_systems(&c->out, sentence_number(result, "thawed"), "thawed");
	buf_addc(&c->out, '\n');
}

void sentence_time(struct command *c, const char *target, const json_t *result)
{
	_cleanup_(free_ptr) char *time = value_text(
		value_field(c->result->members, "time"), json_object_get(result, "time"));
	double skew = json_number_value(json_object_get(result, "skew"));

	buf_printf(&c->out, "%s: %s, %.2f s %s the host\n", target, time, skew < 0 ? -skew : skew,
		skew < 0 ? "behind" : "ahead of");
}

/* "188M of 192M" in place of two members; enable says what enabled does. */
json_t *sentence_info(const json_t *result)
{
	json_t *copy = json_copy((json_t *)(uintptr_t)result);
	const json_t *now = json_object_get(result, "balloon"),
		     *all = json_object_get(result, "memory");
	char a[32], b[32];

	if (json_is_integer(now) && json_is_integer(all) && !json_equal(now, all))
		json_object_set_new(copy, "memory",
			json_sprintf("%s of %s",
				text_size(a, sizeof a, (uint64_t)json_integer_value(now)),
				text_size(b, sizeof b, (uint64_t)json_integer_value(all))));
	json_object_del(copy, "balloon");
	if (json_object_get(copy, "enable"))
		json_object_del(copy, "enabled");
	return copy;
}
