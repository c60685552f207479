/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/vm.h - one VM: desired state, actual state, process
 *
 * Desired state (want) and actual state (state) are two variables. Only verbs and policy write
 * want; only vm_event() writes state, by the rules of state.h. Every state change writes one log
 * line, sends one event, saves the run record while there is a process, and checks the pending
 * waits.
 *
 * The files of this folder, bottom first; each calls only files listed before it.
 *
 *   state.c        state table                    policy.c       what an ending leads to
 *   death.c        how a process ended            said.c         why, in QEMU's own words
 *   whose.c        which VM owns a process        registry.c     VMs by name, and observers
 *   nic.c          NICs of the running process    part.c         walks the parts of a guest
 *   inside.c       RUN/vms/NAME, from inside      dirs.c         directories, sockets in them
 *   found.c        guests among host processes    wait.c         requests that wait for a state
 *   record_table.c members of the run record      record.c       the run record
 *   kept.c         what a record is rebuilt from  vanished.c     state without a VM file
 *   uids.c         the uid of a new VM            ended.c        the reason, kept in STATE
 *   last_words.c   the end of QEMU's stderr       timer.c        the timer of the state
 *   tell.c         log, events, history, hooks    again.c        rewrites lost run records
 *   start_state.c  a start in progress            vm.c           the actual state
 *   reset.c        OnReboot=, and manual resets   revert.c       the mark of a revert
 *   lost.c         guests whose record is lost    run_state.c    QEMU's run states
 *   events.c       QMP events                     gone.c         what happens after the end
 *   start_failed.c why, and whose fault           uuid.c         may this identity run?
 *   vms_identity.c reads the state directory      bases.c        disks that others are based on
 *   renamed.c      moves state to a renamed VM    monitor.c      the connection to QEMU
 *   vms.c          VM files, and reload           forget.c       deletes what a VM left
 *   stop.c         power button, quit, kill       adopt.c        processes of a previous daemon
 *   wish.c         desired state; may it start?   revert_ask.c   a load that lost its daemon
 *   trouble.c      what needs a person
 */
#ifndef SUPERVISOR_VM_VM_H
#define SUPERVISOR_VM_VM_H

#include "base/bucket.h"
#include "qmp/session.h"
#include "supervisor/core/daemon.h"
#include "supervisor/network/network.h"
#include "supervisor/vm/death.h"
#include "supervisor/qemu/identity.h"
#include "supervisor/vm/policy.h"

struct run_state;
struct vm_revert;
struct vm_start;
struct vm_wait;

enum {
	VM_AGENT_STOP_SECONDS = 3, /* before we give up on a shutdown by the agent */
	VM_PRESS_SECONDS = 5,	   /* a press during boot is lost: press again */
	VM_QUIT_SECONDS = 10,	   /* QEMU flushes its disks after it replies to quit */
	VM_QUIT_REPLY_SECONDS = 2, /* before a QEMU that does not reply to quit counts as hung */
	VM_KILL_SECONDS = 10,	   /* before a killed process counts as unkillable */
	VM_QMP_SECONDS = 10,	   /* timeout of an ordinary command */
	VM_RECONNECT_SECONDS = 5,
	VM_HOSTILE_SECONDS = 60,  /* how long a misbehaving QEMU is kept disconnected */
	VM_RESET_SECONDS = 2,	  /* after a manual reset the firmware may reset again */
	VM_CHANGES_A_SECOND = 10, /* rate limit of state changes that nobody requested */
	VM_CHANGES_AT_ONCE = 30,
	VM_RECORDS_AT_ONCE = 30,    /* history records */
	VM_RECORDS_SECONDS = 2,	    /* until one more record is allowed */
	VM_RESETS_AT_ONCE = 5,	    /* resets by the guest itself, in history and events */
	VM_RESET_EVENT_SECONDS = 1, /* until one more event is allowed */
	VM_RESET_RECORD_SECONDS = 300,
	VM_NOTES_MAX = 64,
	VM_PARTS_MAX = 16,
};

