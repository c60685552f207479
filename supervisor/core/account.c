/* SPDX-License-Identifier: MIT */
#include "supervisor/core/account.h"

#include <assert.h>
#include <limits.h>
#include <malloc.h>

#include "base/log.h"
#include "base/mem.h"

enum { GIVE_BACK = 1 << 20 }; /* bytes; see account_give_back() */

/* clang-format off */
static const struct account_bounds bounds[] = {
	/*			streams	  requests  programs  jobs	VM's jobs  bytes */
	[API_ROLE_NONE]	    = { 8,	  64,	    2,	      64,	16,	   512 << 10 },
	[API_ROLE_VIEW]	    = { 8,	  64,	    2,	      64,	16,	   1 << 20 },
	[API_ROLE_CREATE]   = { 32,	  256,	    2,	      64,	16,	   1 << 20 },
	[API_ROLE_OWNER]    = { 8,	  64,	    2,	      64,	16,	   512 << 10 },
	[API_ROLE_OPERATOR] = { UINT_MAX, 256,	    3,	      256,	32,	   2 << 20 },
	[API_ROLE_ROOT]	    = { UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX, UINT_MAX,  4 << 20 },
};
/* clang-format on */
static_assert(ARRAY_SIZE(bounds) == API_ROLES, "a role has no bounds");

const struct account_bounds *account_bounds(enum api_role role)
{
	return &bounds[role];
}

/* --- accounts ---------------------------------------------------------------------------- */

struct account *account_of(struct accounts *as, uid_t uid, bool is_root)
{
	struct account *a;

	for (a = as->first; a; a = a->next)
		if (a->uid == uid)
			return account_ref(a);
	a = xcalloc(1, sizeof *a);
	a->accounts = as;
	a->refs = 1;
	a->uid = uid;
	a->is_root = is_root;
	a->next = as->first;
	as->first = a;
	return a;
}

struct account *account_ref(struct account *a)
{
	a->refs++;
	return a;
}

void account_unref(struct account *a)
{
	if (!a || --a->refs)
		return;
	for (struct account **p = &a->accounts->first; *p; p = &(*p)->next)
		if (*p == a) {
			*p = a->next;
			break;
		}
	free(a);
}

/* --- memory ------------------------------------------------------------------------------ */

/* malloc returns freed memory to the kernel only when asked. Done once GIVE_BACK bytes were held
 * and three quarters of them were freed. */
static void account_give_back(struct accounts *as)
{
	as->most = as->all > as->most ? as->all : as->most;
	if (as->most < GIVE_BACK || as->all > as->most / 4)
		return;
	as->most = as->all;
	malloc_trim(0);
}

void account_change(struct account *a, size_t from, size_t to)
{
	struct accounts *as = a->accounts;

	a->bytes += to - from;
	as->all += to - from;
	if (!a->is_root)
		as->bytes += to - from;
	account_give_back(as);
}

static struct hold *account_largest(const struct account *a)
{
	struct hold *most = NULL;

	for (struct hold *h = a->hold; h; h = h->next)
		if (h->evict && (!most || h->bytes > most->bytes))
			most = h;
	return most;
}

static void account_evict(struct hold *h, const struct err *e)
{
	void (*evict)(void *, const struct err *) = h->evict;

	h->evict = NULL;
	evict(h->data, e);
}

/* False: nothing to gain. */
static bool account_evict_largest(const struct account *a, const char *whose, size_t max)
{
	struct hold *h = account_largest(a);
	bool gain = h && h->bytes > 0;
	struct err e = ERR_INIT;

	if (!h)
		return false;
	err_set(&e, ERR_NO_RESOURCES, "%s hold more than %zu bytes of the daemon's memory", whose,
		max);
	err_hint(&e, "read the replies, or request less at a time");
	log_debug(NULL, "control: uid %u: %s", a->uid, e.text);
	account_evict(h, &e);
	return gain;
}

static struct account *account_richest(const struct accounts *as)
{
	struct account *most = NULL;

	for (struct account *a = as->first; a; a = a->next)
		if (!a->is_root && (!most || a->bytes > most->bytes))
			most = a;
	return most;
}

static void account_enforce(struct account *a, size_t max)
{
	struct accounts *as = a->accounts;

	account_ref(a);
	while (a->bytes > max && account_evict_largest(a, "this user's connections", max))
		;
	while (as->bytes > ACCOUNTS_BYTES_MAX && account_richest(as) &&
		account_evict_largest(account_richest(as), "all clients", ACCOUNTS_BYTES_MAX))
		;
	account_unref(a);
}

/* --- work under way ---------------------------------------------------------------------- */

