/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/vanished.h"

#include <fcntl.h>

#include "base/file.h"
#include "conf/load.h"
#include "supervisor/vm/dirs.h"

enum { FORMER_MAX = 64 << 10, FORMER_VERSION = 1 };

static const char former_file[] = "former.json"; /* {"version": 1, "names": [..]} */

const char *vanished_next(DIR *dir, struct vms *vms, bool orphans)
{
	for (struct dirent *d; dir && (d = readdir(dir));)
		if (conf_name_ok(d->d_name) && !conf_vm_stamp(vms_dir(vms, d->d_name), d->d_name) &&
			(orphans || !vms_find(vms, d->d_name)))
			return d->d_name;
	return NULL;
}

json_t *vanished_names(struct vms *vms)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(vms->daemon->dirs.state_fd, "vms", 0);
	json_t *names = json_array();

	for (const char *name; (name = vanished_next(dir, vms, true));)
		json_array_append_new(names, json_string(name));
	return names;
}

/* Claims as much as nobody else has by now. */
static void vanished_claim(struct networks *ns, const char *vm, const struct identity_nic *n)
{
	struct network_nic nic = { .vm = vm, .nic = n->id };
	uint32_t address;
	char dns[64];

	memcpy(nic.mac, n->mac, sizeof nic.mac);
	if (n->network && n->address) {
		nic.network = n->network;
		nic.address = n->address;
		nic.fixed = true; /* this address or none */
		nic.hostname = n->hostname ? n->hostname : conf_dns_name(vm, dns);
		if (networks_claim(ns, &nic, &address, NULL) == 0)
			return;
		nic.hostname = "";
		if (networks_claim(ns, &nic, &address, NULL) == 0)
			return;
	}
	nic = (struct network_nic){ .vm = vm, .nic = n->id };
	memcpy(nic.mac, n->mac, sizeof nic.mac);
	networks_claim(ns, &nic, &address, NULL);
}

void vms_claim_vanished(struct vms *vms)
{
	_cleanup_(close_dir) DIR *dir = file_open_dir(vms->daemon->dirs.state_fd, "vms", 0);

	for (const char *name; (name = vanished_next(dir, vms, false));) {
		_cleanup_(close_fd) int fd = vm_state_open(vms->daemon, name);
		_cleanup_(identity_release) struct identity id = IDENTITY_INIT;
		struct err e = ERR_INIT;

		if (fd >= 0 && identity_load(&id, fd, &e) == 0 && id.kept)
			for (size_t i = 0; i < id.nics; i++)
				vanished_claim(vms->daemon->networks, name, &id.nic[i]);
	}
}

json_t *vanished_former(const struct vm *vm)
{
	const char *name = vm->predecessor ? vm->predecessor : vm->name;
	_cleanup_(free_ptr) char *path = vm_path(name, former_file);
	struct buf text = BUF_MAX(FORMER_MAX);
	json_t *doc = NULL, *names = NULL;

	if (file_read(vm->daemon->dirs.state_fd, path, &text, NULL) == 0 && text.data)
		doc = json_loadb(text.data, text.len, 0, NULL);
	if (json_is_array(json_object_get(doc, "names")))
		names = json_incref(json_object_get(doc, "names"));
	json_decref(doc);
	buf_release(&text);
	if (!names)
		names = json_array();
	if (vm->predecessor)
		json_array_append_new(names, json_string(name));
	return names;
}

int vanished_write_former(int states, const char *from, json_t *names, struct err *e)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", from, former_file);
	json_t *doc;
	char *text;
	int r;

	json_array_append_new(names, json_string(from));
	doc = json_pack("{s:i, s:O}", "version", FORMER_VERSION, "names", names);
	text = json_dumps(doc, JSON_COMPACT);
	r = file_replace(states, path, 0600, text, strlen(text), false, e);
	free(text);
	json_decref(doc);
	return r;
}
