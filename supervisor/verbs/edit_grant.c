/* SPDX-License-Identifier: MIT */
/* What a user gets with a VM that is made from another one. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "conf/value.h"
#include "supervisor/verbs/edit.h"

static void edit_grant(struct conf_edit *ed, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void edit_grant(struct conf_edit *ed, const char *fmt, ...)
{
	_cleanup_(free_ptr) char *word = NULL;
	struct err ignored = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&word, fmt, ap) < 0)
		abort();
	va_end(ap);
	conf_edit_set(ed, word, &ignored);
}

static void edit_grant_path(
	struct conf_edit *ed, const struct conf_disk *d, const char *key, const char *path)
{
	_cleanup_(free_ptr) char *text = conf_literal(path);

	edit_grant(ed, "%s.%s.%s=%s", d->cdrom ? "CDROM" : "Disk", d->id, key, text);
}

static void edit_grant_disk(struct conf_edit *ed, const struct conf_disk *d)
{
	if (!d->path)
		return;
	edit_grant_path(ed, d, "Path", d->path);
	if (*d->path != '/')
		edit_grant(ed, "%s.%s.Store=%s", d->cdrom ? "CDROM" : "Disk", d->id, d->store);
	if (d->cdrom)
		return;
	edit_grant(ed, "Disk.%s.ReadOnly=%s", d->id, d->read_only ? "yes" : "no");
	if (d->size)
		edit_grant(ed, "Disk.%s.Size=%" PRIu64, d->id, d->size);
	for (size_t i = 0; i < d->base.n; i++)
		edit_grant_path(ed, d, i ? "Base+" : "Base", d->base.item[i]);
}

char *edit_granted(const struct conf_vm *c)
{
	const struct conf_source empty = { .file = "", .text = "" };
	struct conf_edit *ed = conf_edit_new(&empty, 1, NULL);
	struct buf text = BUF_INIT;

	edit_grant(ed, "VM.UUID=%s", c->uuid ? c->uuid : "");
	for (size_t i = 0; i < c->owner.n; i++)
		edit_grant(ed, "VM.Owner+=%s", c->owner.item[i]);
	for (size_t i = 0; i < c->disks; i++)
		edit_grant_disk(ed, &c->disk[i]);
	for (size_t i = 0; i < c->ignored.n; i++)
		edit_grant(ed, "%s", c->ignored.item[i]);
	conf_edit_text(ed, 0, &text);
	conf_edit_free(ed);
	return text.data ? text.data : xstrdup("");
}
