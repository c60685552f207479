/* SPDX-License-Identifier: MIT */
/* The child's side of catalogue.h: {"do": "catalogue", "dirs": [DIRECTORY]}, later ones count. */
#include <sys/stat.h>

#include "base/mem.h"
#include "conf/load.h"
#include "conf/names.h"
#include "supervisor/api/api.h"
#include "supervisor/make/catalogue.h"

enum { ENTRIES_MAX = 1000 };

static const char ending[] = ".ini";

/* Hides one of the same name. */
static bool catalogue_is_empty(const char *dir, const char *name)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s%s", dir, name, ending);
	struct stat st;

	return stat(path, &st) == 0 && st.st_size == 0;
}

static json_t *catalogue_text(const char *text)
{
	return text ? api_text(text) : json_null();
}

static json_t *catalogue_make(const char *dir, const char *name)
{
	struct conf_image c = CONF_IMAGE_INIT;
	struct conf_problems problems = { 0 };
	struct err e = ERR_INIT;
	json_t *entry;

	conf_load_image(&c, dir, name, &problems);
	conf_problems_err(&problems, &e);
	entry = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", api_text(name),
		"description", catalogue_text(c.description), "url", catalogue_text(c.url),
		"checksums", catalogue_text(c.checksums), "signature", catalogue_text(c.signature),
		"keyring", catalogue_text(c.keyring), "digest", catalogue_text(c.digest), "user",
		catalogue_text(c.user), "problem", catalogue_text(e.number ? e.text : NULL));
	conf_problems_release(&problems);
	conf_image_release(&c);
	return entry;
}

static void catalogue_read_dir(json_t *entries, const char *dir)
{
	struct conf_names found = { 0 };

	/* one that is missing has none */
	conf_names_read(&found, dir, ending);
	for (size_t i = 0; i < found.n && json_object_size(entries) < ENTRIES_MAX; i++) {
		const char *name = found.name[i];
		_cleanup_(free_ptr) char *stem =
			xasprintf("%.*s", (int)(strlen(name) - strlen(ending)), name);

		json_object_set_new(entries, stem,
			catalogue_is_empty(dir, stem) ? json_null() : catalogue_make(dir, stem));
	}
	conf_names_release(&found);
}

json_t *catalogue_read(const json_t *request)
{
	json_auto_t *by_name = json_object();
	json_t *rows = json_array(), *dir, *entry;
	const char *name;
	size_t i;

	json_array_foreach (json_object_get(request, "dirs"), i, dir)
		catalogue_read_dir(by_name, json_string_value(dir));
	json_object_foreach (by_name, name, entry)
		if (json_is_object(entry))
			json_array_append(rows, entry);
	return json_pack("{s:o}", "entries", rows);
}
