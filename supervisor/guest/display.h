/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/display.h - the ways to a guest's screen
 *
 * QEMU has no VNC listener: the daemon listens (RUN/vms/NAME/vnc.sock, or TCP as configured) and hands
 * each connection over by getfd and add_client; of a TCP one only the end of a socket pair, see relay.h.
 * So no port clashes inside QEMU, each connection has a known peer, and nothing of the host's network is
 * in the jail.
 */
#ifndef SUPERVISOR_GUEST_DISPLAY_H
#define SUPERVISOR_GUEST_DISPLAY_H

#include "base/err.h"

struct conf_problems;
struct conf_vm;
struct display;
struct vm;
struct vms;

/* Sets vm->display for vm->running; nothing when it has none. A taken port is ERR_CONFLICT and names
 * the holder; Port=auto takes the first free one from 5900. After adoption the port of before is used. */
int display_open(struct vm *vm, struct err *e);
/* Whether the fixed TCP port that c asks for, if it does, could be had now. */
int display_check(const struct vm *vm, const struct conf_vm *c, struct err *e);
/* The same for a VM that is taken back, which goes on without where it cannot be had: vm->display_lost says why. */
void display_adopt(struct vm *vm);
/* Tries that again, for all; what is still not to be had is told in p. */
void displays_mend(struct vms *vms, struct conf_problems *p);
void display_end(struct vm *vm); /* with its process */
/* After the monitor is ready: the password of [Display] Password=, when there is one. */
void display_joined(struct vm *vm);
/* "127.0.0.1:5900" or the socket's path; NULL: none. */
const char *display_address(const struct vm *vm);

#endif
