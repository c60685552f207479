/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/display_port.h - the TCP port of a display
 */
#ifndef SUPERVISOR_GUEST_DISPLAY_PORT_H
#define SUPERVISOR_GUEST_DISPLAY_PORT_H

#include "base/err.h"

struct conf_vm;
struct vm;

/* Returns a listening fd for vm->proc.conf. *address is in display form, and set even if listening
 * fails. */
int display_listen_tcp(struct vm *vm, char **address, struct err *e);
/* Checks whether the fixed port in c is free now. */
int display_port_check(const struct conf_vm *c, char **address, struct err *e);

#endif
