/* SPDX-License-Identifier: MIT */
#include "supervisor/check/host.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/result.h"
#include "supervisor/core/daemon.h"
#include "supervisor/network/network.h"

enum { RULESET_MAX = 1 << 20 };

/* clang-format off */
static const struct host_check {
	const char *name;
	host_check_fn *fn;
} host_checks[] = {
	{ "CPU virtualisation", host_cpu },
	{ "/dev/kvm",           host_kvm_device },
	{ "KVM",                host_kvm },
	{ "nested guests",      host_nested },
	{ "IOMMU",              host_iommu },
	{ "QEMU",               host_qemu },
	{ "programs",           host_programs },
	{ "UEFI firmware",      host_firmware },
	{ "cgroups",            host_cgroups },
	{ "memory",             host_memory },
	{ "huge pages",         host_huge_pages },
	{ "image directory",    host_room },
	{ "access to images",   host_image_access },
	{ "clock source",       host_clock_source },
	{ "time",               host_time_sync },
	{ "security modules",   host_security },
	{ "taps",               host_tun },
	{ "bridges",            host_bridge },
	{ "IP forwarding",      host_ip_forward },
	{ "firewall, forward",  host_forward },
	{ "firewall, DHCP",     host_firewall_dhcp },
	{ "iptables",           host_iptables },
	{ "bridged packets",    host_bridge_filter },
	{ "port 53",            host_port_dns },
	{ "port 67",            host_port_dhcp },
	{ "libvirt",            host_libvirt },
};
/* clang-format on */
static json_t *host_words(const char *s)
{
	_cleanup_(free_ptr) char *safe = text_escape(s, strlen(s), true);

	return json_string(safe);
}

static void host_add(json_t *rows, const char *check, const struct host_row *row)
{
	if (row->verdict != HOST_SILENT)
		json_array_append_new(
			rows, json_pack("[s, s, o, o]", check, host_verdict_name(row->verdict),
				      host_words(row->text),
				      row->cure[0] ? host_words(row->cure) : json_null()));
}

json_t *host_report(const struct host_facts *f)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(host_checks); i++) {
		struct host_row row = { .verdict = HOST_SILENT };

		host_checks[i].fn(f, &row);
		host_add(rows, host_checks[i].name, &row);
	}
	for (size_t i = 1; i < f->stores; i++) {
		_cleanup_(free_ptr) char *check = xasprintf("store %s", f->store[i].name);
		struct host_row row = { .verdict = HOST_SILENT };

		host_store(&f->store[i], &row);
		host_add(rows, check, &row);
	}
	return api_table(api_host_row, rows);
}

/* --- gathering --- */

struct host_checking {
	struct ev_loop *ev;
	struct probes *probes;
	struct host_facts facts;
	struct child *nft;
	struct stores_looking *stores;
	struct loop_task later; /* done is not called before host_check_run() has returned */
	unsigned open;		/* facts still pending */
	void (*done)(void *data, json_t *table);
	void *data;
};

static void host_checking_free(struct host_checking *h)
{
	loop_cancel(h->ev, &h->later);
	stores_look_free(h->stores);
	close_fd(&h->facts.root);
	json_decref(h->facts.ruleset);
	free(h);
}

static void host_one_less(struct host_checking *h)
{
	if (--h->open)
		return;
	h->done(h->data, host_report(&h->facts));
	host_checking_free(h);
}

void host_check_cancel(struct host_checking *h)
{
	if (!h)
		return;
	probes_forget(h->probes, h);
	child_cancel(h->nft);
	host_checking_free(h);
}

static void host_on_nft(void *data, const struct child_result *r)
{
	struct host_checking *h = data;

	h->nft = NULL;
	if (r->status == 0)
		h->facts.ruleset = json_loadb(r->out, r->out_len, 0, NULL);
	host_one_less(h);
}

static void host_on_stores(void *data, const struct store_seen *s, size_t n)
{
	struct host_checking *h = data;

	h->facts.store = s;
	h->facts.stores = n;
	host_one_less(h);
}

static void host_on_kvm(void *data, const struct probe *none, const struct err *e)
{
	struct host_checking *h = data;

	if (e)
		err_copy(&h->facts.kvm_error, e);
	h->facts.kvm_seconds = probes_kvm_seconds(h->probes);
	host_one_less(h);
}

static void host_on_probe(void *data, const struct probe *probe, const struct err *e)
{
	struct host_checking *h = data;

	h->facts.qemu = probe;
	if (!e) {
		probes_kvm(h->probes, probe, host_on_kvm, h);
		return;
	}
	err_copy(&h->facts.qemu_error, e);
	err_set(&h->facts.kvm_error, ERR_FAILED, "cannot be proved without QEMU");
	err_hint(&h->facts.kvm_error, "%s", h->facts.qemu_error.hint);
	host_one_less(h);
}

static void host_on_later(struct loop_task *t)
{
	host_one_less(container_of(t, struct host_checking, later));
}

static struct child *host_run(struct host_checking *h, const char *const *argv, size_t out_max,
	void (*done)(void *data, const struct child_result *r))
{
	struct child_options o = {
		.argv = argv, .out_max = out_max, .timeout = 5, .done = done, .data = h
	};
	struct child *c = child_run(h->ev, &o, NULL);

	if (c)
		h->open++;
	return c;
}

static void host_bridge_add(void *data, const char *network, const char *bridge, bool up)
{
	struct host_facts *f = data;

	f->networks_up |= up;
	if (bridge[0] && f->bridges < HOST_BRIDGES_MAX)
		snprintf(f->bridge[f->bridges++], sizeof f->bridge[0], "%.15s", bridge);
}

struct host_checking *host_check_run(
	struct daemon *d, void (*done)(void *data, json_t *table), void *data)
{
	const char *nft[] = { "nft", "-j", "list", "ruleset", NULL };
	struct host_checking *h = xcalloc(1, sizeof *h);

	*h = (struct host_checking){
		.ev = d->loop.ev, .probes = d->probes, .done = done, .data = data
	};
	h->facts.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	networks_each(d->networks, host_bridge_add, &h->facts);
	h->open = 3;
	loop_later(h->ev, &h->later, host_on_later);
	h->nft = host_run(h, nft, RULESET_MAX, host_on_nft);
	h->stores = stores_look(d, host_on_stores, h);
	probes_get(h->probes, conf_vm_binary(&(struct conf_vm){ 0 }), host_on_probe, h);
	return h;
}
