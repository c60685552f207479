/* SPDX-License-Identifier: MIT */
#include "supervisor/check/preview.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/load.h"
#include "supervisor/core/known_keys.h"

struct preview {
	const char *config;
	char *newer_keys; /* or NULL */
	struct conf_daemon daemon;
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
	const struct conf_context ctx = {
		.defaults = &w->daemon,
		.uuid = "00000000-0000-0000-0000-000000000000", /* placeholder */
		.state_dir = "/var/lib/vmkeep",
		.newer = w->newer_keys,
	};
	struct conf_problems p = { 0 };
	struct conf_vm vm = CONF_VM_INIT;

	conf_load_vm(&vm, w->config, name, &ctx, &p);
	preview_report(w, "VM ", name, &p);
	conf_vm_release(&vm);
}

static void preview_network(void *data, const char *name)
{
	struct preview *w = data;
	struct conf_problems p = { 0 };
	struct conf_network n = CONF_NETWORK_INIT;

	conf_load_network(&n, w->config, name, &p);
	preview_report(w, "network ", name, &p);
	conf_network_release(&n);
}

int preview_print(const char *config, const char *state)
{
	_cleanup_(close_fd) int state_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct preview w = { .config = config, .daemon = CONF_DAEMON_INIT };
	struct conf_problems p = { 0 }, names = { 0 };

	if (state_fd >= 0)
		w.newer_keys = known_keys_read(state_fd);
	conf_load_daemon(&w.daemon, config, &p);
	preview_report(&w, "no VM would start, because of vmkeep.conf:", "", &p);
	conf_list_networks(config, preview_network, &w, &names);
	conf_list_vms(config, preview_vm, &w, &names);
	preview_report(&w, "files that would not be read:", "", &names);
	conf_daemon_release(&w.daemon);
	free(w.newer_keys);
	return w.bad ? 2 : 0;
}
