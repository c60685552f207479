/* SPDX-License-Identifier: MIT */
#include "supervisor/verbs/quota.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/control/peer.h"
#include "supervisor/vm/vms.h"

static struct quota_claim *claims;

static struct quota_use quota_use_of(const struct conf_vm *c)
{
	struct quota_use u = { 1, c->cpus, c->memory > c->memory_max ? c->memory : c->memory_max,
		0 };

	for (size_t i = 0; i < c->disks; i++)
		u.disk += c->disk[i].size;
	return u;
}

static void quota_add(struct quota_use *to, const struct quota_use *u)
{
	to->vms += u->vms;
	to->cpus += u->cpus;
	to->memory += u->memory;
	to->disk += u->disk;
}

void quota_claim(struct quota_claim *q, enum api_role role, struct peer *peer, const char *vm,
	const struct conf_vm *to)
{
	if (role >= API_ROLE_OPERATOR)
		return;
	*q = (struct quota_claim){ claims, vm, peer_ref(peer), quota_use_of(to) };
	claims = q;
}

void quota_release(struct quota_claim *q)
{
	struct quota_claim **p = &claims;

	while (*p && *p != q)
		p = &(*p)->next;
	if (!*p)
		return;
	*p = q->next;
	peer_unref(q->peer);
	q->peer = NULL;
}

static bool quota_is_owner(const struct peer *peer, const struct conf_list *owner)
{
	for (size_t i = 0; i < owner->n; i++)
		if (*owner->item[i] != '@' && peer_is(peer, owner->item[i]))
			return true;
	return false;
}

static bool quota_is_claimed(const char *vm)
{
	for (const struct quota_claim *q = claims; q; q = q->next)
		if (streq(q->vm, vm))
			return true;
	return false;
}

/* All that the user owns, except for one VM. */
static struct quota_use quota_sum(struct vms *vms, const struct peer *peer, const char *but)
{
	struct quota_use sum = { 0 }, u;

	vms_refresh(vms);
	for (size_t i = 0; i < vms->n; i++) {
		const struct vm *vm = vms->vm[i];

		if (streq(vm->name, but) || quota_is_claimed(vm->name) ||
			!quota_is_owner(peer, &vm->file.conf.owner))
			continue;
		u = quota_use_of(&vm->file.conf);
		quota_add(&sum, &u);
	}
	sum.disk += quota_trash(vms->daemon, peer);
	for (const struct quota_claim *q = claims; q; q = q->next)
		if (q->peer->uid == peer->uid && !streq(q->vm, but))
			quota_add(&sum, &q->use);
	return sum;
}

static void quota_text(char text[32], uint64_t n, bool counts)
{
	if (counts)
		snprintf(text, 32, "%" PRIu64, n);
	else
		text_size(text, 32, n);
}

/* One bound: `of` is asked for, beside `others`; before it was `was`. */
static int quota_bound(
	const struct conf_quota *q, const char *key, const uint64_t n[4], struct err *e)
{
	const uint64_t bound = n[0], others = n[1], of = n[2], was = n[3];
	const bool counts = streq(key, "CPUs");
	char has[32], asks[32], may[32];

	if (!bound || of <= was || (others <= bound && of <= bound - others))
		return 0;
	if (streq(key, "VMs"))
		return err_set(e, ERR_NO_RESOURCES,
			"the quota does not allow it: VMs=%" PRIu64
			" in [Quota %s], and there are %" PRIu64,
			bound, q->id, others);
	quota_text(may, bound, counts);
	quota_text(asks, of, counts);
	quota_text(has, others, counts);
	return err_set(e, ERR_NO_RESOURCES,
		"the quota does not allow it: %s=%s in [Quota %s]; this VM has %s, the user's others%s %s",
		key, may, q->id, asks, streq(key, "Disk") ? " and their trash" : "", has);
}

static int quota_check_one(const struct conf_quota *q, const struct quota_use *others,
	const struct quota_use *of, const struct quota_use *was, struct err *e)
{
	const uint64_t vms[] = { q->vms, others->vms, of->vms, was->vms },
		       cpus[] = { q->cpus, others->cpus, of->cpus, was->cpus },
		       memory[] = { q->memory, others->memory, of->memory, was->memory },
		       disk[] = { q->disk, others->disk, of->disk, was->disk };
	int r = quota_bound(q, "VMs", vms, e);

	if (r == 0)
		r = quota_bound(q, "CPUs", cpus, e);
	if (r == 0)
		r = quota_bound(q, "Memory", memory, e);
	return r < 0 ? r : quota_bound(q, "Disk", disk, e);
}

/* In force: a user's own is in place of those of the groups. */
static bool quota_is_for(
	const struct conf_daemon *c, const struct conf_quota *q, const struct peer *peer)
{
	bool own = false;

	for (size_t i = 0; i < c->quotas; i++)
		own = own || (*c->quota[i].id != '@' && peer_is(peer, c->quota[i].id));
	return (*q->id != '@') == own && peer_is(peer, q->id);
}

bool quota_bounds_disk(const struct daemon *d, enum api_role role, const struct peer *peer)
{
	const struct conf_daemon *c = &d->conf;

	for (size_t i = 0; role < API_ROLE_OPERATOR && i < c->quotas; i++)
		if (c->quota[i].disk && quota_is_for(c, &c->quota[i], peer))
			return true;
	return false;
}

int quota_check(struct daemon *d, enum api_role role, const struct peer *peer, const char *vm,
	const struct conf_vm *from, const struct conf_vm *to, struct err *e)
{
	const struct conf_daemon *c = &d->conf;
	struct quota_use others, of, was = { 0 };
	int r = 0;

	if (role >= API_ROLE_OPERATOR)
		return 0;
	if (d->conf_problem) /* it may be about a quota */
		return err_set(e, ERR_INVALID_CONFIG, "%s", d->conf_problem);
	if (!c->quotas || !quota_is_owner(peer, &to->owner))
		return 0;
	others = quota_sum(d->vms, peer, vm);
	of = quota_use_of(to);
	if (from)
		was = quota_use_of(from);
	for (size_t i = 0; r == 0 && i < c->quotas; i++)
		if (quota_is_for(c, &c->quota[i], peer))
			r = quota_check_one(&c->quota[i], &others, &of, &was, e);
	return r;
}
