/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/console.h - the serial ports of one running guest
 *
 * QEMU appends guest output to RUN/vms/NAME/out/serial-ID (output.h). We drain it from there to the
 * log and to all watchers, then punch it out of the file: the file does not grow while nobody
 * watches, and nothing is lost while somebody does. The serial socket is connected only while
 * somebody types: a client that does not read stalls the guest after 279 characters, and ours
 * always reads. Output is passed on raw; escaping for a terminal is up to the client.
 */
#ifndef SUPERVISOR_GUEST_CONSOLE_H
#define SUPERVISOR_GUEST_CONSOLE_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct vm;
struct hold;
struct logtail;

enum {
	CONSOLE_WATCHER_MAX = 512 << 10, /* bytes a slow watcher may lag before it is dropped */
	CONSOLE_TAIL_MAX = 256 << 10,
	CONSOLE_LINES = 200,
};
/* in place of a number of lines */
#define CONSOLE_SINCE_START UINT_MAX

/* fd: a client's non-blocking connection, stolen together with hold, which charges it to the
 * client's user. The client gets the last lines (or CONSOLE_SINCE_START), then new output; if typing,
 * its input goes to the guest. serial NULL: the first port. */
int console_watch(struct vm *vm, const char *serial, int fd, struct hold *hold, unsigned lines,
	bool typing, const struct buf *leftover, struct err *e);
/* Does the port exist? For use before the connection is handed over. */
int console_check(const struct vm *vm, const char *serial, struct err *e);

/* The last lines of the first port's log; works for a VM that is off, too. */
void console_tail(struct logtail *t, const struct vm *vm, unsigned lines);

#endif
