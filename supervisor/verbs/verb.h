/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/verb.h - verb handlers and what they share; private to supervisor/verbs
 *
 * A handler calls the module that does the work and completes the request. Long operations become
 * jobs: verb_job() replies with the job's number at once if the client does not want to wait, else
 * the request is completed when the job ends.
 */
#ifndef SUPERVISOR_VERBS_VERB_H
#define SUPERVISOR_VERBS_VERB_H

#include "supervisor/control/request.h"
#include "supervisor/core/daemon.h"
#include "supervisor/vm/vms.h"

/* Handler of a verb about one VM. The VM's files have been re-read, and unless the verb is
 * API_JOINS, the requirements of its row have been checked. */
typedef void verb_vm_fn(struct vm *vm, struct request *r);
typedef void verb_fn(struct daemon *d, struct request *r);

/* Maps a verb to one of two kinds of handler. Verbs of the server itself are not listed. */
struct verb_row {
	const char *execute;
	verb_vm_fn *on_vm;
	verb_fn *on_daemon;
	/* The argument that history shows with this verb; "": none. NULL: no record, or the change
	 * of state is the record. */
	const char *records;
};
extern const struct verb_row verb_table[];
extern const size_t verb_table_n;

/* The VM named in the request, its files re-read; NULL: an error has been sent. */
struct vm *verb_vm(struct daemon *d, struct request *r);
/* The same by its name, for a change that has just been written: NULL with e also when the daemon is
 * ending, and parts of it are gone. */
struct vm *verb_vm_after(struct daemon *d, const char *name, struct err *e);
/* Checks the requirements of the verb's row; false: a refusal has been sent. */
bool verb_may(struct request *r, const struct vm *vm);
/* False: it is a throw-away VM, and the verb is for others; the refusal has been sent. */
bool verb_may_keep(struct request *r, const struct vm *vm);
/* Refuses what Protect=yes protects from. */
int verb_may_lose(const struct vm *vm, struct err *e);
/* For a client without a group role: true if it owns this VM according to the VM's current
 * files. */
bool verb_owns(struct daemon *d, const struct request *r, const struct vm *vm);
/* Writes the record of a request to the VM's history. */
void verb_record(struct vm *vm, const struct request *r, const char *argument);
/* From now on an error of the request is a record, too. */
void verb_record_errors(struct daemon *d, struct request *r);
/* Creates a job for the request's verb, on vm or NULL. The caller ends it with job_finish(). */
struct job *verb_job(struct daemon *d, struct request *r, const struct vm *vm);
/* Likewise, for what answers its client by other means than the request. */
struct job *verb_job_alone(struct daemon *d, struct request *r, const struct vm *vm);
/* Sends the job to the client, which may show its progress. */
void verb_job_started(struct request *r, const struct job *j);

/* Calls act, then replies with a job that ends when the VM has reached the goal or cannot reach it.
 * act NULL: already done. */
typedef int verb_act_fn(struct vm *vm, const struct request *r, struct err *e);
void verb_life(struct vm *vm, struct request *r, verb_act_fn *act, enum vm_goal goal);

/* Replies with result(vm) when the VM has reached the goal, or with an error if it cannot. The wait
 * ends if the client disconnects. */
typedef json_t *verb_result_fn(struct vm *vm);
void verb_wait_for(struct request *r, struct vm *vm, enum vm_goal goal, double timeout,
	verb_result_fn *result);

/* Checks everything that would prevent the VM (NULL: any VM) from starting, then calls looked,
 * unless the client has disconnected. */
typedef void verb_looked_fn(struct daemon *d, struct request *r, const struct conf_problems *p);
void verb_look(struct daemon *d, struct request *r, const char *name, verb_looked_fn *looked);

/* Converts an agent_call() error for a client, to which "unreachable" would mean the daemon. */
const struct err *verb_guest_error(const struct err *e, struct err *own);
/* Converts an address from host byte order to "192.168.122.7". */
json_t *verb_address(uint32_t address);

/* conf.c */
verb_vm_fn verb_cat, verb_diff, verb_cmdline;
verb_fn verb_check;
/* cd.c */
verb_vm_fn verb_cd;

/* nic.c */
verb_vm_fn verb_nic_attach, verb_nic_detach, verb_nic_link;

/* disk.c */
verb_vm_fn verb_disk_attach, verb_disk_detach;
/* clone.c */
verb_vm_fn verb_clone;
/* create.c */
verb_fn verb_create;
/* delete.c */
verb_vm_fn verb_delete;
verb_vm_fn verb_rename;
/* run.c */
verb_fn verb_run;
/* daemon.c */
verb_fn verb_version, verb_debug_loop, verb_jobs, verb_job_cancel;
/* edit.c, edit_file.c */
verb_vm_fn verb_set, verb_unset, verb_enable, verb_disable, verb_file, verb_edit;
/* exec.c, guest.c */
verb_vm_fn verb_guest_exec, verb_guest_push, verb_guest_pull, verb_guest_ping, verb_guest_info,
	verb_guest_fs, verb_guest_trim, verb_guest_freeze, verb_guest_thaw, verb_guest_time,
	verb_guest_passwd, verb_guest_command;
/* host.c */
verb_fn verb_host_check;
/* life.c */
verb_vm_fn verb_start, verb_stop, verb_kill, verb_wait, verb_ssh;
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
/* problems.c: list --problems */
verb_fn verb_list_problems;
/* prepare.c */
verb_vm_fn verb_prepare;
/* shutdown.c */
verb_fn verb_shutdown_all;
/* snapshot.c */
verb_vm_fn verb_snapshot_create, verb_snapshot_list, verb_snapshot_revert, verb_snapshot_delete;
/* store.c */
verb_fn verb_store_list;
/* image.c */
verb_fn verb_image_list, verb_image_fetch;
/* image_rm.c */
verb_fn verb_image_rm, verb_image_prune;
/* stream.c */
verb_vm_fn verb_console, verb_log;
/* follow.c: sends the end of qemu.log, and then what is added; fd and hold are stolen */
void follow_qemu_log(struct daemon *d, const char *vm, unsigned lines, int fd, struct hold *hold);

#endif
