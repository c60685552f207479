/* SPDX-License-Identifier: MIT */
#include "supervisor/qemu/firmware.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdint.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum { DESCRIPTOR_MAX = 64 << 10, DESCRIPTORS_MAX = 256 };

static bool firmware_has(const json_t *descriptor, const char *list, const char *word)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(descriptor, list), i, item)
		if (streq(json_string_value(item), word))
			return true;
	return false;
}

static bool firmware_runs_on(const json_t *descriptor, const char *machine)
{
	json_t *target, *glob;
	size_t i, j;

	json_array_foreach (json_object_get(descriptor, "targets"), i, target) {
		if (!streq(json_string_value(json_object_get(target, "architecture")), "x86_64"))
			continue;
		json_array_foreach (json_object_get(target, "machines"), j, glob)
			if (json_is_string(glob) &&
				fnmatch(json_string_value(glob), machine, 0) == 0)
				return true;
	}
	return false;
}

static bool firmware_read_format(const char *name, enum conf_format *format)
{
	*format = streq(name, "qcow2") ? CONF_FORMAT_QCOW2 : CONF_FORMAT_RAW;
	return *format == CONF_FORMAT_QCOW2 || streq(name, "raw");
}

/* Two flash images in formats that we support; NULL for anything else. */
static struct firmware *firmware_read_mapping(const json_t *descriptor)
{
	const char *device, *mode = "split", *code, *code_format, *vars, *vars_format;
	struct firmware f = { .needs_smm = firmware_has(descriptor, "features", "requires-smm") },
			*out;

	if (json_unpack((json_t *)(uintptr_t)descriptor,
		    "{s:{s:s, s?s, s:{s:s, s:s}, s:{s:s, s:s}}}", "mapping", "device", &device,
		    "mode", &mode, "executable", "filename", &code, "format", &code_format,
		    "nvram-template", "filename", &vars, "format", &vars_format) < 0 ||
		!streq(device, "flash") || !streq(mode, "split") ||
		!firmware_read_format(code_format, &f.code_format) ||
		!firmware_read_format(vars_format, &f.vars_format))
		return NULL;
	f.code = xstrdup(code);
	f.vars = xstrdup(vars);
	out = xcalloc(1, sizeof *out);
	*out = f;
	return out;
}

static bool firmware_suits(const json_t *descriptor, const char *machine, bool secure_boot)
{
	/* without keys secure boot verifies nothing; with keys an unsigned OS does not boot */
	bool smm = firmware_has(descriptor, "features", "requires-smm"),
	     keys = firmware_has(descriptor, "features", "secure-boot") &&
		    firmware_has(descriptor, "features", "enrolled-keys");

	return firmware_has(descriptor, "interface-types", "uefi") &&
	       firmware_runs_on(descriptor, machine) && (secure_boot ? keys : !smm && !keys);
}

bool firmware_wanted(const struct conf_vm *c)
{
	return c->firmware == CONF_FIRMWARE_UEFI ||
	       (c->firmware == CONF_FIRMWARE_AUTO && c->secure_boot);
}

struct found {
	char *name;
	const char *dir;
};

static int firmware_by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static bool firmware_is_masked(const struct found *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i].name, name))
			return true;
	return false;
}

static size_t firmware_find_in(const char *dir, struct found *list, size_t n)
{
	_cleanup_(close_dir) DIR *d = opendir(dir);

	for (struct dirent *entry; d && n < DESCRIPTORS_MAX && (entry = readdir(d));) {
		size_t len = strlen(entry->d_name);

		if (len > 5 && streq(entry->d_name + len - 5, ".json") &&
			!firmware_is_masked(list, n, entry->d_name))
			list[n++] = (struct found){ xstrdup(entry->d_name), dir };
	}
	return n;
}

static json_t *firmware_read_descriptor(const struct found *f)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", f->dir, f->name);
	_cleanup_(buf_release) struct buf text = BUF_MAX(DESCRIPTOR_MAX);
	struct err e = ERR_INIT;
	json_error_t why;
	json_t *doc = NULL;

	if (file_read(AT_FDCWD, path, &text, &e) < 0)
		log_warning(NULL, "%s", e.text);
	else if (text.len && !(doc = json_loadb(text.data, text.len, 0, &why)))
		log_warning(NULL, "firmware descriptor '%s' line %d: %s", path, why.line, why.text);
	return doc;
}

int firmware_choose_in(struct firmware **out, const char *const *dirs, size_t n,
	const char *machine, bool secure_boot, struct err *e)
{
	struct found *list = xcalloc(DESCRIPTORS_MAX, sizeof *list);
	size_t count = 0;

	*out = NULL;
	for (size_t i = 0; i < n; i++)
		count = firmware_find_in(dirs[i], list, count);
	qsort(list, count, sizeof *list, firmware_by_name);
	for (size_t i = 0; i < count; i++) {
		json_t *doc = *out ? NULL : firmware_read_descriptor(&list[i]);

		if (doc && firmware_suits(doc, machine, secure_boot))
			*out = firmware_read_mapping(doc);
		json_decref(doc);
		free(list[i].name);
	}
	free(list);
	if (*out)
		return 0;
	err_set(e, ERR_NOT_FOUND, "there is no UEFI firmware for machine '%s'%s", machine,
		secure_boot ? " with secure boot" : "");
	return err_hint(e, "install the package ovmf");
}

int firmware_choose(struct firmware **out, const char *machine, bool secure_boot, struct err *e)
{
	static const char *const dirs[] = { "/etc/qemu/firmware", "/usr/share/qemu/firmware" };

	return firmware_choose_in(out, dirs, ARRAY_SIZE(dirs), machine, secure_boot, e);
}

void firmware_free(struct firmware *f)
{
	if (!f)
		return;
	free(f->code);
	free(f->vars);
	free(f);
}
