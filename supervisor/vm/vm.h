/* SPDX-License-Identifier: MIT */
/*
 * supervisor/vm/vm.h - one VM: wish, fact, process
 *
 * Wish (want) and fact (state) are two variables. Only verbs and policy write the wish; only
 * vm_event() the fact, by the rules of state.h. Every change writes one log line and one event, the
 * run record while there is a process, and looks at who waits.
 *
 * The files of this room, bottom first: each calls only those that stand before it.
 *
 *   state.c        rules of states and events        policy.c        what an ending means
 *   death.c        how a process ended               said.c          why, in QEMU's own words
 *   whose.c        which VM a process belongs to     registry.c      VMs by name, and their observers
 *   nic.c          NICs of its process               part.c          what hangs on a guest
 *   inside.c       RUN/vms/NAME in its private root  dirs.c          directories, sockets in them
 *   found.c        guests among the host's processes wait.c          requests that wait for a state
 *   record.c       the run record, by record_table.c kept.c          what it can be rebuilt from
 *   vanished.c     states without a file             uids.c          the uid of a new VM
 *   timer.c        the timer of its state            tell.c          log, events, history, hooks
 *   again.c        records written again             plan.c          what the jail is told
 *   start_state.c  a start under way                 vm.c            the fact
 *   reset.c        OnReboot=, and resets by hand     revert.c        the mark of a revert
 *   lost.c         guests whose record is lost       events.c        what QEMU says by itself
 *   gone.c         what comes after the end          uuid.c          may it run as who it is?
 *   vms_identity.c what its state directory says     renamed.c       its state, under another name
 *   start_engine.c from step to step                 monitor.c       the connection to QEMU
 *   start_check.c  what each step would refuse       vms.c           files of VMs, and reload
 *   forget.c       what is kept without a file       stop.c          power button, quit, kill
 *   adopt.c        processes of a former daemon      start_spawn.c   steps: the jail
 *   wish.c         the wish; may it start?           revert_ask.c    a load without its daemon
 *   start_prepare.c steps: before a process           start_join.c    steps: the monitor answers
 *   start.c        the tables of steps and of actions
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

struct vm_revert;
struct vm_start;
struct vm_wait;

enum {
	VM_AGENT_STOP_SECONDS = 3, /* until a shutdown by the agent counts as without effect */
	VM_PRESS_SECONDS = 5,	   /* a press during boot is lost: press again */
	VM_QUIT_SECONDS = 10,	   /* QEMU flushes its disks after it answered quit */
	VM_QUIT_REPLY_SECONDS = 2, /* until one that does not answer it counts as stuck */
	VM_KILL_SECONDS = 10,	   /* until a killed process counts as unkillable */
	VM_QMP_SECONDS = 10,	   /* deadline of an ordinary command */
	VM_RECONNECT_SECONDS = 5,
	VM_HOSTILE_SECONDS = 60,  /* until one that broke the protocol is listened to again */
	VM_RESET_SECONDS = 2,	  /* after a reset by hand the firmware may reset again */
	VM_CHANGES_A_SECOND = 10, /* of its state, that nobody asked for */
	VM_CHANGES_AT_ONCE = 30,
	VM_RECORDS_AT_ONCE = 30,    /* of its history */
	VM_RECORDS_SECONDS = 2,	    /* until there may be one more */
	VM_RESETS_AT_ONCE = 5,	    /* of the guest by itself, in its history and in events */
	VM_RESET_EVENT_SECONDS = 1, /* until there may be one more */
	VM_RESET_RECORD_SECONDS = 300,
	VM_NOTES_MAX = 64,
	VM_PARTS_MAX = 16,
};

struct vm_nic { /* one NIC of the running process */
	struct network_nic net;
	struct tap tap;
};

struct vm_untold { /* records that the history was spared */
	unsigned n;
	double time; /* of the last one */
	char event[24], why[256];
	struct loop_timer timer;
};

struct vm_resets { /* of the running guest by itself */
	unsigned n;
	double last, last_boot;
	double spared; /* daemon_now() until which the firmware's own are not the guest's */
	struct bucket told, written;
};

