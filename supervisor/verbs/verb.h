/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/verb.h - handlers of the verbs, and what they share; private to this room
 *
 * A handler calls the room that knows, and completes the request. What takes time becomes a job:
 * verb_job() answers at once with its number when the client asked not to wait, else the request is
 * completed when the job is.
 */
#ifndef SUPERVISOR_VERBS_VERB_H
#define SUPERVISOR_VERBS_VERB_H

#include "supervisor/control/request.h"
#include "supervisor/core/daemon.h"
#include "supervisor/vm/vms.h"

/* Of a verb about one VM: its files looked at again, and what the verb's row needs held against it. */
typedef void verb_vm_fn(struct vm *vm, struct request *r);
typedef void verb_fn(struct daemon *d, struct request *r);

/* Which handler answers which verb, one of the two; those of the server itself are not in it. */
struct verb_row {
	const char *execute;
	verb_vm_fn *on_vm;
	verb_fn *on_daemon;
};
extern const struct verb_row verb_table[];
extern const size_t verb_table_n;

/* The VM that the request names, its files looked at again; NULL: the error was answered. */
struct vm *verb_vm(struct daemon *d, struct request *r);
/* What the verb's row needs; false: the refusal was answered. */
bool verb_may(struct request *r, const struct vm *vm);
/* Is the client, who has no role, an owner of this VM, by its files as they are now? */
bool verb_owns(struct daemon *d, const struct request *r, const struct vm *vm);
/* A job of the request's verb, for vm or NULL. Ends with job_finish(). */
struct job *verb_job(struct daemon *d, struct request *r, const struct vm *vm);
/* Tells the client, which may draw its progress. */
void verb_job_started(struct request *r, const struct job *j);

/* Acts, then answers with a job that ends when the VM is there, or cannot get there. act may be NULL: it
 * was done already. */
typedef int verb_act_fn(struct vm *vm, const struct request *r, struct err *e);
void verb_life(struct vm *vm, struct request *r, verb_act_fn *act, enum vm_goal goal);

/* Answers with result(vm) when the VM is there, or cannot get there. One whose client leaves does not
 * wait any more. */
typedef json_t *verb_result_fn(struct vm *vm);
void verb_wait_for(struct request *r, struct vm *vm, enum vm_goal goal, double timeout,
	verb_result_fn *result);

/* Looks at all that would keep the VM (NULL: any) from starting, then calls looked, unless the client
 * left. */
typedef void verb_looked_fn(struct daemon *d, struct request *r, const struct conf_problems *p);
void verb_look(struct daemon *d, struct request *r, const char *name, verb_looked_fn *looked);

/* An agent_call()'s error, for a client: to that one unreachable would be the daemon. */
const struct err *verb_guest_error(const struct err *e, struct err *own);
/* Host byte order to "192.168.122.7". */
json_t *verb_address(uint32_t address);

/* conf.c */
verb_vm_fn verb_cat, verb_diff, verb_cmdline;
verb_fn verb_check;
/* daemon.c */
verb_fn verb_version, verb_debug_loop, verb_jobs, verb_job_cancel;
/* exec.c, guest.c */
verb_vm_fn verb_guest_exec, verb_guest_ping, verb_guest_info, verb_guest_fs, verb_guest_trim,
	verb_guest_freeze, verb_guest_thaw, verb_guest_time, verb_guest_passwd, verb_guest_command;
/* host.c */
verb_fn verb_host_check;
/* life.c */
verb_vm_fn verb_start, verb_stop, verb_kill, verb_wait;
/* memory.c */
verb_vm_fn verb_set_memory;
/* network.c */
verb_fn verb_net_list, verb_net_show, verb_net_leases, verb_net_start, verb_net_stop;
/* policy.c */
verb_vm_fn verb_history, verb_reset_failed;
verb_fn verb_forget;
/* press.c */
verb_vm_fn verb_reset, verb_pause, verb_resume;
/* qmp.c */
verb_vm_fn verb_qmp;
/* reboot.c, reexec.c, reload.c */
verb_vm_fn verb_reboot;
verb_fn verb_reexec, verb_reload;
/* show.c */
verb_vm_fn verb_info, verb_ip;
verb_fn verb_list;
/* shutdown.c */
verb_fn verb_shutdown_all;
/* snapshot.c */
verb_vm_fn verb_snapshot_create, verb_snapshot_list, verb_snapshot_revert, verb_snapshot_delete;
/* stream.c */
verb_vm_fn verb_console, verb_log;

#endif
