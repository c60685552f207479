/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/vsock.h - [VSock]: sockets between guest and host
 *
 * QEMU gets a descriptor of /dev/vhost-vsock, which is not in its jail.
 */
#ifndef SUPERVISOR_GUEST_VSOCK_H
#define SUPERVISOR_GUEST_VSOCK_H

struct vm_part;

extern const struct vm_part vsock_part;

#endif
