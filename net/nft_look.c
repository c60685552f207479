/* SPDX-License-Identifier: MIT */
#include "net/nft.h"

#include <errno.h>
#include <netinet/in.h> /* the kernel's headers only make room for one that came before */

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/time.h>

/* The error in the kernel's answer, -ENOENT for no such table; 0: another answer, or none. */
static int nft_look_answer(struct nl_sock *sock)
{
	char answer[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n = recv(nl_socket_get_fd(sock), answer, sizeof answer, 0);
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer;

	if (n < 0 || !nlmsg_ok(h, (int)n) || h->nlmsg_type != NLMSG_ERROR)
		return 0;
	return ((struct nlmsgerr *)nlmsg_data(h))->error;
}

bool nft_is_lost(const char *table)
{
	const struct nfgenmsg head = { .nfgen_family = NFPROTO_INET };
	const struct timeval patience = { .tv_sec = 1 };
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *m = nlmsg_alloc_simple(
		NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_REQUEST | NLM_F_ACK);
	bool lost = false;

	if (sock && m && nl_connect(sock, NETLINK_NETFILTER) == 0 &&
		setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &patience,
			sizeof patience) == 0 &&
		nlmsg_append(m, (void *)(uintptr_t)&head, sizeof head, NLMSG_ALIGNTO) == 0 &&
		nla_put_string(m, NFTA_TABLE_NAME, table) == 0) {
		nl_complete_msg(sock, m);
		lost = nl_send(sock, m) >= 0 && nft_look_answer(sock) == -ENOENT;
	}
	nlmsg_free(m);
	nl_socket_free(sock);
	return lost;
}
