/* SPDX-License-Identifier: MIT */
/* `list --problems`: problems of VMs, of networks, and of other files. */
#include <errno.h>
#include <fnmatch.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "conf/load.h"
#include "supervisor/api/result.h"
#include "supervisor/guest/health.h"
#include "supervisor/verbs/verb.h"
#include "supervisor/vm/trouble.h"

struct problems {
	struct daemon *daemon;
	const struct request *request;
	json_t *rows[TROUBLES];
	const char *what, *name; /* of the next */
};

static const char *const problems_severity[] = {
	[TROUBLE_CRITICAL] = "critical",
	[TROUBLE_UNKNOWN] = "unknown",
	[TROUBLE_WARNING] = "warning",
};
_Static_assert(ARRAY_SIZE(problems_severity) == TROUBLES, "a severity has no name");

static void problems_add(void *data, enum trouble how, const char *text)
{
	struct problems *p = data;

	json_array_append_new(p->rows[how], json_pack("[s, s, s, o]", problems_severity[how],
						    p->what, p->name, api_text(text)));
}

static void problems_of_network(void *data, const char *network, const char *bridge, bool up)
{
	struct problems *p = data;
	_cleanup_(free_ptr) char *text = networks_trouble(p->daemon->networks, network);

	p->what = "network";
	p->name = network;
	if (text)
		problems_add(p, TROUBLE_WARNING, text);
}

/* Those that match the pattern, and only its own for a client with the owner role. */
static bool problems_shows(const struct problems *p, const struct vm *vm)
{
	const char *pattern = request_string(p->request, "pattern");

	return (!pattern || fnmatch(pattern, vm->name, 0) == 0) &&
	       (request_role(p->request) != API_ROLE_OWNER || verb_owns(p->daemon, p->request, vm));
}

static void problems_of_nic(void *data, const char *vm, bool stopped, const char *text)
{
	struct problems *p = data;
	const struct vm *known = vms_find(p->daemon->vms, vm);

	p->what = "vm";
	p->name = vm;
	if (known && problems_shows(p, known))
		problems_add(p, TROUBLE_WARNING, text);
}

static void problems_ignore_vm(void *data, const char *name)
{
}

static void problems_read_network(void *data, const char *name)
{
	struct problems *p = data;
	struct conf_network conf = CONF_NETWORK_INIT;
	struct conf_problems own = { 0 };

	conf_load_network(&conf, p->daemon->dirs.config, name, &own);
	p->what = "network";
	p->name = name;
	if (own.count) {
		_cleanup_(buf_release) struct buf text = BUF_INIT;

		buf_adds(&text, "invalid: ");
		conf_problem_print(&own.item[0], &text);
		problems_add(p, TROUBLE_CRITICAL, text.data);
	}
	conf_problems_release(&own);
	conf_network_release(&conf);
}

/* vmkeep.conf, files with invalid names for VMs or networks, and files that are never read. */
static void problems_of_files(struct problems *p)
{
	const char *dir = p->daemon->dirs.config;
	struct conf_daemon conf = CONF_DAEMON_INIT;
	struct conf_problems found = { 0 };

	conf_load_daemon(&conf, dir, &found);
	conf_list_vms(dir, problems_ignore_vm, NULL, &found);
	conf_list_networks(dir, problems_read_network, p, &found);
	conf_list_ignored(dir, &found);
	p->what = "file";
	for (size_t i = 0; i < found.n; i++) {
		_cleanup_(buf_release) struct buf text = BUF_INIT;
		const char *file = found.item[i].place.file;

		p->name = file ? basename(file) : "-";
		conf_problem_print(&found.item[i], &text);
		problems_add(
			p, found.item[i].warning ? TROUBLE_WARNING : TROUBLE_CRITICAL, text.data);
	}
	conf_problems_release(&found);
	conf_daemon_release(&conf);
}

/* If it cannot be written, identities, records and history, or logs, are lost. */
static void problems_of_directory(struct problems *p, const char *path, int fd, enum trouble how)
{
	struct statvfs st;

	p->what = "directory";
	p->name = path;
	if (fstatvfs(fd, &st) < 0)
		problems_add(p, how, strerror(errno));
	else if (st.f_flag & ST_RDONLY)
		problems_add(p, how, "its file system is read-only");
	else if (st.f_blocks && st.f_bfree == 0) /* some file systems count none */
		problems_add(p, how, "its file system is full");
	else if (st.f_files && st.f_ffree == 0)
		problems_add(p, how, "its file system has no inodes left");
}

static void problems_of_directories(struct problems *p)
{
	const struct daemon_dirs *dirs = &p->daemon->dirs;

	problems_of_directory(p, dirs->state, dirs->state_fd, TROUBLE_CRITICAL);
	problems_of_directory(p, dirs->run, dirs->run_fd, TROUBLE_CRITICAL);
	problems_of_directory(p, dirs->log, dirs->log_fd, TROUBLE_WARNING);
}

void verb_list_problems(struct daemon *d, struct request *r)
{
	bool all = !request_string(r, "pattern") && request_role(r) != API_ROLE_OWNER;
	struct problems p = { .daemon = d, .request = r };
	struct conf_problems read = { 0 };

	for (size_t i = 0; i < TROUBLES; i++)
		p.rows[i] = json_array();
	vms_reload(d->vms, &read);
	conf_problems_release(&read); /* each VM has its own */
	health_kick(d->health);
	for (size_t i = 0; i < d->vms->n; i++) {
		struct vm *vm = d->vms->vm[i];

		p.what = "vm";
		p.name = vm->name;
		if (problems_shows(&p, vm))
			vm_troubles(vm, problems_add, &p);
	}
	if (all) {
		problems_of_files(&p);
		problems_of_directories(&p);
		networks_each(d->networks, problems_of_network, &p);
	}
	networks_strays(d->networks, NULL, problems_of_nic, &p);
	for (size_t i = 1; i < TROUBLES; i++) {
		json_array_extend(p.rows[0], p.rows[i]);
		json_decref(p.rows[i]);
	}
	request_return(r, api_table(api_trouble_row, p.rows[0]));
}
