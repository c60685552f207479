/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "net/tap.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

size_t network_attached(const struct network *n)
{
	size_t sum = 0;

	for (const struct claim *c = n->ns->claims; c; c = c->next)
		sum += c->on == n;
	return sum;
}

/* ---- host lines: one file per NIC, VM:NIC, which dnsmasq reads as soon as it is moved there ----
 */

static char *line_path(const struct network *n, const struct claim *c)
{
	return xasprintf("%s/hosts/%s:%s", n->dir, c->vm, c->nic);
}

static bool line_stands(const char *path, const struct buf *line)
{
	struct buf b = BUF_MAX(1024);
	const bool same = file_read(AT_FDCWD, path, &b, NULL) == 0 && streq(b.data, line->data);

	buf_release(&b);
	return same;
}

/* Written beside the directory, because dnsmasq would read a temporary file in it; closed before it
 * is moved there, because closing is another event. It grumbles at what it has read already. */
static int line_put(
	const struct network *n, const char *path, const struct buf *line, struct err *e)
{
	_cleanup_(free_ptr) char *tmp = xasprintf("%s/host.tmp", n->dir);
	int r, fd;

	if (line_stands(path, line))
		return 0;
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	r = fd < 0 || fchmod(fd, 0644) < 0 ? -errno : file_write_all(fd, line->data, line->len);
	close_fd(&fd);
	if (r == 0 && rename(tmp, path) < 0)
		r = errno == EISDIR && file_remove_tree(AT_FDCWD, path, NULL) == 0 && rename(tmp, path) == 0
			? 0
			: -errno;
	errno = -r;
	return r < 0 ? err_errno(e, "write '%s'", path) : 0;
}

static int line_write(const struct network *n, const struct claim *c, struct err *e)
{
	_cleanup_(free_ptr) char *path = line_path(n, c);
	struct buf b = BUF_INIT;
	bool anew;
	int r;

	if (!c->address || !n->conf.dhcp || !n->plan.step[NET_STEP_DNSMASQ])
		return 0;
	dnsmasq_host(&b, c->mac, c->address, c->hostname);
	r = line_put(n, path, &b, e);
	/* lost with its directory, and dnsmasq is not back yet: no reason to end a guest */
	if (r == -ENOENT && host_dirs_make(n, &anew, NULL) == 0) {
		err_clear(e);
		r = line_put(n, path, &b, e);
	}
	buf_release(&b);
	return r;
}

/* dnsmasq forgets a line only when it reads all anew, and until then refuses another one with the
 * same address. */
static void line_remove(struct network *n, const struct claim *c)
{
	_cleanup_(free_ptr) char *path = line_path(n, c);

	if (unlink(path) == 0)
		dnsmasq_reread(&n->dnsmasq);
}

/* Open to all: dnsmasq is not root when it looks. Nobody else gets that far. */
int host_dirs_make(const struct network *n, bool *anew, struct err *e)
{
	_cleanup_(free_ptr) char *hosts = xasprintf("%s/hosts", n->dir);
	int dir = network_dir(n->dir, 0755, e), r = dir < 0 ? dir : network_dir(hosts, 0755, e);

	*anew = dir > 0 || r > 0;
	network_watch_files(n);
	return r < 0 ? r : 0;
}

int host_lines_write(const struct network *n, struct err *e)
{
	int r = 0;

	for (const struct claim *c = n->ns->claims; r == 0 && c; c = c->next)
		if (c->on == n)
			r = line_write(n, c, e);
	return r;
}

int host_lines_prepare(struct network *n, struct err *e)
{
	bool anew;
	int r = file_remove_tree(AT_FDCWD, n->dir, e);

	if (r == 0)
		r = host_dirs_make(n, &anew, e);
	return r < 0 ? r : host_lines_write(n, e);
}

/* ---- taps ---- */

char *nic_alias(const char *vm, const char *nic)
{
	return xasprintf("vmkeep:%s:%s", vm, nic);
}

/* From its tap on a network is in use, also while the guest is not on it yet. */
static void hold(struct claim *c, struct network *n, const struct tap *tap)
{
	c->on = n;
	c->tap = *tap;
}

static void attach(struct claim *c, struct network *n, const struct tap *tap)
{
	hold(c, n, tap);
	c->attached = true;
}

/* The claim, with an address now that the network stands. */
static struct claim *claim_of(struct networks *ns, const struct network_nic *nic, struct err *e)
{
	struct network_nic again = *nic;
	struct claim *c = claims_find(ns, nic->vm, nic->nic);
	uint32_t address;

	if (c && !again.address)
		again.address = c->address;
	if (networks_claim(ns, &again, &address, e) < 0)
		return NULL;
	return claims_find(ns, nic->vm, nic->nic);
}

