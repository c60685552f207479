/* SPDX-License-Identifier: MIT */
/*
 * supervisor/guest/exec_private.h - a command in a guest, for the files of exec.h
 */
#ifndef SUPERVISOR_GUEST_EXEC_PRIVATE_H
#define SUPERVISOR_GUEST_EXEC_PRIVATE_H

#include <ev.h>

#include "base/loop.h"
#include "supervisor/guest/exec.h"
#include "supervisor/guest/keeper.h"

/* Processes in the guest, begun by guest-exec; each must be asked for until it has ended, or the
 * agent remembers it for ever. */
enum exec_process { EXEC_KEEPER, EXEC_OUT, EXEC_ERR, EXEC_IN, EXEC_CONTROL, EXEC_PROCESSES };

struct exec_client {
	int fd; /* -1: gone */
	struct hold *hold;
	ev_io in, out;
	struct buf from, to; /* an incomplete frame; frames not sent yet */
	bool asked;	     /* for input */
	bool ended;	     /* its input has */
	bool evicted;
};

/* Of exec.c, for the files below it. */
struct exec;
struct exec_up {
	/* Goes on, and may free it; the last thing that a callback does. */
	void (*step)(struct exec *x);
	/* There is something to do: looks soon. */
	void (*hurry)(struct exec *x);
	/* The client has its answer: the exit code, or this error, because of which the command is
	 * ended. Only the first counts. */
	void (*succeed)(struct exec *x, int code);
	void (*fail)(struct exec *x, const struct err *e);
};

struct exec {
	const struct exec_up *up;
	struct exec *next; /* of the VM */
	struct vm *vm;	   /* NULL: its process has ended */
	unsigned opened;   /* vm_agent_opened() at the start */
	struct ev_loop *ev;
	struct job *job; /* NULL: the client has its answer */
	json_t *command;
	struct keeper_mark mark;
	struct exec_client client;
	json_int_t pid[EXEC_PROCESSES]; /* 0: none */
	bool due[EXEC_PROCESSES];	/* ask whether it has ended */
	bool started, keeper_ended;
	bool doubt;	   /* does the keeper still run? Ask before anything else */
	bool refused;	   /* something failed that may work at the next look */
	bool deaf;	   /* the agent is gone, or does not do as told: nothing more can be done */
	unsigned failures; /* of reads, one after another */
	double lost;	   /* 0, or until when to wait for the end of the VM, which may be why */
	unsigned long turn; /* 0, or since when it waits for another command's request */
	bool busy;	    /* a request to the agent is in flight: */
	enum exec_process about;
	bool asks;		      /* guest-exec-status, not guest-exec */
	enum keeper_message message;  /* that EXEC_CONTROL carries */
	bool wanted[KEEPER_MESSAGES]; /* to be sent */
	json_int_t watcher;	      /* 0: not known yet */
	struct keeper_tail tail[2];   /* of EXEC_OUT and EXEC_ERR */
	struct buf first;	      /* the line with the watcher's pid */
	struct buf input;	      /* one piece, for the guest */
	struct loop_timer look;
	double every;		  /* seconds until the next look */
	double heard;		  /* daemon_now() of the agent's last answer, to any command */
	double renewed;		  /* and of the lease */
	double until;		  /* deadline: of the start, later of the end */
	double timeout, deadline; /* of the command */
};

/* exec_reply.c: an answer of the agent. */
void exec_take_reply(struct exec *x, const json_t *result, const struct err *e);

/* exec_client.c */
void exec_client_open(struct exec *x, const struct exec_options *o);
void exec_client_send(struct exec *x, enum exec_frame type, const void *data, size_t len);
/* Asks for input if there is room and none was asked for. */
void exec_client_ask(struct exec *x);
void exec_client_close(struct exec *x);
/* Evicted, or does not speak the protocol. */
void exec_client_drop(struct exec *x);
bool exec_client_is_behind(const struct exec *x);
void exec_client_count(struct exec *x);

#endif
