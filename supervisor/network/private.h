/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/private.h - shared by the files in this directory
 *
 * A network goes DOWN -> RAISING -> UP -> STOPPING -> DOWN; if raising fails, it goes through
 * STOPPING too, so that there is only one way to undo. Only state.c writes the state.
 */
#ifndef SUPERVISOR_NETWORK_PRIVATE_H
#define SUPERVISOR_NETWORK_PRIVATE_H

#include <ev.h>

#include "base/child.h"
#include "base/loop.h"
#include "net/dnsmasq.h"
#include "net/plan.h"
#include "net/rtnl.h"
#include "supervisor/host/prefix.h"
#include "supervisor/network/network.h"
#include "supervisor/network/process.h"

enum network_state { NETWORK_DOWN, NETWORK_RAISING, NETWORK_UP, NETWORK_STOPPING, NETWORK_STATES };

struct network {
	struct network *next;
	struct networks *ns;
	char *name;
	char *dir; /* RUN/networks/NAME.d */
	char *leases_state,
		*leases_run;	  /* STATE/networks/NAME.leases; if that fails, the one in RUN */
	const char *lease_file;	  /* the one of the two that is used */
	char *leases_problem;	  /* why it is RUN's, or NULL */
	struct conf_network conf; /* with all defaults, even if it never parsed */
	uint64_t stamp;		  /* of the file */
	uint64_t raised_stamp;	  /* of the file when the network was brought up, 0: unknown */
	bool has_file, parsed;
	char *broken;  /* the problems of a file that never parsed, or NULL */
	char *invalid; /* the first problem of the file as it is now, or NULL */
	enum network_state state;
	struct net_choice choice; /* saved in STATE/networks/NAME.json */
	uid_t uid;		  /* dnsmasq's, saved there too; 0: none yet */
	struct net_plan plan;	  /* what is up; steps: what is ours to undo */
	bool dns;		  /* dnsmasq answers DNS: configured, and the port was free */
	int bridge_index;	  /* 0: none */
	struct nft_run *nft;
	bool table_left; /* nft failed to remove it: the next start replaces it */
	struct dnsmasq dnsmasq;
	struct err failure;	     /* of the start that is being undone */
	struct dnsmasq_lease *lease; /* sorted by MAC */
	size_t leases;
	bool leases_changed;
	struct network_wait *waits;
};

struct network_wait {
	struct network_wait *next;
	/* the list it is in: a network's, the door's, or ns->answered */
	struct network_wait **list;
	struct networks *ns;
	bool up; /* waits for the network to be up, else to be gone */
	struct err result;
	network_done_fn *done;
	void *data;
	struct loop_task answer;
};

struct claim { /* a NIC, possibly of a VM whose file is gone */
	struct claim *next;
	char *vm, *nic, *hostname;
	char *network; /* NULL: a foreign bridge */
	char *bridge;
	uint8_t mac[ETH_ALEN];
	uint32_t address; /* 0: none yet */
	bool fixed, link;
	bool attached;
	struct tap tap;		 /* from its creation until the NIC leaves */
	struct network *on;	 /* while there is a tap, unless on a foreign bridge */
	uint64_t expires_before; /* expiry of the lease that existed before it was attached */
};

/* The door: see door.c. Open: the table may be missing. */
enum door_state { DOOR_OPEN, DOOR_SHUTTING, DOOR_SHUT, DOOR_OPENING };

struct door {
	enum door_state state;
	bool marked;			 /* RUN/networks/door exists */
	char table[HOST_PREFIX_MAX + 8]; /* not a network's name: those begin with "vmkeep_" */
	struct nft_run *nft;
	struct network_wait *waits; /* for NICs on foreign bridges */
	void (*moved)(struct network *n, const struct err *e);
	const struct network *taker; /* the network whose nft run removes the table */
};

struct networks {
	struct ev_loop *ev;
	struct networks_dirs dirs;
	char *state, *run;	     /* dirs.state and dirs.run + "/networks" */
	char owner[HOST_PREFIX_MAX]; /* part of our bridges' aliases, see net_alias() */
	struct dnsmasq_seen *seen;   /* during adoption */
	struct rtnl *rtnl;	     /* opened on first use */
	struct network *list;
	struct claim *claims;
	struct door door;
	struct nft_run *nft;	       /* running or queued, in order */
	struct network_wait *answered; /* waits whose callback is pending */
	int inotify;
	int watching_state;	/* inotify handle */
	int watching_resolv[2]; /* inotify handles, see resolv.c */
	bool resolv_changed, files_lost;
	ev_io changes;
	struct loop_timer settle;
	networks_change_fn *changed;
	void *changed_data;
};

