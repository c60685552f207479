/* SPDX-License-Identifier: MIT */
#include "conf/parse.h"

/* False for values from [Defaults], which yield to the VM's own files. */
static bool vm_is_written(
	struct conf_parse *p, const char *section, const char *id, const char *key)
{
	const struct conf_mark *m = conf_mark_find(&p->marks, section, id, key);

	return m && !m->by_default;
}

/* Adds what every VM has even if it is not configured. */
static void vm_complete(struct conf_parse *p, struct conf_vm *c)
{
	static const struct conf_place nobody = { 0 };

	for (size_t i = 0; i < c->disks; i++) {
		struct conf_disk *d = &c->disk[i];

		if (d->cdrom)
			d->read_only = true;
		else if (!d->path && d->size) {
			d->path = arena_printf(&c->arena, "%s-%s.qcow2", c->name, d->id);
			d->unnamed = true;
		}
		if (d->path && *d->path == '/' &&
			!vm_is_written(p, d->cdrom ? "CDROM" : "Disk", d->id, "Store"))
			d->store = CONF_STORE_DEFAULT;
	}
	if (!c->nics && c->networks == CONF_NETWORKS_DEFAULT)
		conf_parse_add(p, conf_section_find(p->schema, "NIC"), "lan", &nobody);
	for (size_t i = 0; i < c->nics; i++) {
		struct conf_nic *nic = &c->nic[i];

		if (nic->bridge && !vm_is_written(p, "NIC", nic->id, "Network"))
			nic->network = NULL;
		else if (nic->bridge && !vm_is_written(p, "NIC", nic->id, "Bridge"))
			nic->bridge = NULL;
	}
	if (!c->serials)
		conf_parse_add(p, conf_section_find(p->schema, "Serial"), "console", &nobody);
}

void conf_vm_parse(struct conf_vm *out, const char *name, const struct conf_source *src, size_t n,
	const struct conf_context *ctx, struct conf_problems *problems)
{
	const struct conf_specifiers spec = { name, ctx->uuid, ctx->state_dir };
	size_t before = problems->count;
	struct conf_parse p;

	conf_parse_init(&p, &conf_vm_schema, out, &spec, problems);
	p.defaults = ctx->defaults;
	p.newer = ctx->newer;
	out->name = arena_strdup(&out->arena, name);
	out->place = conf_parse_run(&p, src, n);
	conf_check_name(name, &out->place, problems);
	vm_complete(&p, out);
	if (ctx->defaults)
		conf_vm_place(out, ctx->defaults);
	conf_marks_note(&p.marks, out);
	conf_vm_check(out, ctx->defaults, &p.marks, problems->count == before, problems);
	conf_parse_release(&p);
}

void conf_vm_release(struct conf_vm *c)
{
	arena_release(&c->arena);
	*c = (struct conf_vm)CONF_VM_INIT;
}
