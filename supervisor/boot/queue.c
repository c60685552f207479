/* SPDX-License-Identifier: MIT */
/* The list of pending starts, and RUN/boot, which passes it on to the next daemon. */
#include "base/file.h"
#include "base/log.h"
#include "supervisor/boot/private.h"

struct pending *boot_find(struct boot *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (streq(b->pending[i].name, name))
			return &b->pending[i];
	return NULL;
}

bool pending_is_over(const struct pending *p)
{
	return p->phase == BOOT_READY || p->phase == BOOT_LATE || p->phase == BOOT_FAILED;
}

void pending_finish(struct pending *p, enum boot_phase phase)
{
	p->phase = phase;
	ready_release(&p->ready);
	boot_stamp_write(p->boot);
}

void boot_kick(struct daemon *d)
{
	if (d->boot)
		loop_later(d->loop.ev, &d->boot->soon, d->boot->advance);
}

void boot_stamp_write(const struct boot *b)
{
	const struct daemon *d = b->daemon;
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	buf_printf(&text, "%s\n", d->boot_id);
	for (size_t i = 0; i < b->n; i++)
		if (!pending_is_over(&b->pending[i]))
			buf_printf(&text, "%s\n", b->pending[i].name);
	if (file_replace(d->dirs.run_fd, "boot", 0600, text.data, text.len, false, &e) < 0)
		log_error(NULL, "record this boot: %s", e.text);
}

bool boot_stamp_read(const struct daemon *d, struct buf *text)
{
	char id[PROC_BOOT_ID] = "";

	if (file_read(d->dirs.run_fd, "boot", text, NULL) < 0 || !text->data)
		return false;
	snprintf(id, sizeof id, "%.*s", (int)strcspn(text->data, "\n"), text->data);
	return strchr(text->data, '\n') && proc_same_boot(id, d->boot_id);
}

bool boot_stamp_names(const struct buf *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text->data; (line = strchr(line, '\n'));)
		if (strncmp(++line, name, len) == 0 && line[len] == '\n')
			return true;
	return false;
}
