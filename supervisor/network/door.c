/* SPDX-License-Identifier: MIT */
/*
 * The door: a tap of ours that is on no bridge is an interface of the host, and one rule drops
 * everything that comes in by it (net/nft.h). Its table exists before any tap can be up, and as
 * long as there is a tap or a network is up: a start waits for it once, and it is removed with the
 * last of them. It stays while no daemon runs.
 *
 * A network's rules load the table along with their own; the last network to stop removes it along
 * with its own. Otherwise nft runs here, one at a time. The file RUN/networks/door says that there
 * may be a table to remove.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "net/nft.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

static bool door_is_needed(const struct networks *ns, const struct network *but)
{
	for (const struct network *n = ns->list; n; n = n->next)
		if (n != but && n->state != NETWORK_DOWN)
			return true;
	for (const struct claim *c = ns->claims; c; c = c->next)
		if (c->tap.name[0])
			return true;
	return false;
}

static char *door_path(const struct networks *ns)
{
	return xasprintf("%s/door", ns->run);
}

void door_mark(struct networks *ns)
{
	_cleanup_(free_ptr) char *path = door_path(ns);
	struct err e = ERR_INIT;

	if (ns->door.marked && network_put(path, 0600, "", 0, &e) < 0)
		log_error(NULL, "%s", e.text);
}

void door_put(struct networks *ns, struct buf *text)
{
	ns->door.marked = true;
	door_mark(ns);
	nft_taps(text, ns->door.table);
}

static void door_unmark(struct networks *ns)
{
	_cleanup_(free_ptr) char *path = door_path(ns);
	struct err e = ERR_INIT;

	ns->door.marked = false;
	if (file_remove_tree(AT_FDCWD, path, &e) < 0)
		log_error(NULL, "%s", e.text);
}

void door_not_loaded(struct networks *ns)
{
	if (ns->door.state == DOOR_OPEN)
		door_unmark(ns);
}

void door_loaded(struct networks *ns)
{
	if (ns->door.state == DOOR_OPEN)
		ns->door.state = DOOR_SHUT;
}

bool door_take(struct network *n, struct buf *text)
{
	struct door *d = &n->ns->door;

	if (!d->marked || door_is_needed(n->ns, n) ||
		(d->state != DOOR_OPEN && d->state != DOOR_SHUT))
		return false;
	nft_delete(text, d->table);
	d->state = DOOR_OPENING;
	d->taker = n;
	return true;
}

void door_taken(struct networks *ns, const struct err *e)
{
	ns->door.state = DOOR_OPEN;
	ns->door.taker = NULL;
	if (e)
		log_error(NULL, "table '%s' may still exist: %s", ns->door.table, e->text);
	else
		door_unmark(ns);
	/* may have been requested meanwhile */
	if (door_is_needed(ns, NULL))
		door_need(ns);
}

static void door_on_opened(void *data, const struct err *e)
{
	struct networks *ns = data;

	ns->door.nft = NULL;
	door_taken(ns, e);
}

void door_leave(struct networks *ns)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	if (ns->door.state != DOOR_SHUT || door_is_needed(ns, NULL))
		return;
	ns->door.state = DOOR_OPENING;
	nft_delete(&text, ns->door.table);
	ns->door.nft = network_run_nft(ns, "", text.data, door_on_opened, ns, &e);
	if (!ns->door.nft)
		door_taken(ns, &e);
}

/* Answers those waiting for the door: networks being brought up, and VMs. */
static void door_answer(struct networks *ns, const struct err *e)
{
	ns->door.state = e ? DOOR_OPEN : DOOR_SHUT;
	if (e)
		log_error(NULL, "the rule for taps without a bridge could not be set: %s", e->text);
	while (ns->door.waits)
		wait_answer(ns->door.waits, e);
	for (struct network *n = ns->list; n; n = n->next)
		ns->door.moved(n, e);
	door_leave(ns);
}

static void door_on_shut(void *data, const struct err *e)
{
	struct networks *ns = data;

	ns->door.nft = NULL;
	door_answer(ns, e);
}

static void door_shut(struct networks *ns)
{
	_cleanup_(buf_release) struct buf text = BUF_INIT;
	struct err e = ERR_INIT;

	ns->door.state = DOOR_SHUTTING;
	door_put(ns, &text);
	ns->door.nft = network_run_nft(ns, "", text.data, door_on_shut, ns, &e);
	if (ns->door.nft)
		return;
	ns->door.state = DOOR_OPEN;
	door_not_loaded(ns);
	door_answer(ns, &e);
}

void door_need(struct networks *ns)
{
	if (ns->door.state == DOOR_OPEN)
		door_shut(ns);
}

void door_repair(struct networks *ns)
{
	for (const struct network *n = ns->list; n; n = n->next)
		if (n->state == NETWORK_UP) /* its own rules load the table */
			return;
	if (ns->door.state != DOOR_OPEN && ns->door.state != DOOR_SHUT)
		return;
	if (door_is_needed(ns, NULL)) {
		door_shut(ns);
	} else if (ns->door.marked) {
		/* left by a daemon that did not get to remove it */
		ns->door.state = DOOR_SHUT;
		door_leave(ns);
	}
}

void door_init(struct networks *ns, const char *run_dir,
	void (*moved)(struct network *n, const struct err *e))
{
	_cleanup_(free_ptr) char *path = door_path(ns);

	host_prefix(ns->door.table, run_dir);
	strcat(ns->door.table, "-taps");
	ns->door.moved = moved;
	ns->door.marked = access(path, F_OK) == 0;
}

void door_release(struct networks *ns)
{
	network_nft_cancel(ns->door.nft);
	while (ns->door.waits)
		network_wait_cancel(ns->door.waits);
}
