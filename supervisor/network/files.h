/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/files.h - writes our own files, whatever is in their place
 */
#ifndef SUPERVISOR_NETWORK_FILES_H
#define SUPERVISOR_NETWORK_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Like file_replace(), but a directory in the way is set aside, and logged. */
int network_put(const char *path, mode_t mode, const void *data, size_t len, struct err *e);
/* Does the file have exactly this text? */
bool network_file_is(const char *path, const char *text);
/* Renames it to PATH.damaged-TIME. False: failed. */
bool network_set_aside(const char *path, const char *why);
/* Creates a directory with this mode, regardless of our umask; removes a file in its place. 1: it
 * was missing. */
int network_dir(const char *path, mode_t mode, struct err *e);

#endif
