/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/unplug.h - the guest releases a device
 *
 * QEMU only asks the guest; DEVICE_DELETED tells that the device is gone. A guest without a driver
 * does not answer, and one that is booting misses the request, which is why it is repeated. What did
 * not go in time may go later, for example with a reset: until then the device's back end must stay,
 * and whoever owns it looks at unplug_gone() of each event, and asks unplug_look() when the monitor
 * was lost meanwhile. Of nothing else than the device does this know.
 */
#ifndef SUPERVISOR_GUEST_UNPLUG_H
#define SUPERVISOR_GUEST_UNPLUG_H

#include "supervisor/core/job.h"
#include "supervisor/vm/vm.h"

enum unplug_end {
	UNPLUG_GONE,
	UNPLUG_STAYS, /* it may still go: ERR_GUEST_REFUSED, or it was cancelled */
	UNPLUG_LOST,  /* QEMU or its monitor went away: not known */
};

/* done is called once, from the loop; e is NULL for UNPLUG_GONE only. The VM may be gone. */
typedef void unplug_fn(void *data, enum unplug_end end, const struct err *e);

/* device: its id in QEMU; what: for people, as "NIC 'lan'". timeout: in seconds. j: is told what it
 * waits for, and may be cancelled meanwhile; NULL is fine. The monitor must be connected. */
void unplug_begin(struct vm *vm, const char *device, const char *what, double timeout,
	struct job *j, unplug_fn *done, void *data);

/* Of a QMP event: the id of the device that is gone, or NULL. */
const char *unplug_gone(const char *event, const json_t *data);

/* Asks which devices with an id QEMU has; result of the reply: see unplug_has(). */
void unplug_look(struct qmp *q, qmp_reply_fn *reply, void *data);
bool unplug_has(const json_t *result, const char *device);

#endif
