/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/space.h - a guest that ran out of space on the host
 *
 * It stays paused until there is space again, which policy tries from time to time.
 */
#ifndef SUPERVISOR_GUEST_SPACE_H
#define SUPERVISOR_GUEST_SPACE_H

struct vm_part;

extern const struct vm_part space_part;

#endif
