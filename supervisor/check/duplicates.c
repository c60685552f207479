/* SPDX-License-Identifier: MIT */
#include "supervisor/check/duplicates.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"
#include "supervisor/qemu/device.h"

enum kind { UUID, IMAGE, MAC, ADDRESS, TOLD, PORT, CID, KINDS };

static const struct {
	const char *key, *hint;
} kinds[] = {
	[UUID] = { "UUID",
		"remove UUID= from the copy; if the VM was renamed, remove the old file" },
	[IMAGE] = { "Path", "give each VM an image of its own, or write ReadOnly=yes in both" },
	[MAC] = { "MACAddress", "without MACAddress= each NIC has one of its own" },
	[ADDRESS] = { "Address", "without Address= each NIC has one of its own" },
	[TOLD] = { "Address", "give each VM an address of its own" },
	[PORT] = { "Port", "Port=auto takes a free one" },
	[CID] = { "CID", "CID=auto takes a free one" },
};
_Static_assert(ARRAY_SIZE(kinds) == KINDS, "a kind has no row");

struct claim {
	enum kind kind;
	const char *value;
	bool weak; /* two weak claims do not conflict */
	size_t index;
	const struct conf_place *place;
	const char *what;   /* "disk 'root'" */
	const char *listen; /* PORT: the address */
};

struct claims {
	struct arena arena;
	struct claim *claim;
	size_t n, cap;
	size_t index; /* of the current VM */
	const char *image_dir;
};

static struct claim *duplicates_add(struct claims *all, enum kind kind, const char *value,
	bool weak, const struct conf_place *place, const char *what)
{
	GROW(all->claim, all->n, all->cap);
	all->claim[all->n] = (struct claim){ kind, value, weak, all->index, place, what, NULL };
	return &all->claim[all->n++];
}

static void duplicates_add_uuid(
	struct claims *all, const struct conf_vm *c, const struct identity *id)
{
	char *uuid = arena_strdup(&all->arena, c->uuid ? c->uuid : id->uuid);

	for (char *s = uuid; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	if (*uuid)
		duplicates_add(all, UUID, uuid, !c->uuid, &c->place, "UUID");
}

static void duplicates_add_image(struct claims *all, const char *image, bool weak,
	const struct conf_disk *d, const char *what)
{
	char path[PATH_MAX];

	device_disk_path(d, image, all->image_dir, path);
	duplicates_add(all, IMAGE, arena_strdup(&all->arena, path), weak, &d->place, what);
}

/* Nothing writes to a template's disks. */
static void duplicates_add_disk(
	struct claims *all, const struct conf_vm *c, const struct conf_disk *d)
{
	const char *what = arena_printf(&all->arena, "%s '%s'", d->cdrom ? "cdrom" : "disk", d->id);

	if (!d->path)
		return;
	duplicates_add_image(all, d->path, d->read_only || d->cdrom || c->template, d, what);
	for (size_t i = 0; i < d->base.n; i++)
		duplicates_add_image(all, d->base.item[i], true, d,
			arena_printf(&all->arena, "base of %s", what));
}

/* Values chosen by the daemon are weak: it chooses again if a file claims the value. */
static void duplicates_add_nic(
	struct claims *all, const struct conf_nic *n, const struct identity *id)
{
	const struct identity_nic *known = identity_nic(id, n->id);
	const uint8_t *mac = n->mac.set ? n->mac.byte : known ? known->mac : NULL;
	const char *what = arena_printf(&all->arena, "nic '%s'", n->id);
	char address[INET_ADDRSTRLEN] = "", text[TEXT_MAC];

	if (mac)
		duplicates_add(all, MAC, arena_strdup(&all->arena, text_mac(text, mac)),
			!n->mac.set, &n->place, what);
	if (n->address)
		snprintf(address, sizeof address, "%s", n->address);
	else if (known && known->address && streq(known->network, n->network))
		inet_ntop(AF_INET, &(struct in_addr){ htonl(known->address) }, address,
			sizeof address);
	if (n->network && address[0])
		duplicates_add(all, ADDRESS,
			arena_printf(&all->arena, "%s on network '%s'", address, n->network),
			!n->address, &n->place, what);
	if (n->bridge && n->address)
		duplicates_add(all, TOLD,
			arena_printf(&all->arena, "%.*s on bridge '%s'",
				(int)strcspn(n->address, "/"), n->address, n->bridge),
			false, &n->place, what);
}

static void duplicates_add_display(struct claims *all, const struct conf_vm *c)
{
	if (c->display == CONF_DISPLAY_VNC && c->listen && !streq(c->listen, "unix") && c->port)
		duplicates_add(all, PORT,
			arena_printf(&all->arena, "port %llu", (unsigned long long)c->port), false,
			&c->place, "VNC")
			->listen = c->listen;
}

static void duplicates_add_vsock(
	struct claims *all, const struct conf_vm *c, const struct identity *id)
{
	uint32_t cid = device_cid(c, id);

