/* SPDX-License-Identifier: MIT */
/*
 * supervisor/verbs/verb.h - handlers of the verbs, and what they share
 *
 * A handler looks its VM up, calls the room that knows, and completes the request. What takes time
 * becomes a job: verb_job() answers at once with its number when the client asked not to wait, else
 * the request is completed when the job is.
 */
#ifndef SUPERVISOR_VERBS_VERB_H
#define SUPERVISOR_VERBS_VERB_H

#include "supervisor/control/request.h"
#include "supervisor/control/server.h"
#include "supervisor/core/daemon.h"
#include "supervisor/vm/vms.h"

extern const struct server_handler verb_handlers[];
extern const size_t verb_handlers_n;

/* The VM that the request names, its files looked at again; NULL: the error was answered. */
struct vm *verb_vm(struct daemon *d, struct request *r);
/* Is the client an owner of this VM, or of any, by the files as they are now? */
bool verb_owns(struct daemon *d, const struct request *r, const char *name);
bool verb_owns_any(struct daemon *d, const struct request *r);
bool verb_owns_row(struct daemon *d, const struct request *r, const struct vm *vm);
/* Ends with job_finish(). */
struct job *verb_job(struct daemon *d, struct request *r, const char *verb, const char *vm);
/* Tells the client, which may draw its progress. */
void verb_job_started(struct request *r, const struct job *j);
/* ERR_WRONG_STATE in words, answered; true when it runs or is paused. */
bool verb_needs_guest(struct request *r, const struct vm *vm);
/* ERR_CONFLICT, answered; false: no operation is under way that excludes others. */
bool verb_is_busy(struct request *r, const struct vm *vm);
/* The job ends when the VM is there, or cannot get there. */
void verb_life(struct job *j, struct vm *vm, enum vm_goal goal, bool changed);
/* Makes jobs of what former daemons began and this one goes on with. */
void verbs_take_up(struct daemon *d);

/* All files again, as `reload` and SIGHUP do. */
void verbs_reload(struct daemon *d, struct conf_problems *p);

/* An agent_call()'s error, for a client: to that one unreachable would be the daemon. */
const struct err *verb_guest_error(const struct err *e, struct err *own);

/* Host byte order to "192.168.122.7". */
json_t *verb_address(uint32_t address);

/* life.c */
void verb_start(void *data, struct request *r);
void verb_stop(void *data, struct request *r);
void verb_kill(void *data, struct request *r);
void verb_wait(void *data, struct request *r);
/* press.c */
void verb_reset(void *data, struct request *r);
void verb_pause(void *data, struct request *r);
void verb_resume(void *data, struct request *r);
/* reboot.c */
void verb_reboot(void *data, struct request *r);
/* shutdown.c */
void verb_shutdown_all(void *data, struct request *r);
/* show.c */
void verb_list(void *data, struct request *r);
void verb_info(void *data, struct request *r);
void verb_ip(void *data, struct request *r);
/* conf.c */
void verb_check(void *data, struct request *r);
void verb_cat(void *data, struct request *r);
void verb_diff(void *data, struct request *r);
void verb_cmdline(void *data, struct request *r);
/* reload.c */
void verb_reload(void *data, struct request *r);
/* stream.c */
void verb_console(void *data, struct request *r);
void verb_log(void *data, struct request *r);
/* memory.c */
void verb_set_memory(void *data, struct request *r);
/* snapshot.c */
void verb_snapshot_create(void *data, struct request *r);
void verb_snapshot_list(void *data, struct request *r);
void verb_snapshot_revert(void *data, struct request *r);
void verb_snapshot_delete(void *data, struct request *r);
/* host.c */
void verb_host_check(void *data, struct request *r);
/* guest.c, exec.c */
void verb_guest_ping(void *data, struct request *r);
void verb_guest_info(void *data, struct request *r);
void verb_guest_fs(void *data, struct request *r);
void verb_guest_trim(void *data, struct request *r);
void verb_guest_freeze(void *data, struct request *r);
void verb_guest_thaw(void *data, struct request *r);
void verb_guest_time(void *data, struct request *r);
void verb_guest_passwd(void *data, struct request *r);
void verb_guest_command(void *data, struct request *r);
void verb_guest_exec(void *data, struct request *r);
/* daemon.c */
void verb_version(void *data, struct request *r);
void verb_debug_loop(void *data, struct request *r);
void verb_jobs(void *data, struct request *r);
void verb_job_cancel(void *data, struct request *r);
/* qmp.c */
void verb_qmp(void *data, struct request *r);
/* network.c */
void verb_net_list(void *data, struct request *r);
void verb_net_show(void *data, struct request *r);
void verb_net_leases(void *data, struct request *r);
void verb_net_start(void *data, struct request *r);
void verb_net_stop(void *data, struct request *r);
/* policy.c */
void verb_history(void *data, struct request *r);
void verb_reset_failed(void *data, struct request *r);
void verb_forget(void *data, struct request *r);
/* reexec.c */
void verb_reexec(void *data, struct request *r);

#endif
