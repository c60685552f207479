/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/account.h - what each local user holds of the daemon, and how much that may be
 *
 * One account per uid, for as long as anything of that user lives: a hold per descriptor of a
 * client (a connection, later perhaps a stream), requests and jobs under way. Holds are counted in
 * number and in bytes of memory, per user and over all users; root's count in neither sum and are
 * never refused, but root's slow readers are bounded as well. Whoever holds most pays: where a
 * bound on bytes is passed, the largest hold of that user (of all users, for the sum) is evicted.
 */
#ifndef SUPERVISOR_CORE_ACCOUNT_H
#define SUPERVISOR_CORE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "supervisor/api/api.h"

enum {
	ACCOUNTS_BYTES_MAX = 5 << 20, /* of all users but root together */
	ACCOUNTS_PROGRAMS_MAX = 4,    /* requests that run a program, of all users but root */
};

/* What one user may hold, by the role in which it is asked for. */
struct account_bounds {
	unsigned streams;  /* connections that became a stream */
	unsigned requests; /* under way */
	unsigned programs; /* those of them that run a program */
	unsigned jobs;	   /* under way */
	unsigned vm_jobs;  /* under way for one VM, whoever began them */
	size_t bytes;
};
const struct account_bounds *account_bounds(enum api_role role);

struct accounts {
	struct account *first;
	unsigned clients_max, clients_per_user_max; /* MaxClients=, MaxClientsPerUser= */
	/* of all users but root */
	unsigned clients, programs;
	size_t bytes;
	void (*program_ended)(void *data); /* there may be a place for another; may be NULL */
	void *data;
	size_t most; /* bytes of all, root's too, since memory was last given back to the kernel */
	size_t all;
};

struct account {
	struct accounts *accounts;
	struct account *next;
	unsigned refs;
	uid_t uid;
	bool is_root;
	unsigned clients, streams, requests, programs, jobs;
	size_t bytes;
	struct hold *hold;
};

/* is_root: not counted and not refused. */
struct account *account_of(struct accounts *as, uid_t uid, bool is_root);
struct account *account_ref(struct account *a);
void account_unref(struct account *a); /* NULL is fine */

/* Other memory from now on, of no hold: parsed requests, which may outlive their connection. */
void account_change(struct account *a, size_t from, size_t to);

/* ERR_NO_RESOURCES with the bound. One request more; the caller counts it. */
int account_may_request(const struct account *a, enum api_role role, struct err *e);
/* One job more, for a VM that has vm_jobs of them. */
int account_may_work(const struct account *a, enum api_role role, const char *vm, unsigned vm_jobs,
	struct err *e);
/* One program more; false: later. */
bool account_may_run(const struct account *a, enum api_role role);
void account_program(struct account *a, int more); /* 1 or -1 */

/* --- one descriptor of a client --- */

struct hold {
	struct account *account;
	struct hold *prev, *next; /* of the account */
	enum api_role role;
	size_t bytes;
	bool is_stream;
	/* Closes the descriptor and frees what is held for it, now or soon. Called once at most;
	 * may free the hold. */
	void (*evict)(void *data, const struct err *e);
	void *data;
};

/* ERR_NO_RESOURCES names the key. A client with a role may take the place of one with a lesser
 * role, of the user with most of them. */
int account_may_connect(struct account *a, enum api_role role, struct err *e);
struct hold *hold_new(struct account *a /* ref taken */, enum api_role role,
	void (*evict)(void *data, const struct err *e), void *data);
void hold_free(struct hold *h); /* NULL is fine */
/* The connection becomes a stream: ERR_NO_RESOURCES when the user has as many as may be. */
int hold_may_stream(const struct hold *h, struct err *e);
void hold_stream(struct hold *h, void (*evict)(void *data, const struct err *e), void *data);
/* So many bytes are held for it now. May evict holds, this one too. */
void hold_set(struct hold *h, size_t bytes);

#endif
