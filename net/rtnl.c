/* SPDX-License-Identifier: MIT */
#include "net/rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/mem.h"

enum { ANSWER_MAX = 65536, DUMP_TRIES = 5 };

struct rtnl {
	struct nl_sock *sock;
	char why[128]; /* the kernel's text for the last failure, or empty */
	char answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
};

typedef void rtnl_each(void *data, struct nlmsghdr *h);

struct rtnl *rtnl_new(struct err *e)
{
	struct rtnl *r = xcalloc(1, sizeof *r);
	const struct timeval patience = { .tv_sec = 2 };
	const int one = 1;
	int fd;

	r->sock = nl_socket_alloc();
	if (!r->sock || nl_connect(r->sock, NETLINK_ROUTE) < 0) {
		err_errno(e, "open a netlink socket");
		rtnl_free(r);
		return NULL;
	}
	fd = nl_socket_get_fd(r->sock);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return r;
}

void rtnl_free(struct rtnl *r)
{
	if (!r)
		return;
	nl_socket_free(r->sock);
	free(r);
}

static void rtnl_keep_why(struct rtnl *r, struct nlmsghdr *h)
{
	struct nlmsgerr *m = nlmsg_data(h);
	size_t off = sizeof *m;
	struct nlattr *a;
	int len;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		off += m->msg.nlmsg_len - sizeof m->msg;
	if (h->nlmsg_len < NLMSG_HDRLEN + NLMSG_ALIGN(off))
		return;
	a = (struct nlattr *)(void *)((char *)m + NLMSG_ALIGN(off));
	len = (int)(h->nlmsg_len - NLMSG_HDRLEN - NLMSG_ALIGN(off));
	for (; nla_ok(a, len); a = nla_next(a, &len))
		if (nla_type(a) == NLMSGERR_ATTR_MSG)
			snprintf(r->why, sizeof r->why, "%.*s", nla_len(a), (char *)nla_data(a));
}

/* Sends a request and reads the whole answer. 0 or the kernel's -errno; -EINTR: the dump was
 * inconsistent, because something changed meanwhile. */
static int rtnl_talk(struct rtnl *r, struct nl_msg *m /* stolen */, rtnl_each *each, void *data)
{
	bool torn = false;
	uint32_t seq;

	r->why[0] = '\0';
	nl_complete_msg(r->sock, m);
	seq = nlmsg_hdr(m)->nlmsg_seq;
	if (nl_send(r->sock, m) < 0) {
		nlmsg_free(m);
		return -EIO;
	}
	nlmsg_free(m);
	for (;;) {
		ssize_t n = recv(nl_socket_get_fd(r->sock), r->answer, sizeof r->answer, 0);
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)r->answer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (int len = (int)n; nlmsg_ok(h, len); h = nlmsg_next(h, &len)) {
			if (h->nlmsg_seq != seq)
				continue;
			torn |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (h->nlmsg_type == NLMSG_ERROR) {
				rtnl_keep_why(r, h);
				return ((struct nlmsgerr *)nlmsg_data(h))->error;
			}
			if (h->nlmsg_type == NLMSG_DONE)
				return torn ? -EINTR : 0;
			if (each)
				each(data, h);
		}
	}
}

