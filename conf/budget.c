/* SPDX-License-Identifier: MIT */
#include "conf/budget.h"

#include "base/buf.h"
#include "base/text.h"
#include "conf/order.h"

enum { NAMES_SHOWN = 5, TIME_TEXT = 32 };

struct budget {
	const struct conf_daemon *d;
	const struct conf_vm *const *vm;
	size_t n;
	budget_row_fn *tell;
	void *data;
	struct conf_place place; /* of TimeoutSec=, or the file where it would be */
};

/* "write TimeoutSec=10min below [Shutdown] in vmkeep.conf, or ..."; more than a day is not a
 * valid value. */
static void budget_hint(uint64_t wanted, const char *or_else, struct buf *hint)
{
	char time[TIME_TEXT];

	buf_adds(hint, "write ");
	if (wanted <= CONF_SHUTDOWN_MAX_MS)
		buf_printf(hint, "TimeoutSec=%s below [Shutdown] in vmkeep.conf, or ",
			text_time_exact(time, sizeof time, wanted));
	buf_adds(hint, or_else);
}

/* --- each VM by itself --- */

static bool budget_is_short(const struct budget *b, const struct conf_vm *c)
{
	return c->timeout_stop_ms > b->d->shutdown_ms;
}

static void budget_own(const struct budget *b, const struct conf_vm *c)
{
	char time[TIME_TEXT], all[TIME_TEXT];
	struct buf reason = BUF_INIT, hint = BUF_INIT;

	text_time_exact(time, sizeof time, c->timeout_stop_ms);
	text_time_exact(all, sizeof all, b->d->shutdown_ms);
	buf_printf(&reason,
		"%s is more than the %s that all guests together have when the host shuts down ([Shutdown] TimeoutSec= in "
		"vmkeep.conf): the guest would be killed",
		time, all);
	budget_hint(c->timeout_stop_ms, "a shorter time here", &hint);
	b->tell(b->data, &c->stop_place, "TimeoutStopSec", reason.data, hint.data);
	buf_release(&reason);
	buf_release(&hint);
}

/* All VMs whose own files do not set the key share the default and get one row. */
static void budget_defaults(const struct budget *b, const char *only)
{
	struct buf names = BUF_INIT, reason = BUF_INIT, hint = BUF_INIT;
	const struct conf_vm *first = NULL;
	char time[TIME_TEXT], all[TIME_TEXT];
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct conf_vm *c = b->vm[i];

		if (!budget_is_short(b, c) || c->stop_written || (only && !streq(only, c->name)))
			continue;
		first = first ? first : c;
		if (n++ < NAMES_SHOWN)
			buf_printf(&names, "%s%s", n > 1 ? ", " : "", c->name);
	}
	if (!first)
		return;
	if (n > NAMES_SHOWN)
		buf_printf(&names, " and %zu more", n - NAMES_SHOWN);
	text_time_exact(time, sizeof time, first->timeout_stop_ms);
	text_time_exact(all, sizeof all, b->d->shutdown_ms);
	buf_printf(&reason,
		"%s for all guests together, when the host shuts down, is less than the %s of TimeoutStopSec= that apply "
		"unless a VM's file says otherwise: %s would be killed",
		all, time, names.data);
	budget_hint(first->timeout_stop_ms, "a shorter Lifecycle.TimeoutStopSec= below [Defaults]",
		&hint);
	b->tell(b->data, &b->place, "TimeoutSec", reason.data, hint.data);
	buf_release(&names);
	buf_release(&reason);
	buf_release(&hint);
}

/* --- chains: one VM after the other --- */

struct chains {
	struct order_vm *vm;
	uint64_t *down, *before; /* from order_times() and order_times_before() */
	size_t n;
};

static void budget_chains_init(struct chains *c, const struct budget *b)
{
	*c = (struct chains){ .n = b->n };
	c->vm = xcalloc(b->n + 1, sizeof *c->vm);
	c->down = xcalloc(b->n + 1, sizeof *c->down);
	c->before = xcalloc(b->n + 1, sizeof *c->before);
	for (size_t i = 0; i < b->n; i++)
		c->vm[i] = (struct order_vm){ b->vm[i]->name, &b->vm[i]->after, &b->vm[i]->requires,
			b->vm[i]->timeout_stop_ms };
	order_times(c->vm, c->n, c->down);
	order_times_before(c->vm, c->n, c->before);
}