struct vm_file {	     /* what the operator wrote */
	struct conf_vm conf; /* empty when orphan or never parsed */
	bool have_conf, orphan;
	char *problems;	    /* of a file that no longer parses; its old meaning stays */
	uint64_t stamp;	    /* of the files that conf was read from */
	uint64_t stamp_now; /* as vms_reload() finds them */
};

struct vm_status { /* wish and fact */
	enum vm_want want;
	char again[64];	 /* who wants it up again; until that start begins, or another wish */
	char serves[96]; /* operation that had its process started and ends it; "": a guest's own */
	enum vm_state state;
	char reason[192];
	/* Of the last change of state. What happened at some time is kept by two clocks: the wall clock
	 * to be shown, by way of clock_shown(), and clock_boot() to reckon with. */
	double since, since_boot;
	bool paused_start;     /* start --paused */
	bool by_policy;	       /* the last start was policy's, not a verb's */
	double due;	       /* clock_boot() of the next start, while it backs off */
	enum vm_ending ending; /* NONE while the guest lives */
	struct policy_memory policy;
};

struct vm_process {	     /* valid while vm_state_has_process() */
	struct conf_vm conf; /* effective configuration that it was started with */
	bool conf_lost; /* ... is not known: conf is what its file says, to go on with, and shown to nobody */
	uint64_t conf_hash; /* of effective.vm in run_fd */
	uint64_t recorded;  /* hash of the run record there; 0: none */
	int run_fd;	    /* RUN/vms/NAME, while there is a process */
	enum conf_accel accel;
	pid_t pid;
	uint64_t
		starttime; /* of /proc/PID/stat: with pid and boot id it names one process for ever */
	int pidfd;
	int mounts; /* its mount namespace, held so that its end is seen before the kernel has taken that apart; -1 */
	bool is_child; /* exit status can be had */
	ev_io exited;
	double started, started_boot; /* the spawn */
	double begun;		      /* daemon_now() from which TimeoutStartSec= counts */
	struct vm_nic *nic;
	size_t nics;
	struct arena nic_names; /* their strings */
	struct oom_watch oom;
	bool quit_sent, kill_sent, unkillable;
	bool ready_seen;	/* what ReadyWhen=log: and notify wait for */
	char ready_status[128]; /* what the guest said of itself, clean */
};

struct vm_monitor { /* what QEMU says, and how it does */
	struct qmp *qmp;
	bool proved; /* it is ours: a child's is from before its exec, others tell their UUID */
	double unresponsive; /* clock_boot() since when, 0: well */
	double unresponsive_wall;
	char *trouble;	      /* what is wrong then */
	double hostile_since; /* daemon_now() when its QEMU last passed a limit, 0: never */
	json_int_t balloon;   /* bytes that the guest has, 0: unknown */
	json_int_t
		balloon_back; /* bytes it is to have again where a change is cut short; 0: none is under way */
	char *io_error;			    /* disk and reason while paused by one */
	struct loop_timer reconnect, reset; /* reset.c */
};

struct vm_stop { /* one that is under way */
	bool left;
	double deadline; /* daemon_now() */
	double pressed;	 /* clock_lost() at the last press of the power button */
	bool agent_asked;
	unsigned presses; /* of the power button */
};

struct vm_held { /* a run record that cannot be read, while the process that it names runs */
	char *why;
	pid_t pid;
	uint64_t starttime;
};

struct vm_journal {	       /* what is told of it, and how often */
	bool quiet;	       /* policy tries whether it can go on: told once that is known */
	struct bucket changes; /* of its state, that nobody asked for */
	struct bucket records; /* of its history, likewise */
	struct vm_untold untold;
	struct vm_resets resets;
};

struct vm {
	struct daemon *daemon;
	char *name;
	struct vm_file file;

	struct identity identity;
	char *predecessor; /* a check's copy: the VM, whose file is gone, whose state this is; NULL: its own */
	char *identity_problem; /* it could not be read, and is never written over; NULL: well */
	int state_fd;		/* STATE/vms/NAME, opened on demand */

	struct vm_status st;
	struct vm_process proc;
	struct vm_monitor mon;
	struct vm_stop stop;
	struct vm_held held;
	struct vm_journal log;

