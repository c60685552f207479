/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/health.h - whether each QEMU is still there for us
 *
 * A QEMU that was stopped, or hangs on a dead disk, says nothing about it, so it is asked: all of them
 * every HealthCheckSec=, and all of them when somebody looks and the last round is HEALTH_LOOK_SECONDS
 * ago. Nobody waits for the answers, and a turn of the loop asks only a few. What a missing answer means
 * is said by the QMP session (vm_qmp_silent()).
 */
#ifndef SUPERVISOR_GUEST_HEALTH_H
#define SUPERVISOR_GUEST_HEALTH_H

struct health;
struct vms;

enum { HEALTH_LOOK_SECONDS = 10 };

struct health *health_new(struct vms *vms); /* observes them */
void health_free(struct health *h);
/* Somebody looks at the VMs: what is told next time is no older than from now on. */
void health_kick(struct health *h);

#endif
