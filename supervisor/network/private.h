/* SPDX-License-Identifier: MIT */
/*
 * supervisor/network/private.h - what the files of this folder share
 *
 * One network goes DOWN -> RAISING -> UP -> STOPPING -> DOWN; a raise that fails goes through
 * STOPPING too, so that there is one way of undoing. Only state.c writes the state.
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
		*leases_run;	  /* STATE/networks/NAME.leases; where that cannot be, RUN's */
	const char *lease_file;	  /* the one of both that is used */
	char *leases_problem;	  /* why it is RUN's, or NULL */
	struct conf_network conf; /* fully defaulted, also when it never parsed */
	uint64_t stamp;		  /* of the file */
	uint64_t raised_stamp;	  /* of the file that it was raised by, 0: not known */
	bool has_file, parsed;
	char *broken; /* the problems of a file that never parsed, or NULL */
	enum network_state state;
	struct net_choice choice; /* remembered in STATE/networks/NAME.json */
	uid_t uid;		  /* dnsmasq's, remembered there too; 0: none yet */
	struct net_plan plan;	  /* what stands; steps: what is ours to undo */
	bool dns;		  /* dnsmasq answers DNS: wished, and the port was free */
	int bridge_index;	  /* 0: none */
	struct nft_run *nft;
	bool table_left; /* nft failed to remove it: the next raise replaces it */
	struct dnsmasq dnsmasq;
	struct err failure;	     /* of the raise that is being undone */
	struct dnsmasq_lease *lease; /* by MAC */
	size_t leases;
	bool leases_changed;
	struct network_wait *waits;
};

struct network_wait {
	struct network_wait *next;
	struct network_wait **list; /* that it is in: a network's, the door's, or those answered */
	struct networks *ns;
	bool up; /* for it to stand, else for it to be gone */
	struct err result;
	network_done_fn *done;
	void *data;
	struct loop_task answer;
};

struct claim { /* a NIC, also of a VM whose file is gone */
	struct claim *next;
	char *vm, *nic, *hostname;
	char *network; /* NULL: a foreign bridge */
	char *bridge;
	uint8_t mac[ETH_ALEN];
	uint32_t address; /* 0: none yet */
	bool fixed, link;
	bool attached;
	struct tap tap;		 /* from its making until the NIC leaves */
	struct network *on;	 /* while there is a tap and it is not for a foreign bridge */
	uint64_t expires_before; /* of the lease that was there before it was attached */
};

/* Open: the table is not known to be there. */
enum door_state { DOOR_OPEN, DOOR_SHUTTING, DOOR_SHUT, DOOR_OPENING };

struct door {
	enum door_state state;
	bool marked;			 /* by RUN/networks/door */
	char table[HOST_PREFIX_MAX + 8]; /* no network's: those begin with "vmkeep_" */
	struct nft_run *nft;
	struct network_wait *waits; /* of NICs on foreign bridges */
	void (*moved)(struct network *n, const struct err *e);
	const struct network *taker; /* whose nft removes the table */
};

