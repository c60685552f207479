/* SPDX-License-Identifier: MIT */
/* What the keys of [CloudInit] are to cloud-init. */
#include "base/mem.h"
#include "base/text.h"
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

/* By MAC address, as only the guest knows its interfaces' names; "to default" is not known everywhere. */
static json_t *seed_nic(const struct conf_nic *nic, const struct identity *id)
{
	const struct identity_nic *known = identity_nic(id, nic->id);
	const uint8_t *mac = nic->mac.set || !known ? nic->mac.byte : known->mac;
	json_t *servers = json_array(), *one;
	char text[TEXT_MAC];

	one = json_pack("{s:{s:s}}", "match", "macaddress", text_mac(text, mac));
	if (nic->address && nic->bridge)
		json_object_set_new(one, "addresses", json_pack("[s]", nic->address));
	else
		json_object_set_new(one, "dhcp4", json_true());
	if (nic->gateway)
		json_object_set_new(one, "routes",
			json_pack("[{s:s, s:s}]", "to", "0.0.0.0/0", "via", nic->gateway));
	for (size_t i = 0; i < nic->dns.n; i++)
		json_array_append_new(servers, json_string(nic->dns.item[i]));
	if (nic->dns.n)
		json_object_set_new(one, "nameservers", json_pack("{s:O}", "addresses", servers));
	json_decref(servers);
	return one;
}

/* NULL: all NICs by DHCP, which cloud-init does without. */
static json_t *seed_network(const struct conf_vm *c, const struct identity *id)
{
	json_t *nics = json_object();
	bool fixed = false;

	for (size_t i = 0; i < c->nics; i++) {
		fixed |= c->nic[i].bridge && c->nic[i].address;
		json_object_set_new(nics, c->nic[i].id, seed_nic(&c->nic[i], id));
	}
	if (fixed)
		return json_pack("{s:i, s:o}", "version", 2, "ethernets", nics);
	json_decref(nics);
	return NULL;
}

json_t *seed_document(const struct conf_vm *c, const struct identity *id)
{
	const struct conf_seed *s = &c->seed;

	return json_pack("{s:o, s:o, s:o*, s:s*, s:s*, s:s*}", "meta-data", seed_meta_data(c, id),
		"vendor-data", seed_vendor_data(s), "network-config", seed_network(c, id),
		"PasswordFile", s->password, "UserData", s->user_data, "NetworkConfig", s->network);
}