static void budget_chains_release(struct chains *c)
{
	free(c->vm);
	free(c->down);
	free(c->before);
}

/* The VM that stops right before this one in the longest chain; n: none. */
static size_t budget_chains_above(const struct chains *c, size_t i)
{
	for (size_t k = 0; k < c->n; k++)
		if (k != i && order_follows(&c->vm[k], c->vm[i].name) &&
			c->before[i] - c->before[k] == c->vm[k].stop_ms)
			return k;
	return c->n;
}

/* "web -> app -> db": everything that stops before it, it, and everything after. Returns the
 * length, and the first VM in *first. */
static size_t budget_chains_text(const struct chains *c, size_t i, struct buf *text, size_t *first)
{
	struct buf above = BUF_INIT, longer = BUF_INIT;
	size_t members = 0;

	*first = i;
	for (size_t k = budget_chains_above(c, i); k < c->n && members < c->n;
		k = budget_chains_above(c, k), members++) {
		buf_printf(&longer, "%s -> %s", c->vm[k].name, above.data ? above.data : "");
		buf_release(&above);
		above = longer;
		longer = (struct buf)BUF_INIT;
		*first = k;
	}
	buf_adds(text, above.data ? above.data : "");
	buf_release(&above);
	return members + order_chain(c->vm, c->n, c->down, i, text);
}

static void budget_chains_tell(const struct budget *b, const struct chains *c, size_t i, bool one)
{
	uint64_t total = c->before[i] + c->down[i];
	struct buf chain = BUF_INIT, reason = BUF_INIT, hint = BUF_INIT;
	char time[TIME_TEXT], all[TIME_TEXT];
	size_t first, members = budget_chains_text(c, i, &chain, &first);
	const struct conf_vm *place = b->vm[one && b->vm[i]->order_place.file ? i : first];

	if (members > 1) {
		text_time_exact(time, sizeof time, total);
		text_time_exact(all, sizeof all, b->d->shutdown_ms);
		buf_printf(&reason,
			"%s may take %s, one after the other, when the host shuts down, but all guests together have %s "
			"([Shutdown] TimeoutSec= in vmkeep.conf): not all would get their whole TimeoutStopSec=",
			chain.data, time, all);
		budget_hint(total, "shorter TimeoutStopSec= in their files", &hint);
		b->tell(b->data, &place->order_place, place->after.n ? "After" : "Requires",
			reason.data, hint.data);
	}
	buf_release(&chain);
	buf_release(&reason);
	buf_release(&hint);
}

/* Cycles are errors of their own, and a VM without a limit has been reported already. */
static bool budget_chains_counts(const struct budget *b, const struct chains *c, size_t i)
{
	uint64_t total =
		c->before[i] > UINT64_MAX - c->down[i] ? UINT64_MAX : c->before[i] + c->down[i];

	return total != UINT64_MAX && total > b->d->shutdown_ms && total > c->vm[i].stop_ms &&
	       !order_ring(c->vm, c->n, i, NULL);
}

static void budget_chains(const struct budget *b, const char *only)
{
	struct chains c;
	size_t longest = b->n;

	budget_chains_init(&c, b);
	for (size_t i = 0; i < b->n; i++)
		if ((only ? streq(only, b->vm[i]->name) : !c.before[i]) &&
			budget_chains_counts(b, &c, i) &&
			(longest == b->n || c.down[i] > c.down[longest]))
			longest = i;
	if (longest < b->n)
		budget_chains_tell(b, &c, longest, only);
	budget_chains_release(&c);
}

void budget_check(const struct conf_daemon *d, const struct conf_vm *const *vm, size_t n,
	const char *only, budget_row_fn *tell, void *data)
{
	struct budget b = { d, vm, n, tell, data, d->shutdown_place };

	if (!b.place.file)
		b.place.file = "vmkeep.conf";
	for (size_t i = 0; i < n; i++)
		if (budget_is_short(&b, vm[i]) && vm[i]->stop_written &&
			(!only || streq(only, vm[i]->name)))
			budget_own(&b, vm[i]);
	budget_defaults(&b, only);
	budget_chains(&b, only);
}