/* Turns the kernel's answer into the caller's result. */
static int rtnl_result(struct rtnl *r, int code, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int rtnl_result(struct rtnl *r, int code, struct err *e, const char *fmt, ...)
{
	char what[160];
	va_list ap;

	if (code >= 0)
		return 0;
	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	errno = -code;
	if (r->why[0])
		return err_errno(e, "%s (%s)", what, r->why);
	return err_errno(e, "%s", what);
}

static struct nl_msg *rtnl_message(int type, int flags, const void *head, size_t size)
{
	struct nl_msg *m = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (!m || nlmsg_append(m, (void *)(uintptr_t)head, size, NLMSG_ALIGNTO) < 0)
		abort(); /* a page for a message: out of memory */
	return m;
}

static struct nl_msg *rtnl_of_link(int type, int index)
{
	const struct ifinfomsg head = { .ifi_index = index };

	return rtnl_message(type, NLM_F_ACK, &head, sizeof head);
}

static void rtnl_copy_text(char *to, size_t size, struct nlattr *a)
{
	if (a)
		snprintf(to, size, "%.*s", nla_len(a), (char *)nla_data(a));
}

static void rtnl_parse_link(struct net_link *l, struct nlmsghdr *h)
{
	struct nlattr *a[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	struct ifinfomsg *head = nlmsg_data(h);

	*l = (struct net_link){ 0 };
	if (nlmsg_parse(h, sizeof *head, a, IFLA_MAX, NULL) < 0)
		return;
	l->index = head->ifi_index;
	l->flags = head->ifi_flags;
	rtnl_copy_text(l->name, sizeof l->name, a[IFLA_IFNAME]);
	rtnl_copy_text(l->alias, sizeof l->alias, a[IFLA_IFALIAS]);
	l->carrier = a[IFLA_CARRIER] && nla_get_u8(a[IFLA_CARRIER]);
	if (a[IFLA_MASTER])
		l->master = (int)nla_get_u32(a[IFLA_MASTER]);
	if (a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == ETH_ALEN)
		memcpy(l->mac, nla_data(a[IFLA_ADDRESS]), ETH_ALEN);
	if (a[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) == 0)
		rtnl_copy_text(l->kind, sizeof l->kind, info[IFLA_INFO_KIND]);
}

static void rtnl_one_link(void *data, struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		rtnl_parse_link(data, h);
}

static void rtnl_each_link(void *data, struct nlmsghdr *h)
{
	struct net_link l;

	if (h->nlmsg_type != RTM_NEWLINK)
		return;
	rtnl_parse_link(&l, h);
	net_facts_add_link(data, &l);
}

static void rtnl_each_address(void *data, struct nlmsghdr *h)
{
	struct ifaddrmsg *head = nlmsg_data(h);
	struct nlattr *a[IFA_MAX + 1];
	struct net_prefix p = { 0 };

	if (h->nlmsg_type != RTM_NEWADDR || nlmsg_parse(h, sizeof *head, a, IFA_MAX, NULL) < 0 ||
		head->ifa_family != AF_INET || !(a[IFA_LOCAL] || a[IFA_ADDRESS]))
		return;
	p.address = ntohl(nla_get_u32(a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS]));
	p.prefix = head->ifa_prefixlen;
	p.index = (int)head->ifa_index;
	net_facts_add_prefix(data, &p);
}

static void rtnl_each_route(void *data, struct nlmsghdr *h)
{
	struct rtmsg *head = nlmsg_data(h);
	struct nlattr *a[RTA_MAX + 1];
	struct net_prefix p = { .route = true };

	if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof *head, a, RTA_MAX, NULL) < 0 ||
		head->rtm_family != AF_INET || head->rtm_table == RT_TABLE_LOCAL || !a[RTA_DST])
		return;
	p.address = ntohl(nla_get_u32(a[RTA_DST]));
	p.prefix = head->rtm_dst_len;
	if (a[RTA_OIF])
		p.index = (int)nla_get_u32(a[RTA_OIF]);
	net_facts_add_prefix(data, &p);
}

/* size: of the type's header; each of them begins with the family. */
static int rtnl_dump(struct rtnl *r, int type, size_t size, rtnl_each *each, struct net_facts *f)
{
	const uint8_t head[sizeof(struct ifinfomsg)] = { type == RTM_GETLINK ? AF_UNSPEC
									     : AF_INET };
	struct nl_msg *m = rtnl_message(type, NLM_F_DUMP, head, size);

	if (type == RTM_GETLINK)
		nla_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return rtnl_talk(r, m, each, f);
}

static int rtnl_facts_once(struct rtnl *r, struct net_facts *f)
{
	int code = rtnl_dump(r, RTM_GETLINK, sizeof(struct ifinfomsg), rtnl_each_link, f);

	if (code == 0)
		code = rtnl_dump(r, RTM_GETADDR, sizeof(struct ifaddrmsg), rtnl_each_address, f);
	if (code == 0)
		code = rtnl_dump(r, RTM_GETROUTE, sizeof(struct rtmsg), rtnl_each_route, f);
	return code;
}

static bool rtnl_ip_forward(void)
{
	_cleanup_(close_fd) int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY | O_CLOEXEC);
	char c = '0';

	return fd >= 0 && read(fd, &c, 1) == 1 && c == '1';
}

int rtnl_facts(struct rtnl *r, struct net_facts *f, struct err *e)
{
	int code = -EINTR;

	for (int i = 0; i < DUMP_TRIES && code == -EINTR; i++) {
		net_facts_release(f);
		code = rtnl_facts_once(r, f);
	}
	f->ip_forward = code == 0 && rtnl_ip_forward();
	return rtnl_result(r, code, e, "read the host's links, addresses and routes");
}

static int rtnl_look(struct rtnl *r, struct nl_msg *m /* stolen */, struct net_link *l)
{
	int code;

	*l = (struct net_link){ 0 };
	nla_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	code = rtnl_talk(r, m, rtnl_one_link, l);
	return code == -ENODEV ? 0 : code;
}

int rtnl_link(struct rtnl *r, const char *name, struct net_link *l, struct err *e)
{
	struct nl_msg *m = rtnl_of_link(RTM_GETLINK, 0);

	nla_put_string(m, IFLA_IFNAME, name);
	return rtnl_result(r, rtnl_look(r, m, l), e, "look up link '%s'", name);
}

int rtnl_link_at(struct rtnl *r, int index, struct net_link *l, struct err *e)
{
	int code = rtnl_look(r, rtnl_of_link(RTM_GETLINK, index), l);

	return rtnl_result(r, code, e, "look up link %d", index);
}

