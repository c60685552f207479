/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/health.h - polls each QEMU for signs of life
 *
 * A stopped or hung QEMU sends no event, so poll it: all of them every HealthCheckSec=, and when a
 * client looks and the last round is at least HEALTH_LOOK_SECONDS old. Nothing waits for the
 * answers, and one loop iteration polls only a few. The QMP session reports a missing answer
 * (silent() in qmp/session.h).
 */
#ifndef SUPERVISOR_GUEST_HEALTH_H
#define SUPERVISOR_GUEST_HEALTH_H

struct health;
struct vms;

enum { HEALTH_LOOK_SECONDS = 10 };

struct health *health_new(struct vms *vms); /* registers an observer */
void health_free(struct health *h);
/* A client is looking at the VMs: starts a new round unless the last one is recent. */
void health_kick(struct health *h);

#endif