struct networks {
	struct ev_loop *ev;
	struct networks_dirs dirs;
	char *state, *run;	     /* the networks folders there */
	char owner[HOST_PREFIX_MAX]; /* in the aliases of our bridges, see net_alias() */
	struct dnsmasq_seen *seen;   /* while networks are taken back */
	struct rtnl *rtnl;	     /* opened at first use */
	struct network *list;
	struct claim *claims;
	struct door door;
	struct nft_run *nft;	       /* under way or to come, in their order */
	struct network_wait *answered; /* waits on their way to their owner */
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
/* Subnet and pool of a network as far as they are known; false: not yet. */
bool network_pool(
	const struct network *n, uint32_t *host, unsigned *prefix, uint32_t *first, uint32_t *last);

/* registry.c */
struct network *networks_add(struct networks *ns, const char *name);
/* Any verb looks again at the file that it needs. NULL: there is no such network. */
struct network *networks_get(struct networks *ns, const char *name, struct err *e);
void networks_look(struct networks *ns); /* at all of them */
void networks_drop_all(struct networks *ns);

/* networks.c */
bool network_is_outdated(const struct network *n); /* its file says something else by now */
/* ERR_WRONG_STATE: NICs are attached. */
int network_may_stop(const struct network *n, bool force, struct err *e);

/* waits.c */
struct network_wait *wait_new(struct networks *ns, struct network_wait **list, bool up,
	network_done_fn *done, void *data); /* list: where it waits, NULL: to be answered at once */
/* Answers one, or all of a network that wait for this; from the loop, later. */
void wait_answer(struct network_wait *w, const struct err *e);
void waits_answer(struct network *n, bool up, const struct err *e);
bool waits_any(const struct network *n, bool up);

/* state.c */
void network_up(struct network *n);
void network_down(struct network *n);
/* n->plan and n->choice come from a record of this boot: makes sure all of it stands. */
void network_adopt(struct network *n, pid_t pid, uint64_t start);
bool network_stands(const struct network *n); /* its bridge, as the kernel has it now */
/* It is up: makes anew what others took away, the bridge and its address; all: rules and ip_forward too. */
void network_repair(struct network *n, bool all);
/* The door is shut, or could not be. */
void network_door_moved(struct network *n, const struct err *e);
void network_dnsmasq_event(void *data, enum dnsmasq_event event, const struct err *e);

/* nft_run.c */
/* After what was run before for the same network, "": the door, has ended. NULL on failure, then
 * done is not called. */
struct nft_run *network_run_nft(struct networks *ns, const char *whose, const char *text,
	network_done_fn *done, void *data, struct err *e);
void network_nft_cancel(struct nft_run *run); /* done is not called any more; NULL is fine */
void network_nft_end(struct networks *ns);

/* make.c */
int network_ip_forward(bool on, struct err *e);
int network_make_bridge(struct network *n, struct err *e);
/* Its bridge as it stands: by its name, else by its alias and MAC under another one. What only has the
 * name may be somebody else's. Index 0: there is none. */
int network_look(struct network *n, struct net_link *l, struct err *e);
bool network_is_ours(const struct network *n, const struct net_link *l);
void network_delete_bridge(struct network *n);
/* The bridge of another network, by its alias: of ours or of another vmkeepd. */
bool network_others_stand(const struct network *n);
/* All that its dnsmasq reads: directories, host lines, configuration. *anew: see host_dirs_make(). */
int network_write_files(struct network *n, bool *anew, struct err *e);
int network_prepare_dnsmasq(void *data, struct err *e); /* the same, before it starts */
/* Run nft; done is called once from the loop, and sets n->nft to NULL. */
int network_load_rules(struct network *n, network_done_fn *done, struct err *e);
int network_drop_rules(struct network *n, network_done_fn *done, struct err *e);

/* Chooses a uid for its dnsmasq, or keeps the one it has as long as that is nobody else's. stands: its dnsmasq may
 * run, with one that another daemon's may have too. True: it is another one, and the choice is to be saved. */
bool network_need_uid(struct network *n, bool stands);

/* record.c: RUN/networks/NAME.json, what was made; STATE/networks/NAME.json, what was chosen */
int record_save(const struct network *n, struct err *e);
void record_remove(const struct network *n);
/* False when there is none to be used; says why in the log. *same_boot: it can still stand. */
bool record_load(struct network *n, pid_t *pid, uint64_t *start, bool *same_boot);
void choice_load(struct network *n); /* always leaves a MAC */
int choice_save(const struct network *n, struct err *e);
bool choice_stands(const struct network *n); /* there is such a file */

/* What its dnsmasq reads, all of it. True: the one that runs does not see it. */
bool network_serve_files(struct network *n);

/* adopt.c */
void networks_settled(void *ns); /* files have changed, and nothing more does */

/* resolv.c: dnsmasq's copy of the host's resolv.conf, which it does not see */
int resolv_copy(const struct network *n, struct err *e);
char *resolv_path(const struct network *n); /* caller frees */
void resolv_watch(struct networks *ns);
/* Whether this event on ns->inotify may mean another resolv.conf. */
bool resolv_is_meant(const struct networks *ns, int handle, const char *file);
void resolv_changed(struct networks *ns); /* for all that stand */

/* door.c */
/* moved: it is shut for this network, or could not be. */
void door_init(struct networks *ns, const char *run_dir,
	void (*moved)(struct network *n, const struct err *e));
void door_need(struct networks *ns);  /* is shut when its state says so, see network_door_moved() */
void door_leave(struct networks *ns); /* a network or tap is gone: opens it if that was the last */
void door_repair(struct networks *ns); /* sets or removes the table, whatever it is said to be */
void door_put(struct networks *ns, struct buf *text); /* for a network's load; then door_loaded() */
void door_loaded(struct networks *ns);
void door_not_loaded(struct networks *ns); /* nft did not even start */
/* Its removal for the network that is the last: true, then door_taken() follows. */
bool door_take(struct network *n, struct buf *text);
void door_taken(struct networks *ns, const struct err *e);
void door_mark(struct networks *ns); /* again: it may have been deleted */
void door_release(struct networks *ns);

/* claims.c */
void claim_remove(struct networks *ns, struct claim *c);

/* nic.c */
char *nic_alias(const char *vm, const char *nic); /* of its tap: "vmkeep:VM:NIC" */

/* ports.c */
typedef int port_fn(struct networks *ns, const struct claim *c, const struct tap *tap, int bridge,
	unsigned mtu, struct err *e);
port_fn port_enslave, port_join_again;
void network_join_all(struct network *n);  /* after the bridge was made anew */
void network_taps_down(struct network *n); /* before it goes */
/* What is wrong with the taps on it, in the words of health; "": nothing. */
void network_tap_trouble(const struct network *n, char *out, size_t len);

/* hosts.c */
/* Where they stand, with nothing removed. *anew: they were not there, so no dnsmasq looks at them. */
int host_dirs_make(const struct network *n, bool *anew, struct err *e);
int host_lines_write(const struct network *n, struct err *e); /* those that are missing or wrong */
int host_line_write(const struct network *n, const struct claim *c, struct err *e);
void host_line_remove(struct network *n, const struct claim *c);

/* watch.c */
int watch_start(struct networks *ns, void (*settled)(void *ns), struct err *e);
void watch_stop(struct networks *ns);
/* Whether our own files are taken away; again after they were made again. */
void networks_watch_files(struct networks *ns);
void network_watch_files(const struct network *n);

/* leases.c */
void leases_read(struct network *n);
/* Chooses the file, and makes it dnsmasq's own. */
int leases_place(struct network *n, struct err *e);
/* dnsmasq runs, and the file that it writes to is not there any more: it is again, with what was in it.
 * True: dnsmasq does not see that one, so it must be started again. */
bool leases_rescue(struct network *n);
const struct dnsmasq_lease *leases_by_mac(const struct network *n, const uint8_t mac[ETH_ALEN]);
const struct dnsmasq_lease *leases_by_address(const struct network *n, uint32_t address);
bool claim_seen(const struct claim *c, const struct dnsmasq_lease *l);

#endif
