/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/network.h - networks: desired state, actual state, users
 *
 * Owns all networks of the daemon. A network is brought up when the first NIC needs it and stays up
 * until net stop. What is about to be made is first recorded in RUN/networks/NAME.json, so that a
 * new daemon can adopt it and undo exactly that. We choose the NICs' addresses, know them before
 * the guest runs, and pass them to dnsmasq in one file per NIC. Knows nothing of struct vm.
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

struct networks_dirs { /* borrowed for the lifetime of the networks; absolute, must exist */
	const char *config, *state, *run;
	const char *jail; /* path of vmkeep-jail */
	const struct uids *uids;
	/* Writes a file durably, some time later; path relative to state. NULL: not done. */
	void (*keep)(void *data, const char *path, const char *text);
	void *keep_data;
};

/* A NIC's requirements; strings are borrowed for the call. */
struct network_nic {
	const char *vm, *nic;  /* names */
	const char *network;   /* or NULL with bridge */
	const char *bridge;    /* a foreign bridge: only attached, nothing else is managed */
	const char *hostname;  /* DNS label; "": none */
	uint8_t mac[ETH_ALEN]; /* the guest's */
	uint32_t address;      /* host byte order, 0: choose, or unknown on a foreign bridge */
	bool fixed;	       /* set by Address=: an error if it does not fit */
	bool link;
};

typedef void network_done_fn(void *data, const struct err *e);

struct networks *networks_new(struct ev_loop *ev, const struct networks_dirs *dirs);
/* Leaves everything on the host up. */
void networks_free(struct networks *ns);

/* Reads RUN/networks, adopts networks that are up and their dnsmasq. Call before VMs are
 * adopted. */
int networks_adopt(struct networks *ns, struct err *e);
/* Reads the .network files again; a file that no longer parses keeps its old meaning and is
 * reported in problems. A network that is up changes at its next start. */
void networks_reload(struct networks *ns, struct conf_problems *p);

/* Reports what networks_reload() and networks_repair() would change, without doing it. change:
 * "new", "changed" (c: the key), "gone", or "again" (to: what would be remade). up: the network is
 * up or changing state. reload_plan.c */
struct conf_change;
typedef void networks_plan_fn(void *data, const char *network, const char *change,
	const struct conf_change *c, const char *to, bool up);
void networks_reload_plan(struct networks *ns, networks_plan_fn *tell, void *data);

/* Restores what others removed from networks that are up: bridge, address, rules, ip_forward,
 * and the rule for taps without a bridge. What cannot be restored is reported in problems,
 * unless NULL. */
void networks_repair(struct networks *ns, struct conf_problems *p);

/* After files of ours below RUN or STATE were deleted or damaged at run time: writes them again,
 * and restarts any dnsmasq that does not see them. */
void networks_write_again(struct networks *ns);

/* Makes sure that the network is up and a tap may be made; done is called once, from the loop (even
 * if it is up already). ERR_NOT_FOUND if there is no such network, ERR_CONFLICT if its subnet or
 * bridge belongs to somebody else. network NULL, for a foreign bridge: only waits until a tap may
 * be made. */
struct network_wait *networks_need(
	struct networks *ns, const char *network, network_done_fn *done, void *data);
void network_wait_cancel(struct network_wait *w); /* done is not called any more; NULL is fine */

/* What networks_need() and networks_claim() would refuse of a VM's NICs now, with the files and the
 * host's network as they are; nothing is made or claimed. former: the VM that continues as this one, so
 * that its claims are dropped first; or NULL. *bad: the first such NIC; *key: its key at fault.
 * try.c */
int networks_try(struct networks *ns, const char *former, const struct network_nic *const *nic,
	size_t n, size_t *bad, const char **key, struct err *e);
/* After that: runs nft and dnsmasq as far as networks_need() would, in a way that changes nothing; done is
 * called once, from the loop, with the first error and its NIC. NULL: nothing would be run. trial.c */
struct networks_trial;
typedef void networks_trial_fn(void *data, const char *nic, const struct err *e);
struct networks_trial *networks_try_run(struct networks *ns, const struct network_nic *const *nic,
	size_t n, networks_trial_fn *done, void *data);
void networks_trial_cancel(struct networks_trial *t); /* NULL is fine */
/* Is there such a foreign bridge? */
int networks_bridge(struct networks *ns, const char *bridge, struct err *e);

/* Claims address, MAC and DNS name for this NIC, in memory, until networks_unclaim(): asking again
 * for the same NIC gives the same result. ERR_CONFLICT names the holder, whose file may be gone; e
 * may be NULL. *address may be 0 if the network has no subnet yet (auto): ask again once it is up.
 * Foreign bridge: 0. */
int networks_claim(
	struct networks *ns, const struct network_nic *nic, uint32_t *address, struct err *e);