struct vm_nic { /* one NIC of the running process */
	struct network_nic net;
	struct tap tap;
};

struct vm_untold { /* history records suppressed by the rate limit */
	unsigned n;
	double time; /* of the last one */
	char event[24], why[256];
	struct loop_timer timer;
};

struct vm_resets { /* resets by the running guest itself */
	unsigned n;
	double last, last_boot;
	double spared; /* daemon_now() until which resets are the firmware's, not the guest's */
	struct bucket told, written;
};

struct vm_file {	     /* what the operator wrote */
	struct conf_vm conf; /* defaults if never parsed; of an orphan, the last */
	bool have_conf, orphan;
	bool throwaway;	    /* made by `run`: its file is in RUN/run, and ends with it */
	char *problems;	    /* of a file that no longer parses; conf keeps its last valid content */
	uint64_t stamp;	    /* hash of the files that conf was read from */
	uint64_t stamp_now; /* as found by vms_reload() */
	bool elsewhere;	    /* inotify does not tell of each change */
};

/* What Enable=last starts with the host: a VM that was desired to run, unless a person or the
 * guest itself ended that. A stop by the host's shutdown does not. */
enum vm_last { VM_LAST_UNKNOWN, VM_LAST_DOWN, VM_LAST_UP };

struct vm_status { /* desired and actual state */
	enum vm_want want;
	/* who requested the restart; kept until that start begins or want changes */
	char again[64];
	char serves[96]; /* operation that started the process and ends it; "": an ordinary guest */
	enum vm_state state;
	char reason[192];
	/* Time of the last state change. Every moment is kept on two clocks: the wall clock for
	 * display (see clock_shown()), and clock_boot() for arithmetic. */
	double since, since_boot;
	bool paused_start; /* start --paused */
	bool missed;	   /* it should have started with the host, and did not */
	enum vm_last last;
	bool noted_up;		 /* ended.json says that it has a process */
	enum vm_last noted_last; /* what ended.json says of last */
	bool gave_up;		 /* ended.json says that it had failed; until adoption */
	bool by_policy;		 /* the last start was requested by policy, not by a verb */
	/* daemon_now() until which a start that fails for the host's cause is repeated soon */
	double eager;
	double due;	       /* clock_boot() of the next start, while in backoff */
	enum vm_ending ending; /* NONE while the guest is alive */
	struct policy_memory policy;
};

struct vm_process { /* valid while vm_state_has_process() */
	/* effective configuration that it was started with, and what was plugged since: then it is another
	 * one, so nobody keeps a pointer into it */
	struct conf_vm conf;
	/* that configuration is unknown: conf is what the file says now, used internally and
	 * never shown */
	bool conf_lost;
	uint64_t conf_hash; /* of effective.vm in run_fd */
	uint64_t recorded;  /* hash of the run record in run_fd; 0: none */
	int run_fd;	    /* RUN/vms/NAME, while there is a process */
	enum conf_accel accel;
	pid_t pid;
	uint64_t
		starttime; /* from /proc/PID/stat: with pid and boot id it identifies one process */
	int pidfd;
	/* its mount namespace, kept open so that we see the exit before the kernel tears it
	 * down; -1: none */
	int mounts;
	bool is_child; /* we can read its exit status */
	ev_io exited;
	double started, started_boot; /* time of the spawn */
	double begun;		      /* daemon_now() at which TimeoutStartSec= begins */
	struct vm_nic *nic;
	size_t nics;
	struct arena nic_names; /* the strings of nic */
	struct oom_watch oom;
	bool quit_sent, kill_sent, unkillable;
	bool ready_seen;	/* for ReadyWhen=log: and notify */
	char ready_status[128]; /* status text sent by the guest, cleaned */
	/* changes of its hardware that are under way, for a daemon that continues or undoes them:
	 * guest/change.h; NULL: none */
	json_t *changes;
	char *cable; /* likewise the NIC whose link is being changed: guest/cable.c; NULL: none */
};

