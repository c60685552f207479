/* SPDX-License-Identifier: MIT */
#include "supervisor/check/preview.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/text.h"
#include "conf/budget.h"
#include "conf/load.h"
#include "supervisor/boot/boot.h"
#include "supervisor/check/duplicates.h"
#include "supervisor/check/vm.h"
#include "supervisor/core/known_keys.h"
#include "supervisor/vm/uuid.h"

struct preview {
	struct daemon daemon; /* it only has the directories, and runs nothing */
	struct vms none, vms;
	struct conf_problems *p; /* of each VM */
	struct conf_daemon conf;
	bool bad;
};

/* A heading if there are errors, then all of them and the warnings. Releases the problems. */
static void preview_report(
	struct preview *w, const char *kind, const char *name, struct conf_problems *p)
{
	if (p->count)
		printf("%s%s%s\n", kind, name, *name ? " would not start:" : "");
	w->bad |= p->count;
	for (size_t i = 0; i < p->n; i++) {
		_cleanup_(buf_release) struct buf line = BUF_INIT;
		_cleanup_(free_ptr) char *safe = NULL;

		conf_problem_print(&p->item[i], &line);
		safe = text_escape(line.data, line.len, false);
		printf("%s%s%s\n", p->count ? "  " : "", p->item[i].warning ? "warning: " : "",
			safe);
	}
	conf_problems_release(p);
}

static void preview_vm(void *data, const char *name)
{
	struct preview *w = data;
	const size_t n = w->vms.n;

	GROW(w->vms.vm, w->vms.n, w->vms.cap);
	w->p = xrealloc(w->p, n + 1, sizeof *w->p);
	w->p[n] = (struct conf_problems){ 0 };
	w->vms.vm[w->vms.n++] = check_vm(&w->daemon, name, &w->p[n]);
}

static void preview_network(void *data, const char *name)
{
	struct preview *w = data;
	struct conf_problems p = { 0 };
	struct conf_network n = CONF_NETWORK_INIT;

	conf_load_network(&n, w->daemon.dirs.config, name, &p);
	preview_report(w, "network ", name, &p);
	conf_network_release(&n);
}

/* --- across files, in the words of check/vm.c --- */

static struct conf_problems *preview_of(const struct preview *w, const char *name)
{
	size_t i = 0;

	while (!streq(w->vms.vm[i]->name, name))
		i++;
	return &w->p[i];
}

static void preview_on_duplicate(void *data, const char *vm, const char *other,
	const struct conf_place *place, const char *key, const char *text, const char *hint)
{
	struct preview *w = data;

	check_duplicate(preview_of(w, vm), vms_find(&w->vms, vm), vms_find(&w->vms, other), place,
		key, text, hint);
}

static void preview_duplicates(struct preview *w)
{
	struct duplicates_vm *all = xcalloc(w->vms.n + 1, sizeof *all);
	size_t n = 0;

	for (size_t i = 0; i < w->vms.n; i++)
		if (w->vms.vm[i]->file.have_conf)
			all[n++] = (struct duplicates_vm){ &w->vms.vm[i]->file.conf,
				&w->vms.vm[i]->identity };
	duplicates_find(all, n, w->daemon.image_dir, preview_on_duplicate, w);
	free(all);
}

static void preview_networks_of(const struct preview *w, size_t i)
{
	const struct conf_vm *c = &w->vms.vm[i]->file.conf;

	for (size_t k = 0; w->vms.vm[i]->file.have_conf && k < c->nics; k++) {
		const struct conf_nic *n = &c->nic[k];
		struct err e = ERR_INIT;

		if (n->bridge || boot_is_network(&w->daemon, n->network))
			continue;
		networks_refuse_missing(w->daemon.dirs.config, n->network, &e);
		err_wrap(&e, e.number, "nic '%s'", n->id);
		check_row(&w->p[i], conf_vm_line(c, &n->place, "Network"), "Network", "error", &e);
	}
}

/* After= and Requires= come for all VMs at once. */
static void preview_order(struct preview *w)
{
	struct conf_problems p = { 0 };

	boot_check(&w->vms, &p);
	for (size_t i = 0; i < p.n; i++)
		for (size_t k = 0; k < w->vms.n; k++)
			if (streq(p.item[i].place.file, w->vms.vm[k]->file.conf.place.file))
				conf_problem_add(&w->p[k], &p.item[i]);
	conf_problems_release(&p);
}

static void preview_on_budget(void *data, const struct conf_place *place, const char *key,
	const char *reason, const char *hint)
{
	conf_warning(data, place, key, "%s", reason);
}

static void preview_budget(const struct preview *w, struct conf_problems *p)
{
	const struct conf_vm **conf = xcalloc(w->vms.n + 1, sizeof(struct conf_vm *));
	size_t n = 0;

	for (size_t i = 0; i < w->vms.n; i++)
		if (w->vms.vm[i]->file.have_conf)
			conf[n++] = &w->vms.vm[i]->file.conf;
	budget_check(&w->conf, conf, n, NULL, preview_on_budget, p);
	free(conf);
}

/* --- all of it --- */

static void preview_open(struct preview *w, const char *config, const char *state)
{
	struct conf_problems p = { 0 };

	*w = (struct preview){ .conf = CONF_DAEMON_INIT };
	w->daemon.dirs = (struct daemon_dirs){ .config = xstrdup(config),
		.state = xstrdup(state),
		.state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.run_fd = -1,
		.log_fd = -1 };
	w->daemon.vms = &w->none;
	w->none.daemon = w->vms.daemon = &w->daemon;
	if (w->daemon.dirs.state_fd >= 0)
		w->daemon.newer_keys = known_keys_read(w->daemon.dirs.state_fd);
	conf_load_daemon(&w->conf, config, &p);
	preview_report(w, "no VM would start, because of vmkeep.conf:", "", &p);
	w->daemon.image_dir =
		w->conf.image_dir ? xstrdup(w->conf.image_dir) : xasprintf("%s/images", state);
}

static void preview_close(struct preview *w)
{
	for (size_t i = 0; i < w->vms.n; i++)
		vm_free(w->vms.vm[i]);
	free(w->vms.vm);
	free(w->p);
	free(w->daemon.image_dir);
	free(w->daemon.dirs.config);
	free(w->daemon.dirs.state);
	free(w->daemon.newer_keys);
	conf_daemon_release(&w->conf);
	close_fd(&w->daemon.dirs.state_fd);
	loop_release(&w->daemon.loop);
}

int preview_print(const char *config, const char *state)
{
	struct conf_problems names = { 0 };
	struct preview w;

	preview_open(&w, config, state);
	if (loop_init(&w.daemon.loop) < 0)
		return 1;
	conf_list_networks(config, preview_network, &w, &names);
	conf_list_vms(config, preview_vm, &w, &names);
	conf_list_ignored(config, &names);
	preview_duplicates(&w);
	preview_order(&w);
	for (size_t i = 0; i < w.vms.n; i++) {
		preview_networks_of(&w, i);
		preview_report(&w, "VM ", w.vms.vm[i]->name, &w.p[i]);
	}
	preview_budget(&w, &names);
	preview_report(&w, "files that would not be read:", "", &names);
	preview_close(&w);
	return w.bad ? 2 : 0;
}