void networks_hold(struct networks *ns, const struct network_nic *nic, struct tap *tap)
{
	_cleanup_(free_ptr) char *alias = nic_alias(nic->vm, nic->nic);
	struct rtnl *rtnl = networks_rtnl(ns, NULL);
	struct claim *c = claim_of(ns, nic, NULL);

	if (rtnl && !tap->index) {
		tap_find(rtnl, alias, tap);
		tap_quiet(tap);
	}
	if (c)
		hold(c, nic->network ? networks_find(ns, nic->network) : NULL, tap);
}

int networks_tap(
	struct networks *ns, const struct network_nic *nic, struct tap *tap, int *fd, struct err *e)
{
	_cleanup_(free_ptr) char *alias = nic_alias(nic->vm, nic->nic);
	struct rtnl *rtnl = networks_rtnl(ns, e);
	int r;

	*fd = -1;
	if (!rtnl)
		return e->number;
	r = tap_open(rtnl, alias, tap, e);
	if (r < 0)
		return r;
	networks_hold(ns, nic, tap);
	*fd = r;
	return 0;
}

/* Somebody else's bridge is used as it is. */
static int foreign_bridge(struct networks *ns, const char *bridge, int *index, struct err *e)
{
	struct rtnl *rtnl = networks_rtnl(ns, e);
	struct net_link l;

	if (!rtnl || rtnl_link(rtnl, bridge, &l, e) < 0)
		return e->number;
	if (!l.index) {
		err_set(e, ERR_NOT_FOUND, "bridge '%s' does not exist", bridge);
		return err_hint(e, "make it first, or use Network= for a network of vmkeep's own");
	}
	if (!streq(l.kind, "bridge"))
		return err_set(e, ERR_CONFLICT, "'%s' is not a bridge but a %s", bridge,
			l.kind[0] ? l.kind : "network card");
	*index = l.index;
	return 0;
}

static int bridge_of(struct networks *ns, const struct claim *c, struct network **n, int *index,
	unsigned *mtu, struct err *e)
{
	*index = 0;
	*mtu = 0;
	*n = NULL;
	if (!c->network)
		return foreign_bridge(ns, c->bridge, index, e);
	*n = networks_find(ns, c->network);
	if (*n)
		network_mend(*n, false);
	if (!*n || (*n)->state != NETWORK_UP)
		return err_set(e, ERR_WRONG_STATE, "network '%s' is not up", c->network);
	*index = (*n)->bridge_index;
	*mtu = (*n)->plan.mtu;
	return 0;
}

static int enslave(struct networks *ns, const struct claim *c, const struct tap *tap, int bridge,
	unsigned mtu, struct err *e)
{
	uint8_t mac[ETH_ALEN];
	int r;

	tap_mac(mac, c->mac);
	r = rtnl_enslave(ns->rtnl, tap->index, bridge, mac, mtu, c->link, e);
	return r < 0 ? err_wrap(e, r, "tap '%s'", tap->name) : 0;
}

int networks_join(
	struct networks *ns, const struct network_nic *nic, const struct tap *tap, struct err *e)
{
	struct claim *c = claim_of(ns, nic, e);
	const struct dnsmasq_lease *l;
	struct network *n;
	unsigned mtu;
	int r, bridge;

	if (!c)
		return e->number;
	r = bridge_of(ns, c, &n, &bridge, &mtu, e);
	if (r == 0 && n)
		r = line_write(n, c, e);
	if (r == 0)
		r = enslave(ns, c, tap, bridge, mtu, e);
	if (r < 0)
		return r;
	l = n ? leases_by_mac(n, c->mac) : NULL;
	c->expires_before = l ? l->expires : 0;
	attach(c, n, tap);
	return 0;
}

/* Not on its bridge any more, or down: back onto it. It is down on the way. */
static int join_again(struct networks *ns, const struct claim *c, const struct tap *tap, int bridge,
	unsigned mtu, struct err *e)
{
	struct rtnl *rtnl = networks_rtnl(ns, e);
	struct net_link l;
	int r;

	if (!rtnl)
		return e->number;
	r = tap->index ? rtnl_link_at(rtnl, tap->index, &l, e) : 0;
	if (r == 0 && (!tap->index || !l.index))
		return err_set(e, ERR_NOT_FOUND, "tap '%s' is gone", tap->name);
	if (r < 0 || (l.master == bridge && (!c->link || (l.flags & IFF_UP))))
		return r;
	if (l.master != bridge && (l.flags & IFF_UP))
		r = rtnl_up(rtnl, tap->index, false, e);
	if (r == 0)
		r = enslave(ns, c, tap, bridge, mtu, e);
	if (r == 0)
		log_warning(c->vm, "nic %s: '%s' was %s, it is again", c->nic, tap->name,
			l.master == bridge ? "not up" : "not on its bridge");
	return r;
}

