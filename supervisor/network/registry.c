/* SPDX-License-Identifier: MIT */
/* All networks: those with a file, those that are up, and `default`. */
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/network/private.h"

/* "invalid: lab.network:2: ...", without the path of the directory that all share. */
static char *registry_first(const struct network *n, const struct conf_problems *p)
{
	const char *dir = n->ns->dirs.config;
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	const char *text;

	for (size_t i = 0; i < p->n && !b.len; i++)
		if (!p->item[i].warning)
			conf_problem_print(&p->item[i], &b);
	if (!b.len)
		return NULL;
	text = b.data;
	if (strncmp(text, dir, strlen(dir)) == 0 && text[strlen(dir)] == '/')
		text += strlen(dir) + 1;
	return xasprintf("invalid: %s", text);
}

/* If the file has problems, the old configuration stays; without an old one, the network is broken.
 * A network that is up keeps its configuration if the file is deleted. */
static void registry_read_conf(struct network *n, struct conf_problems *p)
{
	struct conf_network conf = CONF_NETWORK_INIT;
	struct conf_problems found = { 0 };

	n->stamp = conf_network_stamp(n->ns->dirs.config, n->name);
	n->has_file = conf_load_network(&conf, n->ns->dirs.config, n->name, &found);
	if (!n->parsed || (!found.count && (n->has_file || n->state == NETWORK_DOWN))) {
		const struct conf_network old = n->conf;

		n->conf = conf;
		conf = old;
	}
	n->parsed |= !found.count;
	free(n->invalid);
	n->invalid = registry_first(n, &found);
	free(n->broken);
	n->broken = n->parsed ? NULL : conf_problems_text(&found);
	if (p)
		conf_problems_add(p, &found);
	conf_network_release(&conf);
	conf_problems_release(&found);
}

/* Inserts it sorted by name, which is the order of listings. */
struct network *networks_add(struct networks *ns, const char *name)
{
	struct network **at = &ns->list, *n = networks_find(ns, name);

	if (n)
		return n;
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	n = xcalloc(1, sizeof *n);
	n->ns = ns;
	n->name = xstrdup(name);
	n->dir = xasprintf("%s/%s.d", ns->run, name);
	n->leases_state = xasprintf("%s/%s.leases", ns->state, name);
	n->leases_run = xasprintf("%s/%s.leases", ns->run, name);
	n->lease_file = n->leases_state;
	n->dnsmasq = (struct dnsmasq){ .ev = ns->ev,
		.jail = ns->dirs.jail,
		.network = n->name,
		.dir = n->dir,
		.prepare = network_prepare_dnsmasq,
		.event = network_dnsmasq_event,
		.data = n };
	dnsmasq_init(&n->dnsmasq);
	choice_load(n);
	registry_read_conf(n, NULL);
	n->next = *at;
	*at = n;
	return n;
}

static void registry_network_free(struct network *n)
{
	while (n->waits)
		network_wait_cancel(n->waits);
	network_nft_cancel(n->nft);
	dnsmasq_release(&n->dnsmasq);
	conf_network_release(&n->conf);
	free(n->lease);
	free(n->broken);
	free(n->invalid);
	free(n->name);
	free(n->dir);
	free(n->leases_state);
	free(n->leases_run);
	free(n->leases_problem);
	free(n);
}

struct listed {
	const char **name;
	size_t n, cap;
	struct arena text;
};

static void registry_note(void *data, const char *name)
{
	struct listed *l = data;

	GROW(l->name, l->n, l->cap);
	l->name[l->n++] = arena_strdup(&l->text, name);
}

int networks_refuse_missing(const char *config, const char *network, struct err *e)
{
	static const char ending[] = ".network";
	const size_t len = strlen(network), n = strlen(ending);
	struct listed l = { 0 };
	const char *near;

	conf_list_networks(config, registry_note, &l, NULL);
	registry_note(&l, "default");
	near = text_nearest(network, l.name, l.n);
	err_set(e, ERR_NOT_FOUND, "no network '%s'", network);
	if (len > n && streq(network + len - n, ending))
		err_hint(e, "write the name without the file's ending: %.*s", (int)(len - n),
			network);
	else if (near)
		err_hint(e, "did you mean '%s'?", near);
	else
		err_hint(e, "its file would be %s/%s.network", config, network);
	free(l.name);
	arena_release(&l.text);
	return e->number;
}

struct network *networks_get(struct networks *ns, const char *name, struct err *e)
{
	struct network *n = networks_find(ns, name);

	if (!n && conf_network_stamp(ns->dirs.config, name))
		n = networks_add(ns, name);
	if (n && n->stamp != conf_network_stamp(ns->dirs.config, name))
		registry_read_conf(n, NULL);
	if (n && (n->has_file || n->state != NETWORK_DOWN || streq(name, "default")))
		return n;
	if (e) /* reads the directory */
		networks_refuse_missing(ns->dirs.config, name, e);
	return NULL;
}

bool networks_exists(struct networks *ns, const char *network, struct err *e)
{
	return networks_get(ns, network, e) != NULL;
}

static void registry_add_listed(void *data, const char *name)
{
	networks_add(data, name);
}

/* Drops networks whose file is gone, unless they are up; `default` is built in. */
static void registry_drop_gone(struct networks *ns)
{
	for (struct network **at = &ns->list; *at;) {
		struct network *n = *at;

		if (n->has_file || n->state != NETWORK_DOWN || n->waits || network_attached(n) ||
			streq(n->name, "default")) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		registry_network_free(n);
	}
}

static void registry_read(struct networks *ns, bool all, struct conf_problems *p)
{
	conf_list_networks(ns->dirs.config, registry_add_listed, ns, p);
	for (struct network *n = ns->list; n; n = n->next)
		if (all || n->stamp != conf_network_stamp(ns->dirs.config, n->name))
			registry_read_conf(n, p);
	registry_drop_gone(ns);
}

void networks_reload(struct networks *ns, struct conf_problems *p)
{
	networks_add(ns, "default");
	registry_read(ns, true, p);
}

void networks_look(struct networks *ns)
{
	registry_read(ns, false, NULL);
}

void networks_drop_all(struct networks *ns)
{
	while (ns->list) {
		struct network *n = ns->list;

		ns->list = n->next;
		registry_network_free(n);
	}
}
