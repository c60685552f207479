/* SPDX-License-Identifier: MIT */
/*
 * What dnsmasq has lent. It rewrites the lease file in place at each change, so a reader may meet
 * half of it: read again 50 ms after the last sign of life, and only then.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/network/private.h"

static const double SETTLE = 0.05;
static const char suffix[] = ".leases";

static int compare(const void *a, const void *b)
{
	const struct dnsmasq_lease *x = a, *y = b;

	return memcmp(x->mac, y->mac, ETH_ALEN);
}

void leases_read(struct network *n)
{
	struct buf b = BUF_MAX(DNSMASQ_LEASES_BYTES);
	struct err e = ERR_INIT;

	free(n->lease);
	n->lease = NULL;
	n->leases = 0;
	if (file_read(AT_FDCWD, n->lease_file, &b, &e) < 0 && e.class != ERR_NOT_FOUND)
		log_warning(NULL, "network %s: %s", n->name, e.text);
	if (b.data)
		n->leases = dnsmasq_leases(b.data, b.len, &n->lease);
	if (n->leases)
		qsort(n->lease, n->leases, sizeof *n->lease, compare);
	buf_release(&b);
}

const struct dnsmasq_lease *leases_by_mac(const struct network *n, const uint8_t mac[ETH_ALEN])
{
	struct dnsmasq_lease key = { 0 };

	if (!n->leases)
		return NULL;
	memcpy(key.mac, mac, ETH_ALEN);
	return bsearch(&key, n->lease, n->leases, sizeof key, compare);
}

const struct dnsmasq_lease *leases_by_address(const struct network *n, uint32_t address)
{
	for (size_t i = 0; i < n->leases; i++)
		if (n->lease[i].address == address)
			return &n->lease[i];
	return NULL;
}

/* A lease from a former life of the guest does not show that this one has asked. */
bool claim_seen(const struct claim *c, const struct dnsmasq_lease *l)
{
	if (!c->attached || !l)
		return false;
	return l->expires == 0 ||
	       (l->expires != c->expires_before && l->expires > (uint64_t)time(NULL));
}

bool networks_address_seen(struct networks *ns, const char *vm, const char *nic, uint32_t *address)
{
	const struct claim *c = claims_find(ns, vm, nic);
	const struct dnsmasq_lease *l = c && c->on ? leases_by_mac(c->on, c->mac) : NULL;
	const bool seen = c && claim_seen(c, l);

	*address = seen ? l->address : c ? c->address : 0;
	return seen;
}

static void on_settled(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct networks *ns = w->data;

	(void)ev, (void)revents;
	if (ns->resolv_changed)
		resolv_changed(ns);
	for (struct network *n = ns->list; n; n = n->next) {
		if (!n->leases_changed)
			continue;
		n->leases_changed = false;
		leases_read(n);
		networks_changed(ns, n->name, NETWORKS_LEASE);
	}
}

static void settle(struct networks *ns)
{
	if (ev_is_active(&ns->settle))
		return;
	ev_timer_set(&ns->settle, SETTLE, 0);
	ev_timer_start(ns->ev, &ns->settle);
}

static void file_changed(struct networks *ns, const char *file)
{
	const size_t len = strlen(file), tail = sizeof suffix - 1;

	if (len <= tail || !streq(file + len - tail, suffix))
		return;
	for (struct network *n = ns->list; n; n = n->next) {
		if (strlen(n->name) != len - tail || strncmp(n->name, file, len - tail) != 0)
			continue;
		n->leases_changed = true;
		settle(ns);
	}
}

static void on_changes(struct ev_loop *ev, ev_io *w, int revents)
{
	char data[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct networks *ns = w->data;
	ssize_t n;

	(void)ev, (void)revents;
	while ((n = read(ns->inotify, data, sizeof data)) > 0)
		for (char *p = data; p < data + n;) {
			const struct inotify_event *i = (const struct inotify_event *)(void *)p;

			if (i->len && resolv_is_meant(ns, i->wd, i->name)) {
				ns->resolv_changed = true;
				settle(ns);
			} else if (i->len) {
				file_changed(ns, i->name);
			}
			p += sizeof *i + i->len;
		}
}

int leases_watch(struct networks *ns, struct err *e)
{
	ev_init(&ns->changes, on_changes);
	ev_init(&ns->settle, on_settled);
	ns->changes.data = ns->settle.data = ns;
	ns->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (ns->inotify < 0 ||
		inotify_add_watch(ns->inotify, ns->state, IN_MODIFY | IN_MOVED_TO) < 0)
		return err_errno(e, "watch '%s'", ns->state);
	ev_io_set(&ns->changes, ns->inotify, EV_READ);
	ev_io_start(ns->ev, &ns->changes);
	resolv_watch(ns);
	return 0;
}

void leases_unwatch(struct networks *ns)
{
	ev_io_stop(ns->ev, &ns->changes);
	ev_timer_stop(ns->ev, &ns->settle);
	close_fd(&ns->inotify);
}