void networks_rejoin(struct networks *ns, const struct network_nic *nic, struct tap *tap)
{
	struct err e = ERR_INIT;
	struct claim *c = claim_of(ns, nic, &e);
	struct network *n;
	unsigned mtu;
	int bridge, r;

	if (!tap->index)
		networks_hold(ns, nic, tap);
	if (!c) {
		log_error(nic->vm, "nic %s: %s", nic->nic, e.text);
		return;
	}
	r = bridge_of(ns, c, &n, &bridge, &mtu, &e);
	if (r == 0 && n)
		r = line_write(n, c, &e);
	if (r == 0)
		r = join_again(ns, c, tap, bridge, mtu, &e);
	if (r < 0)
		log_error(nic->vm, "nic %s: %s", nic->nic, e.text);
	attach(c, n, tap);
}

void network_join_all(struct network *n)
{
	for (struct claim *c = n->ns->claims; c; c = c->next) {
		struct err e = ERR_INIT;

		if (c->on == n &&
			join_again(n->ns, c, &c->tap, n->bridge_index, n->plan.mtu, &e) < 0)
			log_error(c->vm, "nic %s: %s", c->nic, e.text);
	}
}

void network_taps_down(struct network *n)
{
	for (struct claim *c = n->ns->claims; c; c = c->next) {
		struct rtnl *rtnl = c->on == n ? networks_rtnl(n->ns, NULL) : NULL;
		struct net_link l;
		struct err e = ERR_INIT;

		if (rtnl && c->tap.index && rtnl_link_at(rtnl, c->tap.index, &l, &e) == 0 && l.index)
			rtnl_up(rtnl, l.index, false, &e);
		if (e.number)
			log_error(c->vm, "nic %s: tap '%s': %s", c->nic, c->tap.name, e.text);
	}
}

const char *networks_tap_name(struct networks *ns, const struct tap *tap, char name[IFNAMSIZ])
{
	struct rtnl *rtnl = tap->index ? networks_rtnl(ns, NULL) : NULL;
	struct net_link l;

	if (!rtnl || rtnl_link_at(rtnl, tap->index, &l, NULL) < 0)
		return tap->name[0] ? memcpy(name, tap->name, IFNAMSIZ) : NULL;
	return l.index ? memcpy(name, l.name, IFNAMSIZ) : NULL;
}

/* One look at all links, however many NICs there are. */
void network_tap_trouble(const struct network *n, char *out, size_t len)
{
	struct rtnl *rtnl = network_attached(n) ? networks_rtnl(n->ns, NULL) : NULL;
	struct net_facts facts = NET_FACTS_INIT;
	const bool known = rtnl && rtnl_facts(rtnl, &facts, NULL) == 0;

	out[0] = '\0';
	for (const struct claim *c = n->ns->claims; known && c && !out[0]; c = c->next) {
		const struct net_link *l = net_facts_index(&facts, c->tap.index);

		if (c->on != n || !c->attached || !c->tap.index)
			continue;
		if (!l)
			snprintf(out, len, "the tap of NIC '%.63s' of VM '%.63s' is gone from this host's network", c->nic,
				c->vm);
		else if (l->master != n->bridge_index)
			snprintf(out, len, "the tap of NIC '%.63s' of VM '%.63s' is not on its bridge: vmkeep reload",
				c->nic, c->vm);
	}
	net_facts_release(&facts);
}

static void remove_tap(struct networks *ns, const char *vm, const char *nic, const struct tap *tap)
{
	_cleanup_(free_ptr) char *alias = nic_alias(vm, nic);
	struct err e = ERR_INIT;
	struct rtnl *rtnl = networks_rtnl(ns, &e);
	const int r = rtnl ? tap_remove(rtnl, alias, tap, &e) : e.number;

	if (r > 0)
		log_warning(vm, "nic %s: QEMU left its tap '%s': deleted", nic, tap->name);
	else if (r < 0)
		log_error(vm, "nic %s: %s", nic, e.text);
}

void networks_leave(struct networks *ns, const char *vm, const char *nic, const struct tap *tap)
{
	struct claim *c = claims_find(ns, vm, nic);
	struct network *n;

	if (tap->name[0])
		remove_tap(ns, vm, nic, tap);
	if (!c)
		return;
	/* also a line that was written before this daemon came */
	n = c->on || !c->network ? c->on : networks_find(ns, c->network);
	if (n)
		line_remove(n, c);
	c->attached = false;
	c->on = NULL;
	c->tap = (struct tap){ 0 };
	door_leave(ns);
}
