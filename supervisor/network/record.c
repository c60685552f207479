/* SPDX-License-Identifier: MIT */
/*
 * The record, RUN/networks/NAME.json, is written before anything is made and says what to undo. The
 * choice, STATE/networks/NAME.json, keeps bridge, MAC and subnet stable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/text.h"
#include "supervisor/host/uids.h"
#include "supervisor/network/files.h"
#include "supervisor/network/private.h"

enum { RECORD_VERSION = 1, RECORD_MAX = 65536 };

static char *record_path(const struct network *n)
{
	return xasprintf("%s/%s.json", n->ns->run, n->name);
}

static char *record_choice_path(const struct network *n)
{
	return xasprintf("%s/%s.json", n->ns->state, n->name);
}

static char *record_text_of(json_t *o /* stolen */)
{
	char *text = json_dumps(o, JSON_INDENT(1) | JSON_SORT_KEYS);

	json_decref(o);
	return text;
}

/* An invalid file is set aside and logged, never fatal. NULL: no usable file. Of a newer version's we
 * use what we know: another subnet would be worse. */
static json_t *network_record_load(const char *path)
{
	_cleanup_(buf_release) struct buf b = BUF_MAX(RECORD_MAX);
	struct err e = ERR_INIT;
	json_t *o = NULL;

	if (file_read(AT_FDCWD, path, &b, &e) == 0)
		o = json_loadb(b.data ? b.data : "", b.len, JSON_REJECT_DUPLICATES, NULL);
	if (e.class == ERR_NOT_FOUND)
		return NULL;
	if (json_integer_value(json_object_get(o, "version")) >= RECORD_VERSION)
		return o;
	json_decref(o);
	network_set_aside(path, "damaged or of another version");
	return NULL;
}

static json_t *record_choice_json(const struct net_choice *c)
{
	char ip[NET_IP_TEXT], mac[TEXT_MAC];

	return json_pack("{s:i, s:s, s:s, s:s, s:i}", "version", RECORD_VERSION, "bridge",
		c->bridge, "mac", text_mac(mac, c->mac), "address", net_ip(ip, c->address, 0),
		"prefix", (int)c->prefix);
}

static bool record_choice_parse(json_t *o, struct net_choice *c)
{
	const char *bridge, *mac, *address;
	json_int_t prefix;

	*c = (struct net_choice){ 0 };
	if (json_unpack(o, "{s:s, s:s, s:s, s:I}", "bridge", &bridge, "mac", &mac, "address",
		    &address, "prefix", &prefix) < 0 ||
		strlen(bridge) >= sizeof c->bridge || prefix < 8 || prefix > 30 ||
		!text_mac_parse(mac, c->mac) || !net_ip_parse(address, &c->address))
		return false;
	memcpy(c->bridge, bridge, strlen(bridge) + 1);
	c->prefix = (unsigned)prefix;
	return true;
}

void choice_load(struct network *n)
{
	_cleanup_(free_ptr) char *path = record_choice_path(n);
	json_t *o = network_record_load(path);
	json_int_t uid = 0;

	if (o && !record_choice_parse(o, &n->choice))
		log_error(NULL, "'%s' is invalid: chosen again", path);
	else
		uid = json_integer_value(json_object_get(o, "uid"));
	if (uid > 0 && uid < UINT32_MAX && uids_is_network((uid_t)uid))
		n->uid = (uid_t)uid;
	json_decref(o);
	if (n->choice.prefix)
		return;
	n->choice = (struct net_choice){ .mac = { 0x52, 0x54, 0 } };
	while (getrandom(n->choice.mac + 3, 3, 0) != 3)
		;
}

int choice_save(const struct network *n, struct err *e)
{
	_cleanup_(free_ptr) char *path = record_choice_path(n), *text = NULL, *below = NULL;
	json_t *o = record_choice_json(&n->choice);
	int r;

	json_object_set_new(o, "uid", json_integer(n->uid));
	text = record_text_of(o);
	r = network_put(path, 0600, text, strlen(text), e);
	if (r < 0 || !n->ns->dirs.keep)
		return r;
	/* this one is for the next daemon; for the next boot, a child writes it again, durably */
	below = xasprintf("networks/%s.json", n->name);
	n->ns->dirs.keep(n->ns->dirs.keep_data, below, text);
	return 0;
}

