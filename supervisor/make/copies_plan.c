/* SPDX-License-Identifier: MIT */
/* What qemu-img is told, and the files that vmkeep-jail shows to it. Pure. */
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/make/copies_private.h"
#include "supervisor/qemu/device.h"

static json_t *plan_file(const char *kind, const char *what, const char *path, const char *beneath)
{
	return json_pack("{s:s, s:s, s:s, s:s*}", "kind", kind, "what", what, "path", path,
		"beneath", beneath);
}

/* The base's name for the header: in the same directory just that, so that both can move. */
static const char *plan_base_name(const char *path, const char *base)
{
	const char *slash = strrchr(base, '/');
	size_t dir = (size_t)(slash + 1 - base);

	return strncmp(path, base, dir) == 0 && !strchr(path + dir, '/') && !strchr(slash, ':')
		       ? slash + 1
		       : base;
}

static json_t *plan_argv(const char *format, const char *base, const char *spec, const char *to)
{
	const char *const convert[] = { "qemu-img", "convert", "-p", "-t", "writeback", "-O",
		format },
			  *const on[] = { "-B", base, "-F", "raw" /* vmkeep-jail knows better */ };
	json_t *argv = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(convert); i++)
		json_array_append_new(argv, json_string(convert[i]));
	for (size_t i = 0; base && i < ARRAY_SIZE(on); i++)
		json_array_append_new(argv, json_string(on[i]));
	json_array_append_new(argv, json_string(spec));
	json_array_append_new(argv, json_string(to));
	return argv;
}

static char *plan_spec(json_t *node /* stolen */)
{
	char *text = json_dumps(node, JSON_COMPACT),
	     *spec = text ? xasprintf("json:%s", text) : NULL;

	free(text);
	json_decref(node);
	return spec;
}

/* The chain as its QEMU sees it, for reading. */
static char *plan_chain(
	const struct identity *id, const struct conf_disk *disk, const char *image_dir)
{
	struct conf_disk plain = *disk;
	struct err unheard = ERR_INIT;

	plain.read_only = true;
	plain.cache = CONF_CACHE_WRITEBACK;
	plain.aio = CONF_AIO_THREADS;
	plain.detect_zeroes = CONF_ZEROES_OFF;
	plain.discard = CONF_DISCARD_IGNORE;
	return plan_spec(device_disk_node(&plain, id, image_dir, &unheard));
}

static json_t *plan_base(const struct identity *id, const struct conf_disk *disk, size_t i,
	const char *image_dir, const char *what, char path[PATH_MAX])
{
	const char *written = disk->base.item[i];
	const enum conf_format known = identity_base_format(id, disk, i, image_dir);
	enum conf_format by_name;
	json_t *file;

	device_disk_path(disk, written, image_dir, path);
	by_name = identity_format_of(path);
	file = plan_file(
		"base", what, path, *written == '/' ? NULL : device_disk_dir(disk, image_dir));
	json_object_set_new(file, "id", json_string(disk->id));
	json_object_set_new(file, "has_base", json_boolean(i + 1 < disk->base.n));
	if (known != CONF_FORMAT_AUTO)
		json_object_set_new(file, "format", json_string(conf_format_name(known)));
	else if (by_name != CONF_FORMAT_AUTO)
		json_object_set_new(file, "by_name", json_string(conf_format_name(by_name)));
	return file;
}

json_t *copies_plan_disk(json_t *files, const struct identity *id, const struct conf_disk *disk,
	const char *image_dir, const char *what, const char *path, const char *beneath)
{
	const bool stored = *disk->path != '/' && !disk->volume;
	const char *format = conf_format_name(device_disk_format(disk, id));
	_cleanup_(free_ptr) char *spec = plan_chain(id, disk, image_dir);
	char from[PATH_MAX], base[PATH_MAX], first[PATH_MAX];
	json_t *file;

	file = plan_file("disk", what, device_disk_path(disk, disk->path, image_dir, from),
		stored ? device_disk_dir(disk, image_dir) : NULL);
	json_object_set_new(file, "id", json_string(disk->id));
	json_object_set_new(file, "format", json_string(format));
	json_object_set_new(file, "has_base", json_boolean(disk->base.n));
	json_object_set_new(file, "mounted", json_boolean(stored && disk->dir_mounted));
	if (disk->volume)
		json_object_set_new(
			file, "volume_of", json_string(device_disk_dir(disk, image_dir)));
	json_array_append_new(files, file);
	for (size_t i = 0; i < disk->base.n; i++)
		json_array_append_new(
			files, plan_base(id, disk, i, image_dir, what, i ? base : first));
	file = plan_file("disk", what, path, beneath);
	json_object_set_new(file, "format", json_string(format));
	json_array_append_new(files, file);
	return plan_argv(
		format, disk->base.n ? plan_base_name(path, first) : NULL, spec ? spec : "", path);
}

json_t *copies_plan_nvram(
	json_t *files, const char *from, const char *what, const char *path, const char *beneath)
{
	_cleanup_(free_ptr) char *spec =
		plan_spec(json_pack("{s:s, s:n, s:{s:s, s:s, s:s}}", "driver", "qcow2", "backing",
			"file", "driver", "file", "filename", from, "locking", "off"));

	json_array_append_new(files, plan_file("nvram", what, from, NULL));
	json_array_append_new(files, plan_file("nvram", what, path, beneath));
	return plan_argv("qcow2", NULL, spec ? spec : "", path);
}