/* No VLAN options: a kernel without VLAN filtering would reject the whole message. */
int rtnl_bridge(struct rtnl *r, const char *name, const uint8_t mac[ETH_ALEN], unsigned mtu,
	int *index, struct err *e)
{
	const struct ifinfomsg head = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_msg *m = rtnl_message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE, &head, sizeof head);
	struct nlattr *info, *data;
	struct net_link l = { 0 };
	int code;

	nla_put_string(m, IFLA_IFNAME, name);
	nla_put(m, IFLA_ADDRESS, ETH_ALEN, mac);
	if (mtu)
		nla_put_u32(m, IFLA_MTU, mtu);
	info = nla_nest_start(m, IFLA_LINKINFO);
	nla_put_string(m, IFLA_INFO_KIND, "bridge");
	data = nla_nest_start(m, IFLA_INFO_DATA);
	nla_put_u32(m, IFLA_BR_FORWARD_DELAY, 0);
	nla_put_u32(m, IFLA_BR_STP_STATE, 0);
	nla_nest_end(m, data);
	nla_nest_end(m, info);
	code = rtnl_talk(r, m, NULL, NULL);
	if (code == -EOPNOTSUPP) {
		rtnl_result(r, -EEXIST, e, "create bridge '%s'", name);
		return err_hint(
			e, "a link of another kind may have that name: ip -d link show %s", name);
	}
	code = rtnl_result(r, code, e, "create bridge '%s'", name);
	if (code == 0)
		code = rtnl_link(r, name, &l, e);
	if (code < 0)
		return code;
	if (!l.index)
		return err_set(
			e, ERR_FAILED, "bridge '%s' vanished right after it was created", name);
	*index = l.index;
	return 0;
}

int rtnl_address(struct rtnl *r, int index, uint32_t address, unsigned prefix, struct err *e)
{
	const struct ifaddrmsg head = { .ifa_family = AF_INET,
		.ifa_prefixlen = (uint8_t)prefix,
		.ifa_index = (unsigned)index };
	const uint32_t local = htonl(address), all = htonl(address | ~net_mask(prefix));
	struct nl_msg *m = rtnl_message(
		RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
	char text[NET_IP_TEXT];

	nla_put(m, IFA_LOCAL, sizeof local, &local);
	nla_put(m, IFA_ADDRESS, sizeof local, &local);
	nla_put(m, IFA_BROADCAST, sizeof all, &all);
	return rtnl_result(
		r, rtnl_talk(r, m, NULL, NULL), e, "set address %s", net_ip(text, address, prefix));
}

int rtnl_alias(struct rtnl *r, int index, const char *alias, struct err *e)
{
	struct nl_msg *m = rtnl_of_link(RTM_NEWLINK, index);

	nla_put(m, IFLA_IFALIAS, (int)strlen(alias), alias);
	return rtnl_result(r, rtnl_talk(r, m, NULL, NULL), e, "set alias '%s'", alias);
}

int rtnl_no_addrgen(struct rtnl *r, int index, struct err *e)
{
	struct nl_msg *m = rtnl_of_link(RTM_NEWLINK, index);
	struct nlattr *spec = nla_nest_start(m, IFLA_AF_SPEC);
	struct nlattr *inet6 = nla_nest_start(m, AF_INET6);
	int code;

	nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nla_nest_end(m, inet6);
	nla_nest_end(m, spec);
	code = rtnl_talk(r, m, NULL, NULL);
	if (code == -EAFNOSUPPORT || code == -EOPNOTSUPP)
		return 0;
	return rtnl_result(r, code, e, "turn link-local addresses off");
}

int rtnl_up(struct rtnl *r, int index, bool up, struct err *e)
{
	const struct ifinfomsg head = {
		.ifi_index = index, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP
	};
	struct nl_msg *m = rtnl_message(RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);

	return rtnl_result(r, rtnl_talk(r, m, NULL, NULL), e, "set link %s", up ? "up" : "down");
}

int rtnl_rename(struct rtnl *r, int index, const char *name, struct err *e)
{
	struct nl_msg *m;
	int code = rtnl_up(r, index, false, e);

	if (code < 0)
		return code;
	m = rtnl_of_link(RTM_NEWLINK, index);
	nla_put_string(m, IFLA_IFNAME, name);
	return rtnl_result(r, rtnl_talk(r, m, NULL, NULL), e, "rename link to '%s'", name);
}

int rtnl_enslave(struct rtnl *r, int index, int master, const uint8_t mac[ETH_ALEN], unsigned mtu,
	bool up, struct err *e)
{
	struct nl_msg *m = rtnl_of_link(RTM_NEWLINK, index);
	int code;

	nla_put(m, IFLA_ADDRESS, ETH_ALEN, mac);
	if (mtu)
		nla_put_u32(m, IFLA_MTU, mtu);
	nla_put_u32(m, IFLA_MASTER, (uint32_t)master);
	code = rtnl_result(r, rtnl_talk(r, m, NULL, NULL), e, "add to the bridge");
	return code == 0 && up ? rtnl_up(r, index, true, e) : code;
}

int rtnl_delete(struct rtnl *r, int index, struct err *e)
{
	int code = rtnl_talk(r, rtnl_of_link(RTM_DELLINK, index), NULL, NULL);

	return code == -ENODEV ? 0 : rtnl_result(r, code, e, "delete link");
}
