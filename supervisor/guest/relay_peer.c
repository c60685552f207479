/* SPDX-License-Identifier: MIT */
/*
 * Identifies the peer of a TCP connection: by user for a connection from this host, otherwise by
 * address.
 */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "supervisor/guest/relay.h"

union relay_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void relay_address_fill(const union relay_address *at, __be16 *port, __be32 words[4])
{
	bool v4 = at->any.sa_family == AF_INET;

	*port = v4 ? at->v4.sin_port : at->v6.sin6_port;
	memcpy(words, v4 ? (const void *)&at->v4.sin_addr : &at->v6.sin6_addr, v4 ? 4 : 16);
}

/* Asks the kernel for the one socket bound to from and connected to to, without listing all
 * sockets. False if it is not in this network namespace or the kernel cannot tell. */
static bool relay_socket_uid(
	const union relay_address *from, const union relay_address *to, uint32_t *uid)
{
	_cleanup_(close_fd) int fd =
		socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} ask = {
		.head = { .nlmsg_len = sizeof ask,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST },
		.body = { .sdiag_family = (uint8_t)from->any.sa_family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = UINT32_MAX,
			.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	union {
		struct nlmsghdr head;
		char bytes[1024];
	} said;
	const struct inet_diag_msg *found = NLMSG_DATA(&said.head);
	ssize_t n;

	relay_address_fill(from, &ask.body.id.idiag_sport, ask.body.id.idiag_src);
	relay_address_fill(to, &ask.body.id.idiag_dport, ask.body.id.idiag_dst);
	if (fd < 0 || send(fd, &ask, sizeof ask, 0) != sizeof ask)
		return false;
	n = recv(fd, &said, sizeof said, 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof *found) || said.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return false;
	*uid = found->idiag_uid;
	return true;
}

/* Asks once only: a kernel without sock_diag would try to load a module for each query. */
static bool relay_kernel_tells(const union relay_address *ours, const union relay_address *theirs)
{
	static enum { NOT_ASKED, TELLS, TELLS_NOT } answer;
	uint32_t uid;

	if (answer == NOT_ASKED)
		answer = relay_socket_uid(ours, theirs, &uid) ? TELLS : TELLS_NOT;
	return answer == TELLS;
}

struct relay_peer relay_peer(int client)
{
	union relay_address ours = { .v6 = { 0 } }, theirs = { .v6 = { 0 } };
	socklen_t len = sizeof ours;
	struct relay_peer peer = { .is_user = false };
	uint16_t port;

	if (getsockname(client, &ours.any, &len) < 0)
		return peer;
	len = sizeof theirs;
	if (getpeername(client, &theirs.any, &len) < 0)
		return peer;
	peer.is_user = relay_kernel_tells(&ours, &theirs) &&
		       relay_socket_uid(&theirs, &ours, &peer.who[0]);
	if (!peer.is_user)
		relay_address_fill(&theirs, &port, peer.who);
	peer.known = true;
	return peer;
}

bool relay_peer_same(const struct relay_peer *a, const struct relay_peer *b)
{
	return a->known && b->known && a->is_user == b->is_user &&
	       memcmp(a->who, b->who, sizeof a->who) == 0;
}