/* common.c */
struct network *networks_find(struct networks *ns, const char *name);
struct rtnl *networks_rtnl(struct networks *ns, struct err *e); /* NULL on failure */
void networks_changed(struct networks *ns, const char *network, enum networks_change change);
struct claim *claims_find(struct networks *ns, const char *vm, const char *nic);
size_t network_attached(const struct network *n);
/* Subnet and pool of a network, if known yet. */
bool network_pool(
	const struct network *n, uint32_t *host, unsigned *prefix, uint32_t *first, uint32_t *last);
/* A guest of the network may have this address, as far as is known. */
bool network_has(const struct network *n, uint32_t address);

/* registry.c */
struct network *networks_add(struct networks *ns, const char *name);
/* Each verb re-reads the file that it needs if it changed. NULL: there is no such network. */
struct network *networks_get(struct networks *ns, const char *name, struct err *e);
void networks_look(struct networks *ns); /* re-reads all files that changed */
void networks_drop_all(struct networks *ns);

/* networks.c */
bool network_is_outdated(const struct network *n); /* its file has changed since */
/* The network, if its file is valid or it is up. */
struct network *networks_wanted(struct networks *ns, const char *network, struct err *e);
/* ERR_WRONG_STATE: NICs are attached. */
int network_may_stop(const struct network *n, bool force, struct err *e);

/* waits.c */
struct network_wait *wait_new(struct networks *ns, struct network_wait **list, bool up,
	network_done_fn *done, void *data); /* list: where it waits; NULL: it is answered at once */
/* Answers one wait, or all of a network with this direction; the callbacks run later, from the
 * loop. */
void wait_answer(struct network_wait *w, const struct err *e);
void waits_answer(struct network *n, bool up, const struct err *e);
bool waits_any(const struct network *n, bool up);

/* state.c */
void network_up(struct network *n);
/* What bringing it up now would choose; changes nothing. */
int network_plan(struct network *n, struct net_plan *plan, struct err *e);
void network_down(struct network *n);
/* n->plan and n->choice come from a record of this boot: makes sure that all of it is up. */
void network_adopt(struct network *n, pid_t pid, uint64_t start);
/* The bridge is there and up, according to the kernel. */
bool network_stands(const struct network *n);
/* It is up, and its nft table or the one of taps is gone. */
bool network_rules_lost(const struct network *n);
/* If it is up: restores what others removed, the bridge and its address; all: rules and ip_forward
 * too. */
void network_repair(struct network *n, bool all);
/* Writes everything that its dnsmasq reads. True: the running one does not see it. */
bool network_serve_files(struct network *n);
/* The door is shut, or could not be. */
void network_door_moved(struct network *n, const struct err *e);
void network_dnsmasq_event(void *data, enum dnsmasq_event event, const struct err *e);

/* try.c: it would be made, or made again, for a NIC */
bool network_would_rise(const struct network *n);

/* nft_run.c */
/* Runs nft after earlier runs for the same network ("": the door) have ended. NULL on failure: done
 * is not called. */
struct nft_run *network_run_nft(struct networks *ns, const char *whose, const char *text,
	network_done_fn *done, void *data, struct err *e);
/* One nft, which reads text; check: changes nothing. NULL on failure. network_nft_result(): of its end, 0
 * or the error. */
struct child *network_nft_child(struct ev_loop *ev, const char *text, bool check,
	void (*done)(void *data, const struct child_result *r), void *data, struct err *e);
int network_nft_result(const struct child_result *r, struct err *e);
void network_nft_cancel(struct nft_run *run); /* done is not called any more; NULL is fine */
void network_nft_end(struct networks *ns);

/* make.c */
int network_ip_forward(bool on, struct err *e);
int network_ip_forward_may(struct err *e); /* what turning it on would be refused */
bool network_forwards(void);		   /* ip_forward is on, as far as is known */
int network_make_bridge(struct network *n, struct err *e);
/* Finds its bridge: by name, else by alias and MAC under another name. A bridge that only has the
 * same name may be somebody else's. Index 0: there is none. */
int network_look(struct network *n, struct net_link *l, struct err *e);
bool network_is_ours(const struct network *n, const struct net_link *l);
void network_delete_bridge(struct network *n);
/* Does another network's bridge exist (by its alias), ours or another vmkeepd's? */
bool network_others_stand(const struct network *n);
/* Writes everything that its dnsmasq reads: directories, host lines, configuration. *changed: a
 * running dnsmasq does not know of it, because its directories were missing or its configuration
 * differs. */
int network_write_files(struct network *n, bool *changed, struct err *e);
int network_prepare_dnsmasq(void *data, struct err *e); /* the same, called before each start */
/* Run nft; done is called once from the loop, and must set n->nft to NULL. */
/* The rules of a network with this plan, without the door. */
void network_rules(
	const struct network *n, const struct net_plan *plan, bool dns, struct buf *text);
int network_load_rules(struct network *n, network_done_fn *done, struct err *e);
int network_drop_rules(struct network *n, network_done_fn *done, struct err *e);

