/* SPDX-License-Identifier: MIT */
/*
 * supervisor/client/help.h - usage and overview, generated from the verb table
 */
#ifndef SUPERVISOR_CLIENT_HELP_H
#define SUPERVISOR_CLIENT_HELP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "supervisor/api/api.h"

/* "stop NAME... [--timeout TIME]" */
void help_usage(struct buf *b, const struct api_verb *verb);
void help_verb(struct buf *b, const struct api_verb *verb);
/* The names of all commands, on one screen. */
void help_short(struct buf *b);
/* All commands, or those of a group ("net"). */
void help_overview(struct buf *b, const char *group /* may be NULL */);

#endif