int account_may_request(const struct account *a, enum api_role role, struct err *e)
{
	const struct account_bounds *b = &bounds[role];

	if (a->requests >= b->requests)
		err_set(e, ERR_NO_RESOURCES, "%u requests of uid %u are under way", a->requests,
			a->uid);
	else if (a->bytes > b->bytes)
		err_set(e, ERR_NO_RESOURCES, "uid %u holds %zu bytes of the daemon's memory",
			a->uid, a->bytes);
	else
		return 0;
	return err_hint(e, "wait for the earlier ones to be answered");
}

int account_may_work(const struct account *a, enum api_role role, const char *vm, unsigned vm_jobs,
	struct err *e)
{
	const struct account_bounds *b = &bounds[role];

	if (vm_jobs >= b->vm_jobs)
		err_set(e, ERR_NO_RESOURCES, "%u jobs for '%s' are under way", vm_jobs, vm);
	else if (a->jobs >= b->jobs)
		err_set(e, ERR_NO_RESOURCES, "%u jobs of uid %u are under way", a->jobs, a->uid);
	else
		return 0;
	return err_hint(e, "vmkeep jobs shows them; wait for them, or cancel some");
}

bool account_may_run(const struct account *a, enum api_role role)
{
	return a->is_root || (a->programs < bounds[role].programs &&
				     a->accounts->programs < ACCOUNTS_PROGRAMS_MAX);
}

void account_program(struct account *a, int more)
{
	struct accounts *as = a->accounts;

	a->programs += (unsigned)more;
	if (!a->is_root)
		as->programs += (unsigned)more;
	if (more < 0 && as->program_ended)
		as->program_ended(as->data);
}

/* --- descriptors of clients -------------------------------------------------------------- */

static bool account_is_lesser(const struct hold *h, const struct hold *than, enum api_role role)
{
	if (!than || h->role != than->role)
		return h->role < (than ? than->role : role);
	return h->account->clients > than->account->clients;
}

/* The hold with the lowest role below this one, and among those, of the user with the most
 * clients. */
static struct hold *account_lesser(const struct accounts *as, enum api_role role)
{
	struct hold *found = NULL;

	for (const struct account *a = as->first; a; a = a->next)
		for (struct hold *h = a->hold; h; h = h->next)
			if (h->evict && account_is_lesser(h, found, role))
				found = h;
	return found;
}

int account_may_connect(struct account *a, enum api_role role, struct err *e)
{
	const struct accounts *as = a->accounts;
	struct err why = ERR_INIT;
	struct hold *lesser;

	if (a->is_root)
		return 0;
	if (a->clients >= as->clients_per_user_max) {
		err_set(e, ERR_NO_RESOURCES, "too many clients of uid %u, %u are connected", a->uid,
			a->clients);
		return err_hint(e, "MaxClientsPerUser= in vmkeep.conf");
	}
	if (as->clients < as->clients_max)
		return 0;
	lesser = account_lesser(as, role);
	if (!lesser) {
		err_set(e, ERR_NO_RESOURCES, "too many clients, %u are connected", as->clients);
		return err_hint(e, "MaxClients= in vmkeep.conf");
	}
	err_set(&why, ERR_NO_RESOURCES, "too many clients: another client needs the slot");
	account_evict(lesser, &why);
	return 0;
}

struct hold *hold_new(struct account *a, enum api_role role,
	void (*evict)(void *data, const struct err *e), void *data)
{
	struct hold *h = xcalloc(1, sizeof *h);

	h->account = account_ref(a);
	h->role = role;
	h->evict = evict;
	h->data = data;
	h->next = a->hold;
	if (h->next)
		h->next->prev = h;
	a->hold = h;
	a->clients++;
	a->accounts->clients += !a->is_root;
	return h;
}

void hold_free(struct hold *h)
{
	struct account *a = h ? h->account : NULL;

	if (!h)
		return;
	if (h->prev)
		h->prev->next = h->next;
	else
		a->hold = h->next;
	if (h->next)
		h->next->prev = h->prev;
	a->clients--;
	a->streams -= h->is_stream;
	a->accounts->clients -= !a->is_root;
	account_change(a, h->bytes, 0);
	account_unref(a);
	free(h);
}

int hold_may_stream(const struct hold *h, struct err *e)
{
	const struct account *a = h->account;

	if (a->streams < bounds[h->role].streams)
		return 0;
	err_set(e, ERR_NO_RESOURCES, "too many streams of uid %u, %u are open", a->uid, a->streams);
	return err_hint(e, "members of the group vmkeep may have as many as MaxClientsPerUser=");
}

void hold_stream(struct hold *h, void (*evict)(void *data, const struct err *e), void *data)
{
	h->account->streams += !h->is_stream;
	h->is_stream = true;
	/* an evicted hold stays evicted */
	if (h->evict)
		h->evict = evict;
	h->data = data;
}

void hold_set(struct hold *h, size_t bytes)
{
	struct account *a = h->account;
	bool more = bytes > h->bytes;

	account_change(a, h->bytes, bytes);
	h->bytes = bytes;
	if (more && h->evict)
		account_enforce(a, bounds[h->role].bytes);
}
