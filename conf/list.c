/* SPDX-License-Identifier: MIT */
#include "conf/load.h"

#include "base/text.h"
#include "conf/names.h"

struct entry {
	const char *file; /* "web1.vm" */
	char name[64], dns[64];
	bool bad;
};

static int list_by_dns(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->dns, ((const struct entry *)b)->dns);
}

static int list_by_file(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->file, ((const struct entry *)b)->file);
}

static void list_refuse(struct entry *e, const char *dir, struct conf_problems *p, const char *why)
{
	_cleanup_(free_ptr) char *file = text_escape(e->file, strlen(e->file), false);
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", dir, file);

	e->bad = true;
	conf_problem(p, &(struct conf_place){ .file = path }, NULL, "%s", why);
}

/* Fills in the names and reports invalid ones. Those sort first, with an empty DNS name. */
static void list_entry_fill(
	struct entry *e, const char *file, size_t len, const char *dir, struct conf_problems *p)
{
	e->file = file;
	snprintf(e->name, sizeof e->name, "%.*s", (int)len, file);
	if (len < sizeof e->name && conf_name_ok(e->name))
		conf_dns_name(e->name, e->dns);
	else
		list_refuse(e, dir, p,
			"the name must be letters, digits, '.', '_' and '-', at most 63, and "
			"begin with a letter or digit");
}

static void list_refuse_clash(
	struct entry *e, const struct entry *other, const char *dir, struct conf_problems *p)
{
	_cleanup_(free_ptr) char *why =
		xasprintf("clashes with %s: names must differ in more than case, '.', '_' and '-'",
			other->file);

	list_refuse(e, dir, p, why);
}

static void list_names(
	const char *dir, const char *suffix, conf_name_fn *f, void *data, struct conf_problems *p)
{
	_cleanup_(free_ptr) struct entry *entry = NULL;
	struct conf_problems unheard = { 0 };
	struct conf_names l = { 0 };
	int r = conf_names_read(&l, dir, suffix);

	if (!p)
		p = &unheard;
	/* of networks as of VMs, so once is enough */
	if (r < 0 && !(p->n && streq(p->item[p->n - 1].place.file, dir)))
		conf_problem(p, &(struct conf_place){ .file = dir }, NULL, "%s", strerror(-r));
	entry = xcalloc(l.n, sizeof *entry);
	for (size_t i = 0; i < l.n; i++)
		list_entry_fill(&entry[i], l.name[i], strlen(l.name[i]) - strlen(suffix), dir, p);
	qsort(entry, l.n, sizeof *entry, list_by_dns);
	for (size_t i = 0; i < l.n; i++) {
		struct entry *e = &entry[i];

		if (*e->dns && i > 0 && strcmp(e[-1].dns, e->dns) == 0)
			list_refuse_clash(e, &e[-1], dir, p);
		else if (*e->dns && i + 1 < l.n && strcmp(e[1].dns, e->dns) == 0)
			list_refuse_clash(e, &e[1], dir, p);
	}
	qsort(entry, l.n, sizeof *entry, list_by_file);
	for (size_t i = 0; i < l.n; i++)
		if (!entry[i].bad)
			f(data, entry[i].name);
	conf_problems_release(&unheard);
	conf_names_release(&l);
}

void conf_list_vms(const char *dir, conf_name_fn *f, void *data, struct conf_problems *p)
{
	list_names(dir, ".vm", f, data, p);
}

void conf_list_networks(const char *dir, conf_name_fn *f, void *data, struct conf_problems *p)
{
	list_names(dir, ".network", f, data, p);
}