struct vm_monitor { /* the QMP connection, and what it tells */
	struct qmp *qmp;
	bool proved; /* it is our VM's: a child connected before exec, any other by its UUID */
	double unresponsive; /* clock_boot() since when; 0: ok */
	double unresponsive_wall;
	char *trouble;	      /* why it is unresponsive */
	double hostile_since; /* daemon_now() when its QEMU last exceeded a limit; 0: never */
	json_int_t balloon;   /* bytes the guest has; 0: unknown */
	json_int_t
		balloon_back; /* bytes to restore if a change is interrupted; 0: none in progress */
	char *io_error;	      /* reason and disk, while paused by an I/O error */
	unsigned stops;	      /* STOP events whose run state is not known yet */
	struct loop_timer reconnect, reset; /* reset.c */
};

struct vm_stop { /* a stop in progress */
	bool left;
	double timeout;	 /* seconds; 0: not known */
	double deadline; /* daemon_now() */
	double pressed;	 /* clock_lost() at the last press of the power button */
	bool agent_asked;
	unsigned presses; /* of the power button */
};

struct vm_held { /* a run record that cannot be read, although its process is running */
	char *why;
	pid_t pid;
	uint64_t starttime;
};

struct vm_journal { /* rate limits for log and history */
	/* policy is testing whether the guest can resume: report only the result */
	bool quiet;
	struct bucket changes; /* of state, not requested by anybody */
	struct bucket records; /* of history, likewise */
	struct vm_untold untold;
	struct vm_resets resets;
};

struct vm {
	struct daemon *daemon;
	char *name;
	struct vm_file file;

	struct identity identity;
	/* in the copy used by a check: the vanished VM whose state this is; NULL: its own */
	char *predecessor;
	/* why identity.json cannot be read (it is never overwritten then); NULL: ok */
	char *identity_problem;
	int state_fd; /* STATE/vms/NAME, opened on demand */

	struct vm_status st;
	struct vm_process proc;
	struct vm_monitor mon;
	struct vm_stop stop;
	struct vm_held held;
	struct vm_journal log;

	struct loop_timer timer; /* of the current state */
	double timer_due;	 /* daemon_now() */
	char who[64];		 /* requester of the next state change; "": none */
	/* restores a recorded state: keeps its timestamp, no history, no alert */
	bool adopting;
	const char *
		busy; /* operation that excludes others and any start, or NULL; ends in vm_idle() */
	unsigned
		lent; /* to so many clones that are being made of it: a template stays one, with its disks */

	char *once;	/* path of a CD for the next process only: start/once.h; NULL: none */
	bool once_last; /* it boots after all other devices */
	struct vm_revert *revert; /* a revert that did not finish: revert.h; NULL: none */
	struct vm_start *start;	  /* in progress: start.h; NULL: none */
	struct err *start_error;  /* why the last start failed */
	json_t *notes; /* side effects of the last start, for its requester; NULL: none */
	struct vm_wait *waits;

	void *part[VM_PARTS_MAX]; /* state of each part: part.h */
};

