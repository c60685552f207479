/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/inside.h - what of RUN/vms/NAME a guest's private root shows
 *
 * Its monitor's, agent's and serial sockets and kept.json are mounted there, so that they can be reached
 * when the run directory is gone. Nobody inside can make, move or replace them: the root is read-only,
 * and root's. Opened only beneath that root, without links.
 */
#ifndef SUPERVISOR_VM_INSIDE_H
#define SUPERVISOR_VM_INSIDE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define INSIDE_KEPT "kept.json"

struct vm;

/* The plan's "paths" of this VM. */
json_t *inside_paths(const struct vm *vm);
/* An O_PATH descriptor of that file of the VM's process, whatever its type; -1: it has none. */
int inside_open(const struct vm *vm, const char *file);
/* The VM whose run directory this process' root shows; "": none. run: the daemon's run directory. */
void inside_name(pid_t pid, const char *run, char name[64]);

/* Holds the namespace in which that root is: the kernel takes it apart when it is let go, and not while the
 * process ends, where it can last. */
void inside_hold(struct vm *vm);

#endif
