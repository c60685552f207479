/* SPDX-License-Identifier: MIT */
/*
 * Proves that only a NIC's MAC identifies it: whatever DHCP options two guests send, both get the
 * address, the name and the readiness that were claimed for them, at the same time and again when
 * they renew. Needs root; otherwise everything is skipped.
 */
#include "tests/unit/netns.h"

struct options {
	const char *what;
	const char *text;
	size_t len;
};
#define OPTIONS(what, text) { what, text, sizeof(text) - 1 }

/* Both guests send these. web1 has the MAC 52:54:00:01:02:01, 192.168.122.50 and its name; the
 * other one is db1, with .51. */
static const struct options options[] = {
	OPTIONS("nothing", ""),
	OPTIONS("client identifier", "\x3d\x07\xff\0\x11\x22\x33\x44\x55"),
	OPTIONS("client identifier of one byte", "\x3d\x01\0"),
	OPTIONS("client identifier: MAC of web1", "\x3d\x07\x01\x52\x54\0\x01\x02\x01"),
	OPTIONS("client identifier: DUID of a clone",
		"\x3d\x13\xff\xb6\x22\x0f\xeb\0\x02\0\0\xab\x11\x92\x0c\xa1\xaa\xfa\x2e\xc1\x4e"),
	OPTIONS("host name", "\x0c\x04web1"),
	OPTIONS("host name in capitals", "\x0c\x04WEB1"),
	OPTIONS("FQDN, server updates", "\x51\x14\x01\0\0web1.vm.internal\0"),
	OPTIONS("FQDN in wire format", "\x51\x15\x05\0\0\x04web1\x02vm\x08internal\0"),
	OPTIONS("vendor class", "\x3c\x08MSFT 5.0"),
	OPTIONS("vendor class of PXE",
		"\x3c\x20PXEClient:Arch:00007:UNDI:003016\x5d\x02\0\x07\x5e\x03\x01\x03\x10"
		"\x61\x11\0same-uuid-for-all"),
	OPTIONS("user class", "\x4d\x05\x04web1"),
	OPTIONS("address of web1", "\x32\x04\xc0\xa8\x7a\x32"),
	OPTIONS("all", "\x3d\x07\xff\0\x11\x22\x33\x44\x55\x0c\x04web1\x3c\x08MSFT 5.0"
		       "\x51\x14\x01\0\0web1.vm.internal\0\x4d\x05\x04web1"),
};

static void fixed(struct machine *m, const char *vm, uint8_t last, uint32_t address)
{
	struct err e = ERR_INIT;

	machine_up(m, vm, last);
	m->nic.address = address;
	m->nic.fixed = true;
	if (networks_join(w.ns, &m->nic, &m->tap, &e) < 0)
		fail_msg("%s", e.text);
}

static void ask(struct machine *m, const struct options *o)
{
	m->guest.options = o->text;
	m->guest.options_len = o->len;
	if (!guest_dhcp(&m->guest, NULL))
		fail_msg("%s: %s gets no address", o->what, m->nic.vm);
	if (m->guest.address != m->nic.address)
		fail_msg("%s: %s has %x", o->what, m->nic.vm, m->guest.address);
}

static bool seen(const struct machine *m)
{
	uint32_t address;

	return networks_address_seen(w.ns, m->nic.vm, "lan", &address) && address == m->nic.address;
}

static void assert_both(struct machine *a, struct machine *b, const struct options *o)
{
	const double start = milliseconds();

	while (!(seen(a) && seen(b))) {
		if (milliseconds() - start > stretched_ms(5))
			fail_msg("%s: seen: %d, %d", o->what, seen(a), seen(b));
		ev_run(w.loop.ev, EVRUN_NOWAIT);
		usleep(1000);
	}
	if (guest_resolve(&a->guest, "db1") != b->nic.address ||
		guest_resolve(&b->guest, "web1.vm.internal") != a->nic.address)
		fail_msg("%s: a name is lost", o->what);
}

static void test_what_guests_send(void **state)
{
	_cleanup_(free_ptr) char *leases = xasprintf("%s/networks/default.leases", w.state);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		struct machine a = { 0 }, b = { 0 };

		assert_int_equal(up("default"), 0);
		fixed(&a, "web1", 1, 0xc0a87a32);
		fixed(&b, "db1", 2, 0xc0a87a33);
		ask(&a, &options[i]);
		ask(&b, &options[i]);
		assert_both(&a, &b, &options[i]);
		ask(&a, &options[i]);
		assert_both(&a, &b, &options[i]);
		machine_down(&a);
		machine_down(&b);
		assert_int_equal(stop("default", false), 0);
		assert_nothing_left();
		assert_int_equal(unlink(leases), 0);
	}
}

/* A dnsmasq started by an older daemon is restarted at once with a new configuration. */
static void test_an_older_configuration(void **state)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/networks/default.d/dnsmasq.conf", w.run);
	_cleanup_(free_ptr) char *command =
		xasprintf("sed -i /dhcp-ignore-clid/d %s && ! grep -q clid %s", path, path);
	const struct options *clid = &options[1];
	struct machine a = { 0 }, b = { 0 };
	pid_t pid;

	(void)state;
	assert_int_equal(up("default"), 0);
	fixed(&a, "web1", 1, 0xc0a87a32);
	fixed(&b, "db1", 2, 0xc0a87a33);
	pid = net("default")->dnsmasq.pid;
	networks_free(w.ns);
	assert_int_equal(sh(command), 0);
	daemon_starts();
	assert_int_equal(networks_adopt(w.ns, NULL), 0);
	networks_rejoin(w.ns, &a.nic, &a.tap);
	networks_rejoin(w.ns, &b.nic, &b.tap);
	for (const double start = milliseconds(); net("default")->dnsmasq.pid == pid ||
						  net("default")->dnsmasq.state != DNSMASQ_UP;) {
		assert_true(milliseconds() - start < stretched_ms(5));
		ev_run(w.loop.ev, EVRUN_NOWAIT);
	}
	ask(&a, clid);
	ask(&b, clid);
	assert_both(&a, &b, clid);

	pid = net("default")->dnsmasq.pid;
	networks_free(w.ns);
	daemon_starts();
	assert_int_equal(networks_adopt(w.ns, NULL), 0);
	assert_int_equal(net("default")->dnsmasq.pid, pid);
	assert_int_equal(net("default")->dnsmasq.state, DNSMASQ_UP);
	networks_rejoin(w.ns, &a.nic, &a.tap);
	networks_rejoin(w.ns, &b.nic, &b.tap);
	machine_down(&a);
	machine_down(&b);
	assert_int_equal(stop("default", false), 0);
	assert_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_guests_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_older_configuration, setup, teardown),
	};

	if (!netns_enter())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
