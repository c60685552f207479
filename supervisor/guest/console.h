/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/console.h - the serial ports of one running guest
 *
 * QEMU appends what a guest prints to RUN/vms/NAME/out/serial-ID (output.h). It is drained from there
 * to the log and to whoever watches, and the drained part is punched out of the file, so that nothing
 * grows while nobody looks and nothing is lost while somebody does. The serial socket is connected
 * only while somebody types: a client that does not read stalls the guest after 279 characters, and
 * ours always reads. All bytes are the guest's: whoever shows them on a terminal decides to escape.
 */
#ifndef SUPERVISOR_GUEST_CONSOLE_H
#define SUPERVISOR_GUEST_CONSOLE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct vm;
struct hold;
struct logtail;

enum {
	CONSOLE_WATCHER_MAX = 512 << 10, /* bytes a slow watcher may lag before it is dropped */
	CONSOLE_TAIL_MAX = 256 << 10,
};

/* fd: a client's non-blocking connection, stolen with the hold on its user's account. It gets the last
 * lines, then what comes; typing: what it sends goes to the guest. serial NULL: the first. */
int console_watch(struct vm *vm, const char *serial, int fd, struct hold *hold, unsigned lines,
	bool typing, const struct buf *leftover, struct err *e);
/* Is there such a port? For a check before the connection is handed over. */
int console_check(const struct vm *vm, const char *serial, struct err *e);

/* The last lines of the log of the first port, also of a VM that is off. */
void console_tail(struct logtail *t, const struct vm *vm, unsigned lines);

#endif
