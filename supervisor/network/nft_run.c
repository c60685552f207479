/* SPDX-License-Identifier: MIT */
/*
 * Serializes the nft runs of each network. A cancelled run may still be in the kernel, where
 * nothing can stop it, and would win: the next run starts after it has ended.
 */
#include <errno.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/network/private.h"

enum { NFT_SECONDS = 30 };

struct nft_run {
	struct nft_run *next;
	struct networks *ns;
	struct child *child; /* NULL: waits for an earlier run to end */
	struct loop_timer patience;
	char *whose, *text;
	network_done_fn *done; /* NULL: cancelled */
	void *data;
};

static void nft_run_begin_next(struct networks *ns, const char *whose);

static void nft_free(struct nft_run *run)
{
	loop_timer_stop(&run->patience);
	free(run->whose);
	free(run->text);
	free(run);
}

static void nft_unlink(struct nft_run *run)
{
	struct nft_run **at = &run->ns->nft;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
}

static struct nft_run *nft_run_first_of(struct networks *ns, const char *whose)
{
	struct nft_run *run = ns->nft;

	while (run && !streq(run->whose, whose))
		run = run->next;
	return run;
}

static void nft_run_end(struct nft_run *run, const struct err *e)
{
	nft_unlink(run);
	nft_run_begin_next(run->ns, run->whose);
	if (run->done)
		run->done(run->data, e);
	nft_free(run);
}

static void nft_run_on_patience(void *data)
{
	struct err e = ERR_INIT;

	err_set(&e, ERR_TIMEOUT, "nft was busy with earlier rules for %d s: these were not set",
		NFT_SECONDS);
	nft_run_end(data, &e);
}

int network_nft_result(const struct child_result *r, struct err *e)
{
	_cleanup_(free_ptr) char *safe = text_escape(r->err, strcspn(r->err, "\n"), false);
	char late[CHILD_LATE];

	if (r->status == -ETIMEDOUT)
		err_set(e, ERR_TIMEOUT, "nft %s: its rules are set as a whole or not at all",
			child_late(r, late));
	else if (r->status)
		err_set(e, ERR_FAILED, "nft failed: %s", safe[0] ? safe : "no error message");
	return e->number;
}

struct child *network_nft_child(struct ev_loop *ev, const char *text, bool check,
	void (*done)(void *data, const struct child_result *r), void *data, struct err *e)
{
	const char *const argv[] = { "nft", "-f", "-", check ? "-c" : NULL, NULL };
	const struct child_options o = {
		.argv = argv, .input = text, .timeout = NFT_SECONDS, .done = done, .data = data
	};
	struct child *c = child_run(ev, &o, e);

	if (!c && e->class == ERR_NOT_FOUND)
		err_hint(e, "nftables is needed: apt install nftables");
	return c;
}

static void nft_run_on_end(void *data, const struct child_result *r)
{
	struct err e = ERR_INIT;

	nft_run_end(data, network_nft_result(r, &e) < 0 ? &e : NULL);
}

static int nft_run_begin(struct nft_run *run, struct err *e)
{
	loop_timer_stop(&run->patience);
	run->child = network_nft_child(run->ns->ev, run->text, false, nft_run_on_end, run, e);
	return run->child ? 0 : e->number;
}

static void nft_run_begin_next(struct networks *ns, const char *whose)
{
	struct nft_run *run = nft_run_first_of(ns, whose);
	struct err e = ERR_INIT;

	if (run && !run->child && nft_run_begin(run, &e) < 0) {
		err_wrap(&e, err_class(&e, ERR_FAILED), "nft failed");
		nft_run_end(run, &e);
	}
}

struct nft_run *network_run_nft(struct networks *ns, const char *whose, const char *text,
	network_done_fn *done, void *data, struct err *e)
{
	struct nft_run *run = xcalloc(1, sizeof *run), **at = &ns->nft;
	bool alone = !nft_run_first_of(ns, whose);

	*run = (struct nft_run){ .ns = ns, .done = done, .data = data };
	run->whose = xstrdup(whose);
	run->text = xstrdup(text);
	loop_timer_init(&run->patience, ns->ev, nft_run_on_patience, run);
	while (*at)
		at = &(*at)->next;
	*at = run;
	if (!alone) {
		loop_timer_start(&run->patience, NFT_SECONDS);
	} else if (nft_run_begin(run, e) < 0) {
		nft_unlink(run);
		nft_free(run);
		return NULL;
	}
	return run;
}

void network_nft_cancel(struct nft_run *run)
{
	if (!run)
		return;
	run->done = NULL;
	if (run->child) {
		child_kill(run->child);
	} else {
		nft_unlink(run);
		nft_free(run);
	}
}

void network_nft_end(struct networks *ns)
{
	while (ns->nft) {
		struct nft_run *run = ns->nft;

		child_cancel(run->child);
		ns->nft = run->next;
		nft_free(run);
	}
}