	if (cid)
		duplicates_add(all, CID, arena_printf(&all->arena, "CID %u", cid), false, &c->place,
			"vsock");
}

static bool duplicates_is_any(const char *listen)
{
	return streq(listen, "0.0.0.0") || streq(listen, "::");
}

static bool duplicates_hurt(const struct claim *a, const struct claim *b)
{
	if (a->index == b->index || (a->weak && b->weak))
		return false;
	return a->kind != PORT || streq(a->listen, b->listen) || duplicates_is_any(a->listen) ||
	       duplicates_is_any(b->listen);
}

static int duplicates_by_value(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int r = x->kind < y->kind ? -1 : x->kind > y->kind;

	if (r == 0)
		r = strcmp(x->value, y->value);
	return r ? r : x->index < y->index ? -1 : x->index > y->index;
}

/* The first claim in [from, to) that conflicts with c. */
static const struct claim *duplicates_other_of(
	const struct claim *c, const struct claim *from, const struct claim *to)
{
	for (const struct claim *o = from; o < to; o++)
		if (duplicates_hurt(c, o))
			return o;
	return NULL;
}

struct pair {
	const struct claim *claim, *other;
};

static int duplicates_by_vm(const void *a, const void *b)
{
	const struct claim *x = ((const struct pair *)a)->claim,
			   *y = ((const struct pair *)b)->claim;

	return x->index != y->index ? (x->index < y->index ? -1 : 1) : x < y ? -1 : x > y;
}

static size_t duplicates_find_pairs(const struct claims *all, struct pair *pair)
{
	const struct claim *end = all->claim + all->n, *to;
	size_t n = 0;

	for (const struct claim *from = all->claim; from < end; from = to) {
		for (to = from + 1;
			to < end && to->kind == from->kind && streq(to->value, from->value);)
			to++;
		for (const struct claim *c = from; c < to; c++) {
			const struct claim *other = duplicates_other_of(c, from, to);

			if (other)
				pair[n++] = (struct pair){ c, other };
		}
	}
	return n;
}

void duplicates_find(const struct duplicates_vm *vm, size_t n, const char *image_dir,
	duplicates_fn *found, void *data)
{
	struct claims all = { .arena = ARENA_INIT, .image_dir = image_dir };
	struct pair *pair;
	size_t pairs;

	for (size_t i = 0; i < n; i++) {
		const struct conf_vm *c = vm[i].conf;

		all.index = i;
		duplicates_add_uuid(&all, c, vm[i].identity);
		for (size_t k = 0; k < c->disks; k++)
			duplicates_add_disk(&all, c, &c->disk[k]);
		for (size_t k = 0; k < c->nics; k++)
			duplicates_add_nic(&all, &c->nic[k], vm[i].identity);
		duplicates_add_display(&all, c);
		duplicates_add_vsock(&all, c, vm[i].identity);
	}
	if (all.n)
		qsort(all.claim, all.n, sizeof *all.claim, duplicates_by_value);
	pair = xcalloc(all.n, sizeof *pair);
	pairs = duplicates_find_pairs(&all, pair);
	qsort(pair, pairs, sizeof *pair, duplicates_by_vm);
	for (size_t i = 0; i < pairs; i++) {
		const struct claim *c = pair[i].claim, *o = pair[i].other;
		_cleanup_(free_ptr) char *text = xasprintf("%s%sVM '%s' also has %s, as its %s",
			c->kind == UUID ? "" : c->what, c->kind == UUID ? "" : ": ",
			vm[o->index].conf->name, c->value, o->what);

		const char *key = c->kind == IMAGE && strncmp(c->what, "base of", 7) == 0
					  ? "Base"
					  : kinds[c->kind].key;

		found(data, vm[c->index].conf->name, vm[o->index].conf->name,
			conf_vm_line(vm[c->index].conf, c->place, key), key, text,
			kinds[c->kind].hint);
	}
	free(pair);
	free(all.claim);
	arena_release(&all.arena);
}
