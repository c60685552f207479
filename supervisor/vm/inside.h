/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/inside.h - the files of RUN/vms/NAME that a guest's private root contains
 *
 * The monitor, agent and serial sockets and kept.json are mounted there, so that we can reach
 * them when the run directory is gone. Nothing inside can create, move or replace them: the root
 * is read-only and owned by root. Files are opened strictly beneath that root, without following
 * links.
 */
#ifndef SUPERVISOR_VM_INSIDE_H
#define SUPERVISOR_VM_INSIDE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define INSIDE_KEPT "kept.json"

struct vm;

/* "paths" in the plan for vmkeep-jail. */
json_t *inside_paths(const struct vm *vm);
/* An O_PATH fd of this file in the private root of the VM's process, whatever its type; -1:
 * none. */
int inside_open(const struct vm *vm, const char *file);
/* The VM whose run directory is in the private root of this process; "": none. run: the daemon's
 * run directory. */
void inside_name(pid_t pid, const char *run, char name[64]);

/* Holds the mount namespace of that root, so that the kernel tears it down when we close it and
 * not during the exit of the process, which it could delay. */
void inside_hold(struct vm *vm);

#endif