/* Chooses a uid for its dnsmasq, or keeps the current one unless another network or the host has
 * it. stands: its dnsmasq may be running, so a uid outside our range is kept too. True: the uid
 * changed, so the choice must be saved. */
bool network_need_uid(struct network *n, bool stands);

/* record.c: RUN/networks/NAME.json: what was made; STATE/networks/NAME.json: what was chosen */
int record_save(const struct network *n, struct err *e);
int record_may(const struct network *n, struct err *e); /* what that would be refused */
void record_remove(const struct network *n);
/* False: no usable record; the log says why. *same_boot: the network may still be up. */
bool record_load(struct network *n, pid_t *pid, uint64_t *start, bool *same_boot);
void choice_load(struct network *n); /* always sets a MAC */
int choice_save(const struct network *n, struct err *e);
bool choice_stands(const struct network *n); /* the file exists */

/* adopt.c */
void networks_settled(void *ns); /* called 50 ms after files have changed */

/* resolv.c: dnsmasq's copy of the host's resolv.conf, which it cannot see */
int resolv_copy(const struct network *n, struct err *e);
char *resolv_path(const struct network *n); /* caller frees */
void resolv_watch(struct networks *ns);
/* May this event on ns->inotify mean that resolv.conf changed? */
bool resolv_is_meant(const struct networks *ns, int handle, const char *file);
void resolv_changed(struct networks *ns); /* for all networks that are up */

/* door.c */
/* moved: called when it is shut for this network, or could not be. */
void door_init(struct networks *ns, const char *run_dir,
	void (*moved)(struct network *n, const struct err *e));
void door_need(struct networks *ns); /* shuts it if open; network_door_moved() follows */
/* A network or tap is gone: opens the door if that was the last. */
void door_leave(struct networks *ns);
void door_repair(struct networks *ns); /* sets or removes the table, whatever its recorded state */
/* Adds the table to a network's rules; then door_loaded(). */
void door_put(struct networks *ns, struct buf *text);
void door_loaded(struct networks *ns);
void door_not_loaded(struct networks *ns); /* nft could not even be started */
/* If this network is the last, adds the table's removal to text: true, then door_taken()
 * follows. */
bool door_take(struct network *n, struct buf *text);
void door_taken(struct networks *ns, const struct err *e);
void door_mark(struct networks *ns); /* writes the mark again: it may have been deleted */
void door_release(struct networks *ns);

/* claims.c */
void claim_remove(struct networks *ns, struct claim *c);
/* Replaces the claim's data by what the NIC asks for; does not change its attachment. */
void claim_fill(struct claim *c, const struct network_nic *nic);
/* May it have what it asks for? Chooses an address. key: the NIC's key at fault. */
int claim_check(struct networks *ns, struct claim *c, const char **key, struct err *e);

/* nic.c */
char *nic_alias(const char *vm, const char *nic); /* of its tap: "vmkeep:VM:NIC" */

/* ports.c */
typedef int port_fn(struct networks *ns, const struct claim *c, const struct tap *tap, int bridge,
	unsigned mtu, struct err *e);
port_fn port_enslave, port_join_again;
void network_join_all(struct network *n);  /* after the bridge was remade */
void network_taps_down(struct network *n); /* before the bridge goes */
/* Attaches NICs to their foreign bridges again, where those are. */
void ports_repair_foreign(struct networks *ns);
/* Is there a problem with its taps, for health? */
bool network_tap_trouble(const struct network *n, char *out, size_t len);

/* hosts.c */
/* Creates missing directories, removes nothing. *created: they were missing, so no dnsmasq watches
 * them. */
int host_dirs_make(const struct network *n, bool *created, struct err *e);
int host_lines_write(const struct network *n, struct err *e); /* those missing or wrong */
int host_line_write(const struct network *n, const struct claim *c, struct err *e);
void host_line_remove(struct network *n, const struct claim *c);

/* watch.c */
int watch_start(struct networks *ns, void (*settled)(void *ns), struct err *e);
void watch_stop(struct networks *ns);
/* Watches our own files for removal; call again after they were recreated. */
void networks_watch_files(struct networks *ns);
void network_watch_files(const struct network *n);

/* leases.c */
void leases_read(struct network *n);
/* Chooses the file, and makes dnsmasq its owner. */
int leases_place(struct network *n, struct err *e);
/* dnsmasq runs, and the file that it writes to is gone: recreates it with the old content. True:
 * dnsmasq does not see the new one, so it must be restarted. */
bool leases_rescue(struct network *n);
/* The holder of this MAC is gone for good: others may have the address. */
void leases_end(struct network *n, const uint8_t mac[ETH_ALEN]);
const struct dnsmasq_lease *leases_by_mac(const struct network *n, const uint8_t mac[ETH_ALEN]);
const struct dnsmasq_lease *leases_by_address(const struct network *n, uint32_t address);
bool claim_seen(const struct claim *c, const struct dnsmasq_lease *l);

#endif