	struct loop_timer timer; /* of its state */
	double timer_due;	 /* daemon_now() */
	char who[64];		 /* who asked for what happens next; "": nobody */
	bool adopting;		 /* taken back, not changed */
	const char *
		busy; /* operation that excludes others and any start, or NULL: vm_idle() ends it */

	struct vm_revert *revert; /* one that has not come to its end: revert.h; NULL: none */
	struct vm_start *start;	  /* one under way: start.h */
	struct err *start_error;  /* why the last start failed */
	json_t *notes; /* what its start did beside, for whoever typed it; NULL: nothing */
	struct vm_wait *waits;

	void *part[VM_PARTS_MAX]; /* their state: part.h */
};

/* --- vm.c: the fact --- */
struct vm *vm_new(struct daemon *d, const char *name);
void vm_free(struct vm *vm); /* leaves a running process alone */
/* The only writer of vm->state. reason may be NULL: the old one stays when the state does. */
void vm_event(struct vm *vm, enum vm_event ev, const char *reason);
void vm_set_reason(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The monitor timed out, or answered again. */
void vm_health(struct vm *vm, bool well, const char *why);
/* "ok", "unresponsive", "unresponsive: hostile" */
const char *vm_health_text(const struct vm *vm);
/* Its QEMU broke the protocol or floods us: its connection is closed, and made again after
 * VM_HOSTILE_SECONDS at the earliest. The guest is left alone. */
void vm_quarantine(struct vm *vm, const struct err *e);
int vm_draft_identity(
	struct vm *vm, struct err *e); /* what was told of it stays true: identity.h */
/* The guest ended, and policy keeps it as it stands (On...=pause): it goes on only after a reset. */
bool vm_is_tombstone(const struct vm *vm);

/* --- wish.c: the verbs. who: for log and history. --- */
/* The one place that knows what keeps a VM from starting, whoever wants it: a person, the host's boot,
 * policy. asked: not policy, which goes on with what a broken file meant before. ERR_CONFLICT: it may go
 * by itself, later. */
int vm_may_start(struct vm *vm, bool asked, struct err *e);
int vm_start(struct vm *vm, bool paused, const char *who, struct err *e);
/* As vm_start(), but nobody reads the error: policy tries again where the cause is the host's. */
int vm_start_at_boot(struct vm *vm, struct err *e);
/* Paused, for the operation that is vm->busy, which calls vm_keep() when the guest may have the process, or
 * ends it. If it can do neither, for its daemon is gone, the next one ends it. */
int vm_start_for(struct vm *vm, const char *who, struct err *e);
void vm_keep(struct vm *vm);
int vm_stop(struct vm *vm, double timeout, const char *who, struct err *e); /* < 0: as configured */
/* Down as by vm_stop(), and up again. The wish is in the record before the first step. */
int vm_reboot(struct vm *vm, double timeout, const char *who, struct err *e);
/* Also while an operation is under way: whatever it leaves half done, it has marked. */
int vm_kill(struct vm *vm, const char *who, struct err *e);
/* Forgets past failures; one that gave up is stopped then. */
void vm_reset_failed(struct vm *vm, const char *who);
/* The operation is over that vm->busy told: who waited for it may go on. */
void vm_idle(struct vm *vm);

/* --- the actions that the rules name --- */
/* Of start.c, on top of this room: the daemon hands the table to vm_event(), which calls none of its siblings.
 * NULL: VM_DO_NOTHING. */
extern void (*const vm_actions[VM_ACTIONS])(struct vm *vm);
/* identity, effective configuration, argv's files; also for `cmdline` and `check`. */
int vm_complete_identity(struct vm *vm, const struct conf_vm *c, struct err *e);
void vm_power_button(struct vm *vm);
void vm_power_button_again(struct vm *vm); /* presses again, or the deadline is over */
/* The guest powered off while it was asked to: the log says which step worked. */
void vm_log_shutdown_method(const struct vm *vm);
void vm_quit(struct vm *vm);
void vm_kill_process(struct vm *vm);
void vm_start_timeout(struct vm *vm);
void vm_clean(struct vm *vm); /* unmakes what the record says was made */
void vm_watch_process(struct vm *vm);
/* A process ended, or preparing failed: policy picks the event. */
void vm_exited(struct vm *vm);
/* Nothing to do until vm->due, or until somebody asks; writes that down. */
void vm_enter_backoff(struct vm *vm);
/* The guest ended by itself; only a tombstone is left. */
void vm_ended(struct vm *vm, enum vm_ending ending);
void vm_qmp_event(void *data, const char *name, const json_t *event_data);
/* What a command of ours brings about is free. False: that was too much, and the monitor is closed. */
bool vm_event_bearable(struct vm *vm);
void vm_limits_init(
	struct vm *vm); /* of what its QEMU may bring about, for as long as the VM is known */
/* "nospace on root"; caller frees. */
char *vm_io_error_text(bool space, const char *node);

/* --- start_*.c --- */
const char *vm_start_step(
	const struct vm *vm); /* that a start is at, for people; NULL: none is under way */
/* Remembers why a start failed, for `start` and `info`, and whose fault that is. What is left of the
 * start ends by itself, or the caller ends it. */
void vm_start_failed(struct vm *vm, enum vm_ending whose, const struct err *e);
/* The same, and ends it. */
void vm_start_fail(struct vm *vm, enum vm_ending whose, const struct err *e);

/* --- monitor.c --- */
extern const struct qmp_handlers vm_qmp_handlers;
void vm_connect_monitor(struct vm *vm); /* when it is not, and later again where that fails */
void vm_reconnect(struct vm *vm, double seconds);
/* qmp_call() with the usual deadline; reply may be NULL (errors are logged). */
void vm_call(struct vm *vm, const char *command, json_t *arguments, qmp_reply_fn *reply);
void vm_monitor_close(struct vm *vm);
void vm_monitor_release(struct vm *vm); /* and all that is known by it */
/* Lets go of a process, which may go on. What it was started with stays known: policy goes by it. */
void vm_process_release(struct vm *vm);

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
/* timeout in seconds, 0: none. done is called from the loop, once. */
struct vm_wait *vm_wait(
	struct vm *vm, enum vm_goal goal, double timeout, vm_wait_fn *done, void *data);
void vm_wait_cancel(struct vm_wait *w);
void vm_waits_check(struct vm *vm); /* after any change */
void vm_waits_end(struct vm *vm);   /* the VM goes away */

/* --- timer.c --- */
void vm_arm(struct vm *vm, double seconds); /* 0 disarms */
bool vm_timer_is_over(struct vm *vm);	    /* it fired; false: too early, and armed again */
double vm_start_left(const struct vm *vm);  /* of TimeoutStartSec=, INFINITY: no limit */
void vm_arm_start(struct vm *vm);

/* --- reset.c --- */
void vm_set_reboot_action(struct vm *vm); /* by OnReboot= */
/* So many seconds from now a reset is the guest's own again: somebody, or the firmware, does one. */
void vm_spare_reset(struct vm *vm, double seconds);

/* --- tell.c --- */
void vm_report_state(struct vm *vm, enum vm_state from);
/* The guest reset itself: vm->resets. */
void vm_report_reset(struct vm *vm);
void vm_report_health(struct vm *vm, bool well, const char *why);
/* One record; who and why may be NULL. Of those that nobody asked for, some are spared when there are
 * many: the last one is written in any case, a few seconds later, and says how many they were. */
void vm_history(struct vm *vm, const char *event, const char *who, const char *why);
/* What a start did beside: to log and history, and to the next answer to a verb, see vm_take_notes(). */
void vm_note(struct vm *vm, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
json_t *vm_take_notes(struct vm *vm); /* an array of texts, the caller's; NULL: none */
void vm_history_flush(struct vm *vm); /* and stops its timer */
/* Whom the next change of state is put down to; NULL: nobody. */
void vm_set_requester(struct vm *vm, const char *who);

/* --- record.c --- */
void vm_record_write(struct vm *vm);
/* In place of a process's directory, one that only says how policy goes on: there is always one. */
void vm_record_rest(struct vm *vm);
/* Of a VM without a process, so that a new daemon goes on where this one was. */
void vm_record_write_resting(struct vm *vm);

#endif
