/* SPDX-License-Identifier: MIT */
#include "supervisor/guest/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "supervisor/core/confine.h"
#include "supervisor/host/uids.h"
#include "supervisor/jail/plan.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/vms.h"

enum {
	RELAY_SECONDS = 30, /* for vmkeep-jail to set up */
	RELAY_OOM_SCORE = 500,
	/* A client whose host is gone is dropped after RELAY_KEEP_IDLE + RELAY_KEEP_TRIES *
	 * RELAY_KEEP_INTERVAL seconds. */
	RELAY_KEEP_IDLE = 60,
	RELAY_KEEP_INTERVAL = 20,
	RELAY_KEEP_TRIES = 6,
};

static const char relay_slots[] = "relays";

struct relay {
	char *vm;
	void (*done)(void *data);
	void *data;
};

/* --- counting --- */

/* An OFD lock belongs to the open file description and is dropped with its last fd. */
static bool relay_slot_free(int fd, off_t slot)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1
	};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

/* Returns an fd that holds a free slot. */
static int relay_slot(const struct vm *vm, struct relay_peers *peers, int client, struct err *e)
{
	_cleanup_(close_fd) int fd = openat(vm->proc.run_fd, relay_slots,
		O_RDONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	const struct relay_peer peer = relay_peer(client);
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
	unsigned all = 0, same = 0;

	if (fd < 0)
		return err_errno(e, "open '%s'", relay_slots);
	for (int i = 0; i < RELAYS_MAX; i++)
		if (relay_slot_free(fd, i)) {
			lock.l_start = i;
		} else {
			all++;
			same += relay_peer_same(&peers->slot[i], &peer);
		}
	if (all == RELAYS_MAX)
		return err_set(e, ERR_NO_RESOURCES, "too many clients, %u are connected", all);
	if (same >= RELAYS_PER_PEER)
		return err_set(e, ERR_NO_RESOURCES, "too many clients of your %s, %u are connected",
			peer.is_user ? "user" : "address", same);
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return err_errno(e, "lock '%s'", relay_slots);
	peers->slot[lock.l_start] = peer;
	return steal_fd(&fd);
}

/* --- starting a relay --- */

/* Sends small updates at once, as QEMU would, and detects a client host that vanished. */
static void relay_tune(int client)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, RELAY_KEEP_IDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL, RELAY_KEEP_INTERVAL },
		{ IPPROTO_TCP, TCP_KEEPCNT, RELAY_KEEP_TRIES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT,
			(RELAY_KEEP_IDLE + RELAY_KEEP_TRIES * RELAY_KEEP_INTERVAL) * 1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		setsockopt(client, options[i].level, options[i].option, &options[i].value,
			sizeof(int));
}

static void relay_finish(struct relay *r)
{
	r->done(r->data);
	free(r->vm);
	free(r);
}

static void relay_prepared(void *data, const struct child_result *result, const struct err *e)
{
	struct relay *r = data;
	char late[CHILD_LATE];

	if (e)
		log_warning(r->vm, "display: relay: %s", e->text);
	else if (result->status == -ETIMEDOUT)
		log_warning(r->vm, "display: relay: vmkeep-jail %s", child_late(result, late));
	else if (result->status)
		log_warning(r->vm, "display: relay: vmkeep-jail ended with %d", result->status);
	relay_finish(r);
}

static json_t *relay_plan(const struct vm *vm)
{
	_cleanup_(free_ptr) char *root = vm_run_path(vm, "root");

	return json_pack("{s:i, s:s, s:s, s:I, s:s, s:i, s:[i,i,i]}", "version", PLAN_VERSION,
		"role", "relay", "name", vm->name, "uid", (json_int_t)vm->daemon->uids->relay,
		"root", root, "oom_score_adj", RELAY_OOM_SCORE, "fds", 0, 1, 2);
}

int relay_start(struct vm *vm, struct relay_peers *peers, int client, void (*done)(void *data),
	void *data, struct err *e)
{
	_cleanup_(close_fd) int slot = relay_slot(vm, peers, client, e);
	const struct child_options options = { .timeout = RELAY_SECONDS };
	struct relay *r;
	int pair[2];

	if (slot < 0)
		return slot;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "socket pair");
	relay_tune(client);
	r = xcalloc(1, sizeof *r);
	*r = (struct relay){ .vm = xstrdup(vm->name), .done = done, .data = data };
	if (!confine_run(vm->daemon->loop.ev, vm->daemon->jail, relay_plan(vm),
		    (const int[]){ client, pair[1], slot }, 3, &options, relay_prepared, r, e)) {
		close(pair[0]);
		pair[0] = -EIO;
		free(r->vm);
		free(r);
	}
	close(pair[1]);
	return pair[0];
}
