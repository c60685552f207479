/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/identity.c - keeps the VM's identity before its guest can run
 *
 * UUID, uid, MACs and addresses of a guest that ran must be the same after a power cut, so the file is
 * fsynced, and its directory too. The daemon cannot wait for that, we can. While nothing changed,
 * nothing is written.
 */
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/jail/jail.h"

/* In the document too: a disk that we made is never made again. Those made, for the daemon. */
static json_t *mark_made(const struct jail *j, json_int_t now)
{
	json_t *made = json_array(), *disk;
	size_t n;

	for (size_t i = 0; i < j->n_files; i++) {
		if (!j->file[i].made)
			continue;
		json_array_append_new(made, json_pack("{s:s, s:I}", "id", j->file[i].id, "created", now));
		json_array_foreach (json_object_get(j->identity.document, "disks"), n, disk)
			if (streq(json_string_value(json_object_get(disk, "id")), j->file[i].id))
				json_object_set_new(disk, "created", json_integer(now));
	}
	return made;
}

static int write_out(const struct jail_identity *id, struct err *e)
{
	_cleanup_(close_fd) int dir = open(id->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_(free_ptr) char *text = json_dumps(id->document, JSON_INDENT(1));

	if (dir < 0)
		return err_errno(e, "open '%s'", id->dir);
	if (!text)
		return err_set(e, ERR_FAILED, "keep the identity: it is not JSON");
	return file_replace(dir, "identity.json", 0600, text, strlen(text), true, e);
}

int identity_keep(struct jail *j, struct err *e)
{
	json_t *made;
	int r;

	if (!j->identity.dir)
		return 0;
	made = mark_made(j, (json_int_t)time(NULL));
	if (!j->identity.changed && json_array_size(made) == 0) {
		json_decref(made);
		return 0;
	}
	r = write_out(&j->identity, e);
	if (r < 0) {
		json_decref(made);
		return err_wrap(e, r, "%s", j->identity.dir);
	}
	return answer(j->sock, json_pack("{s:{s:o}}", "kept", "disks", made));
}
