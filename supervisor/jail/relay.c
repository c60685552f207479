/* SPDX-License-Identifier: MIT */
#include "supervisor/jail/relay.h"

#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

enum { RELAY_SEND = MSG_NOSIGNAL | MSG_DONTWAIT };

struct relay_flow {
	int from, to;
	bool ended; /* EOF: nothing more will be read */
	bool done;  /* and everything was written */
	size_t start, len;
	char data[RELAY_BUFFER];
};

/* --- the filter --- */

/* Allows only what relay_copy() calls: no socket can be connected, bound or created, no fd
 * received. Anything else kills the process, which affects one connection. */
static int relay_confine(void)
{
	const struct scmp_arg_cmp plain[] = {
		SCMP_A3(SCMP_CMP_MASKED_EQ, UINT32_MAX, RELAY_SEND),
		SCMP_A4(SCMP_CMP_EQ, 0, 0), /* no address */
	};
	static const int calls[] = {
		/* clang-format off */
		SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(alarm),
		SCMP_SYS(setitimer),
		SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn), /* after SIGSTOP and SIGCONT */
		SCMP_SYS(exit), SCMP_SYS(exit_group),
		/* clang-format on */
	};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? seccomp_rule_add_array(
			      ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), ARRAY_SIZE(plain), plain)
		    : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* --- copying --- */

static bool relay_again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Reads if the buffer is empty, and writes what the other end accepts. */
static void relay_move(struct relay_flow *f)
{
	ssize_t n;

	if (!f->len && !f->ended) {
		n = recv(f->from, f->data, sizeof f->data, MSG_DONTWAIT);
		f->start = 0;
		f->len = n > 0 ? (size_t)n : 0;
		f->ended = n == 0 || (n < 0 && !relay_again());
	}
	if (f->len) {
		n = send(f->to, f->data + f->start, f->len, RELAY_SEND);
		if (n > 0) {
			f->start += (size_t)n;
			f->len -= (size_t)n;
		} else if (n < 0 && !relay_again()) {
			f->len = 0;
			f->ended = true;
		}
	}
	if (f->ended && !f->len && !f->done) {
		shutdown(f->to, SHUT_WR);
		f->done = true;
	}
}

/* The alarm kills the process: while QEMU does not read, not even the client's disconnect can be
 * seen. */
static void relay_watch_stall(const struct relay_flow *f, size_t *before)
{
	if (f->len != *before)
		alarm(f->len ? RELAY_STALL : 0);
	*before = f->len;
}

/* If one end is gone or sent EOF, the other direction gets RELAY_LINGER seconds. From then on, that
 * end is polled only for transfers that are possible, so this never spins. */
static void relay_copy(struct relay_flow flow[RELAY_ENDS])
{
	bool leaving[RELAY_ENDS] = { false, false };
	size_t waiting = 0; /* bytes for QEMU */

	while (!flow[RELAY_CLIENT].done || !flow[RELAY_QEMU].done) {
		struct pollfd p[RELAY_ENDS];

		for (int i = 0; i < RELAY_ENDS; i++) {
			short in = !flow[i].ended && !flow[i].len ? POLLIN : 0;
			short out = flow[!i].len ? POLLOUT : 0;
			short end = leaving[i] ? 0 : POLLRDHUP;

			p[i].events = (short)(in | out | end);
			p[i].fd = p[i].events ? i : -1;
		}
		if (poll(p, RELAY_ENDS, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < RELAY_ENDS; i++) {
			if (p[i].revents & (POLLRDHUP | POLLHUP | POLLERR) && !leaving[i]) {
				leaving[i] = true;
				if (!leaving[!i])
					alarm(RELAY_LINGER);
			}
			if (p[i].revents & (POLLHUP | POLLERR)) {
				flow[!i].len = 0; /* nobody is left to read it */
				flow[!i].ended = true;
			}
		}
		for (int i = 0; i < RELAY_ENDS; i++)
			relay_move(&flow[i]);
		if (!leaving[RELAY_CLIENT] && !leaving[RELAY_QEMU])
			relay_watch_stall(&flow[RELAY_CLIENT], &waiting);
	}
}

int relay_run(struct jail *j)
{
	static struct relay_flow
		flow[RELAY_ENDS]; /* no initializer: its buffers would be in the program file */
	pid_t pid;

	flow[RELAY_CLIENT].from = flow[RELAY_QEMU].to = RELAY_CLIENT;
	flow[RELAY_CLIENT].to = flow[RELAY_QEMU].from = RELAY_QEMU;
	pid = fork();
	if (pid > 0)
		setpgid(pid, pid); /* ours is killed when we end */
	if (pid != 0)
		return pid < 0;
	setpgid(0, 0);
	if (close_range(RELAY_FDS, ~0U, 0) == 0 && relay_confine() == 0)
		relay_copy(flow);
	_exit(0);
}
