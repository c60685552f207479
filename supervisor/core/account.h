/* SPDX-License-Identifier: MIT */
/*
 * supervisor/core/account.h - what each local user holds of the daemon's resources, and the limits
 *
 * One account per uid, as long as anything of that user exists: a hold per client fd (a connection,
 * which may become a stream), pending requests and running jobs. Holds are counted by number and by
 * bytes of memory, per user and over all users. Root's holds count in neither total and are never
 * refused, but root's slow readers are limited as well. Whoever holds most pays: when a byte limit
 * is exceeded, the largest hold of that user (of all users, for the total) is evicted.
 */
#ifndef SUPERVISOR_CORE_ACCOUNT_H
#define SUPERVISOR_CORE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "supervisor/api/api.h"

enum {
	ACCOUNTS_BYTES_MAX = 5 << 20, /* of all users except root together */
	ACCOUNTS_PROGRAMS_MAX = 4,    /* requests that run a program, of all users except root */
};

/* What one user may hold, depending on the role in which it is requested. */
struct account_bounds {
	unsigned streams;  /* connections that became a stream */
	unsigned requests; /* pending */
	unsigned programs; /* pending requests that run a program */
	unsigned jobs;	   /* running */
	unsigned vm_jobs;  /* running for one VM, whoever started them */
	size_t bytes;
};
const struct account_bounds *account_bounds(enum api_role role);

struct accounts {
	struct account *first;
	unsigned clients_max, clients_per_user_max; /* MaxClients=, MaxClientsPerUser= */
	/* totals over all users except root */
	unsigned clients, programs;
	size_t bytes;
	void (*program_ended)(void *data); /* a slot may be free now; may be NULL */
	void *data;
	size_t most; /* peak of all since memory was last returned to the kernel */
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

/* is_root: neither counted nor refused. */
struct account *account_of(struct accounts *as, uid_t uid, bool is_root);
struct account *account_ref(struct account *a);
void account_unref(struct account *a); /* NULL is fine */

/* Accounts for memory that belongs to no hold: parsed requests, which may outlive their
 * connection. */
void account_change(struct account *a, size_t from, size_t to);

/* May the user make one more request? ERR_NO_RESOURCES with the limit. The caller counts it. */
int account_may_request(const struct account *a, enum api_role role, struct err *e);
/* May the user start one more job for a VM that has vm_jobs of them? */
int account_may_work(const struct account *a, enum api_role role, const char *vm, unsigned vm_jobs,
	struct err *e);
/* May the user run one more program? false: try later. */
bool account_may_run(const struct account *a, enum api_role role);
void account_program(struct account *a, int more); /* 1 or -1 */

/* --- one client fd --- */

struct hold {
	struct account *account;
	struct hold *prev, *next; /* list of the account */
	enum api_role role;
	size_t bytes;
	bool is_stream;
	/* Closes the fd and frees what is held for it, now or soon. Called at most once; may free
	 * the hold. */
	void (*evict)(void *data, const struct err *e);
	void *data;
};

/* ERR_NO_RESOURCES names the configuration key. A client may displace a client with a lower role,
 * of the user with the most clients. */
int account_may_connect(struct account *a, enum api_role role, struct err *e);
struct hold *hold_new(struct account *a /* ref taken */, enum api_role role,
	void (*evict)(void *data, const struct err *e), void *data);
void hold_free(struct hold *h); /* NULL is fine */
/* May the connection become a stream? ERR_NO_RESOURCES if the user has too many. */
int hold_may_stream(const struct hold *h, struct err *e);
void hold_stream(struct hold *h, void (*evict)(void *data, const struct err *e), void *data);
/* Sets how many bytes are held for it. May evict holds, including this one. */
void hold_set(struct hold *h, size_t bytes);

#endif
