/* SPDX-License-Identifier: MIT */
/* What the keys of [CloudInit] are to cloud-init. */
#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/start/seed.h"

static json_t *seed_meta_data(const struct conf_vm *c, const struct identity *id)
{
	char dns[64];

	return json_pack("{s:s, s:s}", "instance-id", c->uuid ? c->uuid : id->uuid,
		"local-hostname",
		c->seed.hostname ? c->seed.hostname : conf_dns_name(c->name, dns));
}

/* "user" changes the image's own user, which keeps its groups, shell and sudo. */
static json_t *seed_user(const struct conf_seed *s)
{
	json_t *user = json_pack("{s:s*}", "name", s->user), *keys = json_array();

	for (size_t i = 0; i < s->keys.n; i++)
		json_array_append_new(keys, json_string(s->keys.item[i]));
	if (s->keys.n)
		json_object_set(user, "ssh_authorized_keys", keys);
	json_decref(keys);
	return user;
}

static json_t *seed_vendor_data(const struct conf_seed *s)
{
	/* enable starts nothing where the package did already, and fails without systemd */
	static const char start[] =
		"systemctl enable --now qemu-guest-agent || rc-service qemu-guest-agent start";
	json_t *data = json_object();

	if (s->user || s->keys.n || s->password)
		json_object_set_new(data, "user", seed_user(s));
	if (s->agent)
		json_object_update_new(
			data, json_pack("{s:[s], s:[[s,s,s]]}", "packages", "qemu-guest-agent",
				      "runcmd", "sh", "-c", start));
	return data;
}

json_t *seed_document(const struct conf_vm *c, const struct identity *id)
{
	const struct conf_seed *s = &c->seed;

	return json_pack("{s:o, s:o, s:s*, s:s*, s:s*}", "meta-data", seed_meta_data(c, id),
		"vendor-data", seed_vendor_data(s), "PasswordFile", s->password, "UserData",
		s->user_data, "NetworkConfig", s->network);
}