bool choice_stands(const struct network *n)
{
	_cleanup_(free_ptr) char *path = record_choice_path(n);
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

int record_may(const struct network *n, struct err *e)
{
	_cleanup_(free_ptr) char *path = record_path(n);
	_cleanup_(close_fd) int dir = open(n->ns->run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int r = dir < 0 ? -errno : file_room(dir);

	errno = -r;
	if (r < 0)
		err_errno(e, "write '%s'", path);
	if (r == -ENOSPC)
		err_hint(e, "make room on the file system of %s", n->ns->run);
	else if (r == -EROFS)
		err_hint(e, "findmnt -T %s shows how it is mounted", n->ns->run);
	return r;
}

int record_save(const struct network *n, struct err *e)
{
	_cleanup_(free_ptr) char *path = record_path(n);
	_cleanup_(free_ptr) char *text = NULL;
	json_t *o = record_choice_json(&n->plan.choice), *steps = json_array();
	char boot[PROC_BOOT_ID];

	proc_boot_id(boot);
	for (enum net_step s = 0; s < NET_STEPS; s++)
		if (n->plan.step[s])
			json_array_append_new(steps, json_string(net_step_name(s)));
	json_object_update_new(o, json_pack("{s:s, s:s, s:s, s:I, s:b, s:o}", "network", n->name,
					  "boot", boot, "table", n->plan.table, "mtu",
					  (json_int_t)n->plan.mtu, "dns", n->dns, "steps", steps));
	if (n->dnsmasq.pid)
		json_object_set_new(o, "dnsmasq",
			json_pack("{s:i, s:I}", "pid", (int)n->dnsmasq.pid, "start",
				(json_int_t)n->dnsmasq.start));
	text = record_text_of(o);
	return network_put(path, 0600, text, strlen(text), e);
}

void record_remove(const struct network *n)
{
	_cleanup_(free_ptr) char *path = record_path(n);

	struct err e = ERR_INIT;

	if (file_remove_tree(AT_FDCWD, path, &e) < 0)
		log_error(NULL, "network %s: %s", n->name, e.text);
}

static bool record_plan_parse(struct network *n, json_t *o)
{
	const char *table = json_string_value(json_object_get(o, "table"));
	json_t *step;
	size_t i;

	n->plan = (struct net_plan){ 0 };
	if (!table || strlen(table) >= sizeof n->plan.table ||
		!record_choice_parse(o, &n->plan.choice))
		return false;
	memcpy(n->plan.table, table, strlen(table) + 1);
	net_alias(n->plan.alias, n->name, n->ns->owner);
	n->plan.mtu = (unsigned)json_integer_value(json_object_get(o, "mtu"));
	n->dns = json_is_true(json_object_get(o, "dns"));
	json_array_foreach (json_object_get(o, "steps"), i, step)
		for (enum net_step s = 0; s < NET_STEPS; s++)
			n->plan.step[s] |= streq(json_string_value(step), net_step_name(s));
	return true;
}

bool record_load(struct network *n, pid_t *pid, uint64_t *start, bool *same_boot)
{
	_cleanup_(free_ptr) char *path = record_path(n);
	json_t *o = network_record_load(path), *process = json_object_get(o, "dnsmasq");
	char boot[PROC_BOOT_ID];
	bool ok;

	if (!o)
		return false;
	proc_boot_id(boot);
	ok = record_plan_parse(n, o);
	if (!ok)
		log_error(NULL, "'%s' is invalid and ignored", path);
	*pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
	*start = (uint64_t)json_integer_value(json_object_get(process, "start"));
	*same_boot = streq(json_string_value(json_object_get(o, "boot")), boot);
	json_decref(o);
	return ok;
}
