/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/known_keys.h - STATE/known-keys: which keys the newest version knows that ran here
 *
 * After a downgrade a file may have keys that only the newer version knew, and we can say so.
 */
#ifndef SUPERVISOR_CORE_KNOWN_KEYS_H
#define SUPERVISOR_CORE_KNOWN_KEYS_H

/* The text of a newer version, for struct conf_context; NULL: there was none. The caller frees. */
char *known_keys_read(int state_fd);
/* Leaves our keys to older versions, unless a newer one has left its own. */
void known_keys_leave(int state_fd);

#endif
