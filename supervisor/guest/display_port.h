/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/display_port.h - the TCP port of a display
 */
#ifndef SUPERVISOR_GUEST_DISPLAY_PORT_H
#define SUPERVISOR_GUEST_DISPLAY_PORT_H

#include "base/err.h"

struct conf_vm;
struct vm;

/* A listening descriptor for vm->running; *address as people write it, also where it fails. */
int display_listen_tcp(struct vm *vm, char **address, struct err *e);
/* Whether the fixed port that c asks for could be had now. */
int display_port_check(const struct conf_vm *c, char **address, struct err *e);

#endif
