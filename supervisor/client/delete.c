/* SPDX-License-Identifier: MIT */
/* Prints what was deleted, what was kept, and how to bring it back. */
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/client/command.h"

static const char *delete_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void delete_print_image(struct buf *out, const char *target, const json_t *image,
	const char *moved, const char *removed)
{
	const char *path = delete_text(image, "path"), *to = delete_text(image, "to");

	if (to)
		buf_printf(out, "%s: '%s' %s\n", target, path, moved);
	else if (json_is_true(json_object_get(image, "removed")))
		buf_printf(out, "%s: '%s' %s\n", target, path, removed);
	else
		buf_printf(out, "%s: '%s' stays: %s\n", target, path, delete_text(image, "why"));
}

/* Within the days that the trash is kept. */
static void delete_print_way_back(struct buf *out, const char *target, const json_t *image)
{
	const char *path = delete_text(image, "path"), *to = delete_text(image, "to");
	_cleanup_(free_ptr) char *there = to ? text_shell_quote(to) : NULL,
				 *here = to ? text_shell_quote(path) : NULL;

	if (to)
		buf_printf(out, "%s: to bring it back: mv -n %s %s\n", target, there, here);
}

void delete_print(struct command *c, const char *target, const json_t *result)
{
	const char *kept = delete_text(result, "kept"), *uuid = delete_text(result, "uuid");
	const json_t *disks = json_object_get(result, "disks"),
		     *images = json_object_get(result, "images");
	json_t *one;
	size_t i;

	if (!kept) { /* --no-wait: the result is the job */
		command_print(c, target, result);
		return;
	}
	buf_printf(&c->out, "%s: deleted; its files are kept in '%s'\n", target, kept);
	if (uuid)
		buf_printf(&c->out, "%s: its UUID was %s\n", target, uuid);
	json_array_foreach (images, i, one) {
		delete_print_image(
			&c->out, target, one, "is in the trash for 7 days", "was removed for good");
		delete_print_way_back(&c->out, target, one);
	}
	for (i = 0; !images && i < json_array_size(disks); i++)
		buf_printf(&c->out, "%s: '%s' was kept\n", target,
			json_string_value(json_array_get(disks, i)));
}

void delete_print_dry(struct command *c, const char *target, const json_t *result)
{
	const json_t *disks = json_object_get(result, "disks"),
		     *images = json_object_get(result, "images");
	json_t *one;
	size_t i;

	json_array_foreach (images, i, one)
		delete_print_image(&c->out, target, one, "goes to the trash",
			"is removed for good: volumes have no trash");
	for (i = 0; !images && i < json_array_size(disks); i++)
		buf_printf(&c->out, "%s: '%s' stays\n", target,
			json_string_value(json_array_get(disks, i)));
}

/* An image that new VMs were made of. */
void delete_print_removed(struct command *c, const char *target, const json_t *result)
{
	const char *image = delete_text(result, "image");

	if (!image) { /* --no-wait: the result is the job */
		command_print(c, target, result);
		return;
	}
	delete_print_image(&c->out, image, result, "is in the trash for 7 days", NULL);
	delete_print_way_back(&c->out, image, result);
}