bool networks_mac_taken(struct networks *ns, const uint8_t mac[ETH_ALEN], const char *vm);
bool networks_claimed(struct networks *ns, const char *vm);
/* Drops all claims of a VM. Its leases stay: it may come back, or continue under another name. */
void networks_unclaim(struct networks *ns, const char *vm);
/* Of a VM that is gone for good: its leases end too. */
void networks_forget(struct networks *ns, const char *vm);

/* Marks the network as in use, from the creation of a tap or because a process from a previous
 * daemon uses it: it is not stopped without force. Ended by networks_leave(). Fills in the index of
 * a tap of which only the name is known. */
void networks_hold(struct networks *ns, const struct network_nic *nic, struct tap *tap);
/* The taps that this process of the VM holds: identified by process, because another daemon's VM
 * may have the same name. */
void networks_taps(struct networks *ns, const char *vm, pid_t pid,
	void (*each)(void *data, const char *nic, const struct tap *tap), void *data);
/* Makes a tap for it: non-persistent, not yet enslaved, down, named "vk0", "vk1"..., with alias
 * "vmkeep:VM:NIC"; held as by networks_hold(). */
int networks_tap(struct networks *ns, const struct network_nic *nic, struct tap *tap, int *fd,
	struct err *e);
/* Writes the host line for dnsmasq, then adds the tap to the bridge and sets it up. Synchronous,
 * under 1 ms. */
int networks_join(
	struct networks *ns, const struct network_nic *nic, const struct tap *tap, struct err *e);
/* After adoption: marks the NIC as attached although we did not join it; joins it again if
 * necessary. */
void networks_rejoin(struct networks *ns, const struct network_nic *nic, struct tap *tap);
/* Sets the tap up or down, as the guest's link is. */
int networks_link(
	struct networks *ns, const struct network_nic *nic, const struct tap *tap, struct err *e);
/* The current name of a tap, which others may have renamed. NULL: it is gone, perhaps into another
 * network namespace. */
const char *networks_tap_name(struct networks *ns, const struct tap *tap, char name[IFNAMSIZ]);
/* The NIC is gone: removes its host line, and the tap in case QEMU left it behind. */
void networks_leave(struct networks *ns, const char *vm, const char *nic, const struct tap *tap);
/* After all VMs were adopted: deletes taps that nobody holds, and sets or removes the rule for
 * taps. */
void networks_sweep(struct networks *ns);

/* For the API. networks_need() starts a network. Stop: ERR_WRONG_STATE while NICs are attached,
 * unless forced. */
struct network_wait *networks_stop(
	struct networks *ns, const char *network, bool force, network_done_fn *done, void *data);
/* What a stop would do, and why it would be refused: state, refused (the error or null), columns,
 * rows. */
json_t *networks_stop_plan(struct networks *ns, const char *network, bool force, struct err *e);
/* The error for a network that does not exist, with the name that was probably meant; returns
 * e->number. */
int networks_refuse_missing(const char *config, const char *network, struct err *e);
bool networks_exists(struct networks *ns, const char *network, struct err *e);
/* Calls each for all networks, sorted by name. bridge: "" if it has no name yet. each may start and
 * stop networks. */
typedef void networks_each_fn(void *data, const char *network, const char *bridge, bool up);
void networks_each(struct networks *ns, networks_each_fn *each, void *data);
/* What is wrong with it, other than with its file or single NICs; NULL: nothing. The caller frees
 * it. */
char *networks_trouble(struct networks *ns, const char *network);
/* Reports NICs that are cut off, and why: not on their bridge, or their network was stopped by a
 * user (stopped). vm: only this VM's; NULL: all. */
typedef void networks_stray_fn(void *data, const char *vm, bool stopped, const char *text);
void networks_strays(struct networks *ns, const char *vm, networks_stray_fn *stray, void *data);
json_t *networks_list(struct networks *ns);					/* columns, rows */
json_t *networks_show(struct networks *ns, const char *network, struct err *e); /* object */
json_t *networks_leases(
	struct networks *ns, const char *network, struct err *e); /* columns, rows */

/* True if dnsmasq gave the NIC a lease; *address: the leased, else the reserved address, 0: none.
 * Changes are reported by on_change. */
bool networks_address_seen(struct networks *ns, const char *vm, const char *nic, uint32_t *address);
/* The address that the guest leased, or else the one reserved for it: dnsmasq gives another one if
 * the guest declined its own, or if somebody else has that. */
uint32_t networks_address_now(struct networks *ns, const struct network_nic *nic);
enum networks_change { NETWORKS_LEASE, NETWORKS_UP, NETWORKS_DOWN };
typedef void networks_change_fn(void *data, const char *network, enum networks_change change);
void networks_on_change(struct networks *ns, networks_change_fn *changed, void *data);

#endif
