/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/network.h - networks: what is wished, what stands, who uses it
 *
 * Owns all networks of the daemon. A network is raised when the first NIC needs it and stands until
 * net stop; what was made is written in RUN/networks/NAME.json before it is made, so that a new
 * daemon adopts it and undoes exactly that. Addresses of NICs are ours to choose, known before the
 * guest runs, and told to dnsmasq by one file per NIC. Knows nothing of struct vm.
 */
#ifndef SUPERVISOR_NETWORK_NETWORK_H
#define SUPERVISOR_NETWORK_NETWORK_H

#include <jansson.h>
#include <net/ethernet.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/network.h"
#include "net/tap.h"

struct conf_problems;
struct ev_loop;
struct networks;
struct network_wait;
struct uids;

struct networks_dirs { /* borrowed as long as the networks live; absolute, exist */
	const char *config, *state, *run;
	const char *jail; /* the program vmkeep-jail */
	const struct uids *uids;
	/* puts a file onto the disk, some time later; path below state. NULL: nobody does. */
	void (*keep)(void *data, const char *path, const char *text);
	void *keep_data;
};

/* What a NIC wants; strings borrowed for the call. */
struct network_nic {
	const char *vm, *nic;  /* names */
	const char *network;   /* or NULL with bridge */
	const char *bridge;    /* a foreign bridge: attached, nothing else managed */
	const char *hostname;  /* DNS label; "": none */
	uint8_t mac[ETH_ALEN]; /* the guest's */
	uint32_t address;      /* host byte order, 0: choose */
	bool fixed;	       /* Address= wrote it: an error where it does not fit */
	bool link;
};

typedef void network_done_fn(void *data, const struct err *e);

struct networks *networks_new(struct ev_loop *ev, const struct networks_dirs *dirs);
/* Leaves everything standing on the host. */
void networks_free(struct networks *ns);

/* Reads RUN/networks, takes standing networks and their dnsmasq back. Before VMs are adopted. */
int networks_adopt(struct networks *ns, struct err *e);
/* Reads .network files again; a file that no longer parses keeps its old meaning and is told in
 * problems. A standing network changes at its next start. */
void networks_reload(struct networks *ns, struct conf_problems *p);

/* What both would change, for now nothing. change: new, changed (c tells the key), gone, or again
 * (made anew: to). up: it stands, or is on its way. reload_plan.c */
struct conf_change;
typedef void networks_plan_fn(void *data, const char *network, const char *change,
	const struct conf_change *c, const char *to, bool up);
void networks_reload_plan(struct networks *ns, networks_plan_fn *tell, void *data);

/* What others took away from standing networks, bridge, address, rules, ip_forward, and the rule for taps
 * without a bridge is made again. What cannot be is told in problems, or NULL. */
void networks_repair(struct networks *ns, struct conf_problems *p);

/* Files of ours below RUN or STATE were deleted or damaged while we run: they are written again, and a
 * dnsmasq that does not see them is started again. */
void networks_write_again(struct networks *ns);

/* Makes sure it stands, and that a tap may be made; done is called once, from the loop (also when it
 * stands already). ERR_NOT_FOUND without such a network, ERR_CONFLICT where its subnet or bridge is
 * somebody else's. NULL, for a foreign bridge: only the latter. */
struct network_wait *networks_need(
	struct networks *ns, const char *network, network_done_fn *done, void *data);
void network_wait_cancel(struct network_wait *w); /* done is not called any more; NULL is fine */

/* Claims address, MAC and DNS name for this NIC, in memory, until networks_unclaim(): the same
 * NIC asked again gets the same. ERR_CONFLICT names the holder, whose file may be gone; e may be NULL. *address
 * may be 0 when the network has no subnet yet (auto): ask again once it stands. Foreign bridge: 0. */
int networks_claim(
	struct networks *ns, const struct network_nic *nic, uint32_t *address, struct err *e);
bool networks_mac_taken(struct networks *ns, const uint8_t mac[ETH_ALEN], const char *vm);
bool networks_claimed(struct networks *ns, const char *vm);
void networks_unclaim(struct networks *ns, const char *vm); /* all of a VM that was forgotten */

/* Its network is in use, from a tap on or because a process of a former daemon is on it: not stopped
 * without force. networks_leave() ends it. Completes a tap of which only the name is known. */
void networks_hold(struct networks *ns, const struct network_nic *nic, struct tap *tap);
/* The taps that this process of the VM holds: by that, for a VM of another daemon may have the same name. */
void networks_taps(struct networks *ns, const char *vm, pid_t pid,
	void (*each)(void *data, const char *nic, const struct tap *tap), void *data);
/* A tap for it: non-persistent, not yet enslaved, down, named and aliased "vmkeep:VM:NIC"; held. */
int networks_tap(struct networks *ns, const struct network_nic *nic, struct tap *tap, int *fd,
	struct err *e);
/* Host line for dnsmasq, then onto the bridge, up. Synchronous, under 1 ms. */
int networks_join(
	struct networks *ns, const struct network_nic *nic, const struct tap *tap, struct err *e);
/* After adoption: the NIC is in use though we did not join it now; joins it if it fell off. */
void networks_rejoin(struct networks *ns, const struct network_nic *nic, struct tap *tap);
/* The name of a tap as it is now: others may have renamed it. NULL: it is gone, perhaps into another
 * network namespace. */
const char *networks_tap_name(struct networks *ns, const struct tap *tap, char name[IFNAMSIZ]);
/* The NIC is gone: its host line goes, and the tap, in case QEMU left it. */
void networks_leave(struct networks *ns, const char *vm, const char *nic, const struct tap *tap);
/* After all VMs were adopted: taps that nobody holds any more go, the rule for taps is as it should be. */
void networks_sweep(struct networks *ns);

/* For the API. start: as networks_need. stop: ERR_WRONG_STATE while NICs are attached unless force.
 */
struct network_wait *networks_stop(
	struct networks *ns, const char *network, bool force, network_done_fn *done, void *data);
/* What a stop would do, and why it would be refused: state, refused (the error or null), columns,
 * rows. */
json_t *networks_stop_plan(struct networks *ns, const char *network, bool force, struct err *e);
bool networks_exists(struct networks *ns, const char *network, struct err *e);
/* All of them, by name. bridge: "" where it has no name yet. each may start and stop them. */
typedef void networks_each_fn(void *data, const char *network, const char *bridge, bool up);
void networks_each(struct networks *ns, networks_each_fn *each, void *data);
json_t *networks_list(struct networks *ns);					/* columns, rows */
json_t *networks_show(struct networks *ns, const char *network, struct err *e); /* object */
json_t *networks_leases(
	struct networks *ns, const char *network, struct err *e); /* columns, rows */

/* What is known of a NIC's address: {"address", "source": "reserved", "seen": bool}; seen: dnsmasq
 * gave the lease. Watchers are told by on_change. */
bool networks_address_seen(struct networks *ns, const char *vm, const char *nic, uint32_t *address);
enum networks_change { NETWORKS_LEASE, NETWORKS_UP, NETWORKS_DOWN };
typedef void networks_change_fn(void *data, const char *network, enum networks_change change);
void networks_on_change(struct networks *ns, networks_change_fn *changed, void *data);

#endif