/* --- vm.c: the actual state --- */
struct vm *vm_new(struct daemon *d, const char *name);
void vm_free(struct vm *vm); /* leaves a running process alone */
/* The only writer of vm->st.state. reason NULL: keeps the old one if the state does not change. */
void vm_event(struct vm *vm, enum vm_event ev, const char *reason);
void vm_set_reason(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The monitor timed out, or answers again. */
void vm_health(struct vm *vm, bool well, const char *why);
/* "ok", "unresponsive", "unresponsive: hostile" */
const char *vm_health_text(const struct vm *vm);
/* QEMU violated the protocol or floods us: closes the monitor for at least VM_HOSTILE_SECONDS.
 * The guest is left alone. */
void vm_quarantine(struct vm *vm, const struct err *e);
int vm_draft_identity(
	struct vm *vm, struct err *e); /* before the first start, so that it stays: identity.h */
/* The guest ended, and policy keeps its process paused (On...=pause); only a reset lets it run
 * again. */
bool vm_is_tombstone(const struct vm *vm);
/* The guest ended by itself and left only a tombstone. */
void vm_ended(struct vm *vm, enum vm_ending ending);
/* qmp_call() with the usual timeout; reply may be NULL (errors are logged). */
void vm_call(struct vm *vm, const char *command, json_t *arguments, qmp_reply_fn *reply);
void vm_monitor_close(struct vm *vm);
void vm_monitor_release(struct vm *vm); /* and forgets all that it told */
/* Forgets a process, which may keep running. Keeps its configuration, which policy needs. */
void vm_process_release(struct vm *vm);

/* --- wish.c: verbs. who: requester, for log and history. --- */
/* The only function that decides whether a VM may start: for a verb, for the boot of the host,
 * for policy. asked is false for policy, which may use the last valid configuration of a broken
 * file. ERR_CONFLICT: the obstacle may go away without intervention. */
int vm_may_start(struct vm *vm, bool asked, struct err *e);
/* Part of that: no operation is under way, and no process that only a newer record knows. */
int vm_is_free(struct vm *vm, struct err *e);
int vm_start(struct vm *vm, bool paused, const char *who, struct err *e);
/* As vm_start(), but nobody reads the error: policy retries when the host is the cause. */
int vm_start_at_boot(struct vm *vm, struct err *e);
/* Starts the VM, perhaps paused, for the operation named by vm->busy. The operation either hands the
 * process to the guest with vm_keep() or ends it. If the daemon dies first, the next daemon ends
 * it. */
int vm_start_for(struct vm *vm, bool paused, const char *who, struct err *e);
void vm_keep(struct vm *vm);
int vm_stop(struct vm *vm, double timeout, const char *who, struct err *e); /* < 0: as configured */
/* The same two for the host's shutdown: with Enable=last the VM starts again with the host. */
int vm_stop_with_host(struct vm *vm, double timeout, const char *who, struct err *e);
int vm_kill_with_host(struct vm *vm, const char *who, struct err *e);
/* Stops it as vm_stop() does, then starts it again. The record has the desired state before the
 * first step. */
int vm_reboot(struct vm *vm, double timeout, const char *who, struct err *e);
/* Works during an operation too: whatever that leaves unfinished is already marked. */
int vm_kill(struct vm *vm, const char *who, struct err *e);
/* Forgets past failures; a VM in FAILED becomes STOPPED. */
void vm_reset_failed(struct vm *vm, const char *who);
/* The operation named by vm->busy is finished: wakes its waiters. */
void vm_idle(struct vm *vm);

/* --- stop.c --- */
void vm_power_button(struct vm *vm);
/* presses again, or applies OnStopTimeout= at the deadline */
void vm_power_button_again(struct vm *vm);
void vm_quit(struct vm *vm);
void vm_kill_process(struct vm *vm);
void vm_start_timeout(struct vm *vm);
void vm_watch_process(struct vm *vm);

/* --- gone.c --- */
void vm_clean(struct vm *vm); /* undoes what the record says was made */
/* The process exited, or preparation failed: policy picks the event. */
void vm_exited(struct vm *vm);
/* Enters backoff: arms the restart timer and saves the record. */
void vm_enter_backoff(struct vm *vm);

/* --- events.c --- */
void vm_qmp_event(void *data, const char *name, const json_t *event_data);
/* Changes caused by our own commands are free. False: rate limit exceeded, and the monitor is
 * closed. */
bool vm_event_bearable(struct vm *vm);
/* QEMU answers, but its run state says that the guest has ended. */
void vm_found_ended(struct vm *vm, const struct run_state *found);
/* "nospace on root"; the caller frees it. */
char *vm_io_error_text(bool space, const char *node);

/* --- last_words.c --- */
/* The last lines of QEMU's stderr, escaped; the caller frees them. "" if there are none. *why: the
 * line that tells why it did not start. */
char *vm_last_words(struct vm *vm, char **why);

/* --- start_state.c --- */
const char *vm_start_step(
	const struct vm *vm); /* current step, for people; NULL: no start in progress */
/* --- start_failed.c --- */
/* Records why a start failed, for `start` and `info`, and who is at fault. The rest of the start
 * ends by itself, or the caller ends it. */
void vm_start_failed(struct vm *vm, enum vm_ending whose, const struct err *e);
/* The same, and ends the start. */
void vm_start_fail(struct vm *vm, enum vm_ending whose, const struct err *e);

/* --- monitor.c --- */
extern const struct qmp_handlers vm_qmp_handlers;
void vm_connect_monitor(struct vm *vm); /* if not connected; on failure retries later */
void vm_reconnect(struct vm *vm, double seconds);

/* --- nic.c --- */
void vm_free_nics(struct vm *vm);

/* --- wait.c --- */
enum vm_goal {
	VM_GOAL_UP,
	VM_GOAL_AGAIN /* after vm_reboot() */,
	VM_GOAL_DOWN,
	VM_GOAL_RUNNING,
	VM_GOAL_STOPPED,
	VM_GOAL_PAUSED,
	VM_GOAL_IP
};
typedef void vm_wait_fn(void *data, const struct err *e);
/* timeout in seconds, 0: none. done is called once, from the loop. */
struct vm_wait *vm_wait(
	struct vm *vm, enum vm_goal goal, double timeout, vm_wait_fn *done, void *data);
void vm_wait_cancel(struct vm_wait *w);
/* The first address that the guest leased, or that cloud-init gave it on a foreign bridge; 0: none. */
uint32_t vm_address(const struct vm *vm);
void vm_waits_check(struct vm *vm); /* after any change */
void vm_waits_end(struct vm *vm);   /* the VM is being freed */

/* --- timer.c --- */
void vm_arm(struct vm *vm, double seconds); /* 0 disarms */
/* it has expired; false: fired early, and armed again */
bool vm_timer_is_over(struct vm *vm);
double vm_start_left(const struct vm *vm); /* seconds of TimeoutStartSec=, INFINITY: no limit */
void vm_arm_start(struct vm *vm);

/* --- reset.c --- */
void vm_set_reboot_action(struct vm *vm); /* by OnReboot= */
/* For this many seconds, resets are ours or the firmware's; then OnReboot= applies again. */
void vm_spare_reset(struct vm *vm, double seconds);

/* --- tell.c --- */
void vm_report_state(struct vm *vm, enum vm_state from);
/* The guest reset itself: reports vm->log.resets. */
void vm_report_reset(struct vm *vm);
void vm_report_health(struct vm *vm, bool well, const char *why);
/* Who requests a start with the host: "Enable=yes". */
const char *vm_boot_requester(const struct vm *vm);
/* It should have started with the host, and did not. */
void vm_report_missed(struct vm *vm, const char *why);
/* Logs which method (agent or power button) shut the guest down. */
void vm_log_shutdown_method(const struct vm *vm);
/* Appends one record; who and why may be NULL. Records that nobody requested are rate-limited:
 * the last one suppressed is written some seconds later with their number. */
void vm_history(struct vm *vm, const char *event, const char *who, const char *why);
/* Reports a side effect of a start: in log and history, and in the next reply to a verb
 * (vm_take_notes()). */
void vm_note(struct vm *vm, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
json_t *vm_take_notes(struct vm *vm); /* array of texts, owned by the caller; NULL: none */
void vm_history_flush(struct vm *vm); /* and stops its timer */
/* Who requested the next state change, for log and history; NULL if nobody. */
void vm_set_requester(struct vm *vm, const char *who);
/* Rate limits of what its QEMU may cause; as long-lived as struct vm. */
void vm_limits_init(struct vm *vm);

/* --- record.c --- */
void vm_record_write(struct vm *vm);
/* Replaces the run directory of a process by one that only has the state of policy, without a
 * gap. */
void vm_record_rest(struct vm *vm);
/* For a VM without a process, so that a new daemon continues its backoff. */
void vm_record_write_resting(struct vm *vm);

#endif
