/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/part.h - what hangs on a guest, as this room sees it
 *
 * A part is one thing beside the process: consoles, a display, the guest agent. vm/ walks over
 * daemon->parts, which main() sets to guest/parts.c's table, and knows none of them by name. Each
 * row there is one file in guest/; the devices that go with it are a row in qemu/argv_devices.c.
 *
 * A part keeps its state in a slot of its own (vm_part_state()), which stays NULL while it has none.
 * Every member may be NULL. They are called in the order of the table, close in the reverse order.
 * Calls end as those of any callback: none of them frees the VM.
 */
#ifndef SUPERVISOR_VM_PART_H
#define SUPERVISOR_VM_PART_H

#include "supervisor/jail/plan.h"
#include "supervisor/vm/vm.h"

/* What a step of a start returns, and a part's: these or -errno. */
enum {
	STEP_DONE,
	STEP_WAITS /* a callback goes on, or did so already: the start may be gone */
};

/* Descriptors for QEMU, and the number that each has there. */
struct fd_list {
	int fd[PLAN_FDS_MAX], number[PLAN_FDS_MAX];
	size_t n;
};

enum vm_attach {
	VM_ATTACH_FRESH,   /* made by this start */
	VM_ATTACH_ADOPTED, /* of a process that a former daemon started */
	VM_ATTACH_LEFT, /* of one that ended while no daemon ran: what it left is read, then it is closed */
};

struct vm_part_file { /* qcow2 */
	const char *name;
	const char *id, *node; /* to people, to QEMU */
};

/* Devices that come and go while the guest runs will be two members more, beside start and close, which wait in a
 * job. */
struct vm_part {
	const char *name;

	/* Preflight, also of a VM that never ran: what start() would refuse of this configuration. Changes
	 * nothing. key: which one it is about, where that is one. */
	int (*check)(const struct vm *vm, const struct conf_vm *c, const char **key, struct err *e);

	/* Before QEMU: files, sockets, what it listens on. Failing, it fails the start, also by vm_part_started()
	 * where it had to wait (STEP_WAITS): until then the start stands still, unless close() ends it. Without an
	 * error it is called once more. */
	int (*start)(struct vm *vm, void **state, struct fd_list *fds, struct err *e);

	/* There is a process to look after. Nothing that fails here ends it. */
	void (*attach)(struct vm *vm, void **state, enum vm_attach how);

	/* The monitor answers: at the end of a start or an adoption, and after each reconnection. greeted: what is
	 * asked here is asked together with QEMU's status. joined: that is known; fresh: the guest has not run yet. */
	void (*greeted)(struct vm *vm, void *state);
	void (*joined)(struct vm *vm, void *state, bool fresh);

	/* After each event of the state table, whether or not its state is another one now. */
	void (*state)(struct vm *vm, void *state);

	/* An event of QEMU, after vm/ acted on it. One that leads to anything that is written down asks
	 * vm_event_bearable() first. */
	void (*event)(struct vm *vm, void *state, const char *name, const json_t *data);

	/* Asks the guest to power off by another way than the button; false: it cannot. A refusal that comes
	 * later is VM_EV_STOP, which presses the button. ask false: only, could it? */
	bool (*power_off)(struct vm *vm, void *state, bool ask);

	/* Its last bytes, at most len, when it ends: 0 by all parts but the one that has QEMU's stderr. */
	size_t (*last_words)(struct vm *vm, void **state, char *bytes, size_t len);

	/* Time was lost, ours or the host's: deadlines by the host's clock are set anew. */
	void (*lost)(struct vm *vm, void *state);

	/* Adds keys to `info` of a VM that has a process. */
	void (*info)(const struct vm *vm, void *state, json_t *out);

	/* Its image below STATE/vms/NAME that a guest of this configuration writes to, NULL: none. Snapshots, backups
	 * and clones take it along. */
	const struct vm_part_file *(*state_file)(const struct conf_vm *c);

	/* ended: the process is gone. Otherwise the daemon goes, and leaves the guest as it is. The state itself is freed
	 * after it. */
	void (*close)(struct vm *vm, void **state, bool ended);
};

/* fd: stolen, or the -errno why there is none, which comes back; else 0. */
int fd_list_add(struct fd_list *l, int fd, int number);
void fd_list_release(struct fd_list *l);

/* What is in its slot. */
void *vm_part_state(const struct vm *vm, const struct vm_part *p);

/* What the part's start waited for is there, or has failed; not from within it. start_engine.c */
void vm_part_started(struct vm *vm, const struct err *e);

/* The walks. */
void vm_parts_attach(struct vm *vm, enum vm_attach how);
void vm_parts_greeted(struct vm *vm);
void vm_parts_joined(struct vm *vm, bool fresh);
void vm_parts_state(struct vm *vm);
void vm_parts_event(struct vm *vm, const char *name, const json_t *data);
bool vm_parts_power_off(struct vm *vm, bool ask);
size_t vm_parts_last_words(struct vm *vm, char *bytes, size_t len);
void vm_parts_lost(struct vm *vm);
void vm_parts_info(const struct vm *vm, json_t *out);
void vm_parts_close(struct vm *vm, bool ended);

#endif
