/* SPDX-License-Identifier: MIT */
/* When what is too old is removed from the trash of each store. */
#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"
#include "supervisor/make/trash_private.h"

static const double PRUNE_SECONDS = 120, HOUR_SECONDS = 3600, DAY_SECONDS = 86400;

struct trash_pruner {
	struct daemon *daemon;
	double wall, boot; /* what the clocks said up to a day ago, or at the daemon's start */
	struct loop_timer timer;
	struct child *child;
	size_t next; /* store: 0 is the image directory */
	char *dir;   /* of the one that the child looks at */
};

/* The wall clock may be wrong, above all while a host starts, and what is removed is gone: it counts
 * only as far as time has passed since it was read before. If it was set, it is believed a day
 * later. */
static double trash_clock(struct trash_pruner *p)
{
	double wall = clock_wall(), passed = clock_boot() - p->boot, believed;

	believed = p->wall + passed < wall ? p->wall + passed : wall;
	if (passed >= DAY_SECONDS) {
		p->wall = wall;
		p->boot += passed;
	}
	return believed;
}

double trash_now(struct trash_pruner *p)
{
	const double wall = clock_wall(), kept = p->wall + clock_boot() - p->boot;

	return kept > wall ? kept : wall;
}

int64_t trash_old(struct trash_pruner *p)
{
	return (int64_t)(trash_clock(p) - TRASH_DAYS * DAY_SECONDS);
}

/* --- the stores, one after the other: one that is lost must not keep the others from it --- */

static void trash_prune_next(struct trash_pruner *p);

static void trash_on_pruned(void *data, const struct child_result *c)
{
	struct trash_pruner *p = data;
	_cleanup_(free_ptr) char *said = text_escape(c->err, strcspn(c->err, "\n"), false);

	p->child = NULL;
	if (c->status)
		log_warning(NULL, "remove what is old from the trash of '%s': %s", p->dir,
			*said ? said : "the child was killed");
	trash_prune_next(p);
}

/* NULL: nothing is removed there. */
static const char *trash_prune_dir(const struct daemon *d, size_t store)
{
	const struct conf_store *s = store ? &d->conf.store[store - 1] : NULL;

	if (!s)
		return d->image_dir;
	return trash_is_dir(s) && !s->read_only ? s->path : NULL;
}

static void trash_prune_next(struct trash_pruner *p)
{
	const struct daemon *d = p->daemon;
	_cleanup_(free_ptr) char *before = xasprintf("%lld", (long long)trash_old(p));

	while (!p->child && p->next <= d->conf.stores) {
		const char *dir = trash_prune_dir(d, p->next++);
		const char *const argv[] = { "/proc/self/exe", "--prune-trash", before, dir, NULL };
		const struct child_options o = { .argv = argv,
			.timeout = PRUNE_SECONDS,
			.while_idle = true,
			.done = trash_on_pruned,
			.data = p };

		if (!dir)
			continue;
		free(p->dir);
		p->dir = xstrdup(dir);
		p->child = child_run(d->loop.ev, &o, NULL);
	}
}

void trash_prune(struct trash_pruner *p)
{
	p->next = 0;
	trash_prune_next(p);
	loop_timer_start(&p->timer, DAY_SECONDS);
}

static void trash_on_timer(void *data)
{
	trash_prune(data);
}

struct trash_pruner *trash_pruner_new(struct daemon *d)
{
	struct trash_pruner *p = xcalloc(1, sizeof *p);

	p->daemon = d;
	p->wall = clock_wall();
	p->boot = clock_boot();
	loop_timer_init(&p->timer, d->loop.ev, trash_on_timer, p);
	loop_timer_start(&p->timer, HOUR_SECONDS); /* until then, the clock has been set */
	return p;
}

void trash_pruner_free(struct trash_pruner *p)
{
	if (!p)
		return;
	loop_timer_stop(&p->timer);
	child_cancel(p->child);
	free(p->dir);
	free(p);
}
