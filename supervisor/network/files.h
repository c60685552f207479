/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/files.h - writing our own files, whatever is in their place
 */
#ifndef SUPERVISOR_NETWORK_FILES_H
#define SUPERVISOR_NETWORK_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* file_replace(), also where a directory is in the way: it is set aside, and named in the log. */
int network_put(const char *path, mode_t mode, const void *data, size_t len, struct err *e);
/* Renamed to PATH.damaged-TIME. False: it could not be. */
bool network_set_aside(const char *path, const char *why);
/* A directory of this mode, whatever our umask; what else is in its place goes. 1: it was not there. */
int network_dir(const char *path, mode_t mode, struct err *e);

#endif
