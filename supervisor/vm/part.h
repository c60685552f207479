/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/part.h - the parts of a guest, as seen from vm/
 *
 * A part is one thing beside the process: consoles, a display, the guest agent. vm/ walks
 * daemon->parts, which main() sets to the table in guest/parts.c, and knows no part by name.
 * Each row of that table is one file in guest/; the devices that belong to it are a row in
 * qemu/argv_devices.c.
 *
 * Each part keeps its state in its own slot (vm_part_state()), NULL while it has none. Every
 * member may be NULL. Parts are called in table order, close in reverse. As with any callback,
 * none of the calls may free the VM.
 */
#ifndef SUPERVISOR_VM_PART_H
#define SUPERVISOR_VM_PART_H

#include "supervisor/jail/plan.h"
#include "supervisor/vm/trouble.h"

/* Result of a start step, and of a part's start: one of these, or -errno. */
enum {
	STEP_DONE,
	STEP_WAITS /* a callback continues, or already has: the start may be gone */
};

/* fds for QEMU, and the number of each in QEMU. */
struct fd_list {
	int fd[PLAN_FDS_MAX], number[PLAN_FDS_MAX];
	size_t n;
};

enum vm_attach {
	VM_ATTACH_FRESH,   /* created by this start */
	VM_ATTACH_ADOPTED, /* started by a previous daemon */
	VM_ATTACH_LEFT,	   /* ended while no daemon ran: read what it left, then close */
};

struct vm_part_file { /* qcow2 */
	const char *name;
	const char *id, *node; /* the name shown to people, and QEMU's */
};

struct vm_part {
	const char *name;

	/* Preflight, also for a VM that never ran: what start() would refuse in this
	 * configuration; 1: it would start, and e is a warning. Changes nothing. key: the
	 * configuration key at fault, if there is one. */
	int (*check)(const struct vm *vm, const struct conf_vm *c, const char **key, struct err *e);

	/* Before QEMU: files, sockets, listeners. A failure fails the start. STEP_WAITS suspends
	 * the start until vm_part_started() of start/start.h, or until close() ends it; after a
	 * wait that succeeded, start is called again. */
	int (*start)(struct vm *vm, void **state, struct fd_list *fds, struct err *e);

	/* The process is up. Nothing that fails here ends it. */
	void (*attach)(struct vm *vm, void **state, enum vm_attach how);

	/* The monitor answers: at the end of a start or adoption, and after each reconnection.
	 * greeted: its queries are sent together with query-status. joined: the status is known;
	 * fresh: the guest has not run yet. */
	void (*greeted)(struct vm *vm, void *state);
	void (*joined)(struct vm *vm, void *state, bool fresh);

	/* After each event of the state table, even if the state did not change. */
	void (*state)(struct vm *vm, void *state);

	/* A QMP event, after vm/ handled it. Call vm_event_bearable() before writing anything to
	 * disk or log because of it. */
	void (*event)(struct vm *vm, void *state, const char *name, const json_t *data);

	/* Asks the guest to power off by other means than the power button; false: cannot. A
	 * later refusal is VM_EV_STOP, which presses the button. ask false: only tell whether it
	 * could. */
	bool (*power_off)(struct vm *vm, void *state, bool ask);

	/* Its last bytes, at most len, when the process ends. Only the part that reads QEMU's
	 * stderr has any. */
	size_t (*last_words)(struct vm *vm, void **state, char *bytes, size_t len);

	/* The daemon or the host was suspended: recompute deadlines that use the host's clock. */
	void (*lost)(struct vm *vm, void *state);

	/* Reports what of it needs a person, of a VM with a process. */
	void (*troubles)(const struct vm *vm, void *state, trouble_fn *report, void *data);

	/* Adds keys to `info` of a VM with a process. */
	void (*info)(const struct vm *vm, void *state, json_t *out);

	/* The image below STATE/vms/NAME that a guest of this configuration writes, NULL: none.
	 * Snapshots, backups and clones include it. */
	const struct vm_part_file *(*state_file)(const struct conf_vm *c);

	/* ended: the process is gone; otherwise the daemon exits and the guest keeps running.
	 * The caller frees the state afterwards. */
	void (*close)(struct vm *vm, void **state, bool ended);
};

/* fd is stolen; a negative fd (-errno) is returned as is. Otherwise 0. */
int fd_list_add(struct fd_list *l, int fd, int number);
void fd_list_release(struct fd_list *l);

/* The content of its slot. */
void *vm_part_state(const struct vm *vm, const struct vm_part *p);

/* Calls to all parts. */
void vm_parts_attach(struct vm *vm, enum vm_attach how);
void vm_parts_greeted(struct vm *vm);
void vm_parts_joined(struct vm *vm, bool fresh);
void vm_parts_state(struct vm *vm);
void vm_parts_event(struct vm *vm, const char *name, const json_t *data);
bool vm_parts_power_off(struct vm *vm, bool ask);
size_t vm_parts_last_words(struct vm *vm, char *bytes, size_t len);
void vm_parts_lost(struct vm *vm);
void vm_parts_troubles(const struct vm *vm, trouble_fn *report, void *data);
void vm_parts_info(const struct vm *vm, json_t *out);
void vm_parts_close(struct vm *vm, bool ended);

#endif
