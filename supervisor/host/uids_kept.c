/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/host/uids.h"

enum { FILE_MAX = 1 << 20 };

static void kept_in(int dirfd, const char *file, void (*with)(void *data, uid_t uid), void *data)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(FILE_MAX);
	json_int_t uid = 0;
	json_t *doc;

	if (file_read(dirfd, file, &text, NULL) == 0 && text.data) {
		doc = json_loadb(text.data, text.len, 0, NULL);
		uid = json_integer_value(json_object_get(doc, "uid"));
		json_decref(doc);
	}
	if (uid >= UIDS_FIRST && uid < UIDS_END)
		with(data, (uid_t)uid);
}

void uids_kept(int state_fd, void (*with)(void *data, uid_t uid), void *data)
{
	static const struct {
		const char *dir, *below;
	} places[] = { { "vms", "/identity.json" }, { "networks", "" } };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_(close_dir) DIR *dir = file_open_dir(state_fd, places[i].dir, 0);

		for (const struct dirent *d; dir && (d = readdir(dir));) {
			_cleanup_(free_ptr) char *file =
				xasprintf("%s%s", d->d_name, places[i].below);
			const char *end = strrchr(file, '.');

			if (streq(end, ".json"))
				kept_in(dirfd(dir), file, with, data);
		}
	}
}
