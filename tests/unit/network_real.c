/* SPDX-License-Identifier: MIT */
/*
 * Proves, with a real bridge, nft and dnsmasq, that a network comes up, gives a guest what was
 * claimed for it and no other access to the host, survives the death of dnsmasq and of the daemon,
 * and leaves nothing behind. Needs root; otherwise everything is skipped.
 */
#include "tests/unit/netns.h"

static void test_life(void **state)
{
	struct machine a = { 0 }, b = { 0 };
	double before = milliseconds();
	uint32_t seen;
	bool changed;
	pid_t pid;

	(void)state;
	assert_int_equal(up("default"), 0);
	print_message("up in %.1f ms\n", milliseconds() - before);
	assert_int_equal(ip_forward(), '1');
	assert_int_equal(sh("ip -d link show virbr0 | grep -q 'alias vmkeep:network:default'"), 0);
	assert_int_equal(sh("ip -4 addr show virbr0 | grep -q 192.168.122.1/24"), 0);
	assert_int_equal(sh("test -z \"$(ip -6 addr show virbr0)\""), 0);
	assert_int_equal(sh("nft list table inet vmkeep_default_virbr0 >/dev/null"), 0);
	pid = net("default")->dnsmasq.pid;

	before = milliseconds();
	machine_up(&a, "web1", 1);
	print_message("claim, tap, join in %.2f ms\n", milliseconds() - before);
	machine_up(&b, "db1", 2);
	assert_false(networks_address_seen(w.ns, "web1", "lan", &seen));

	/* gets what was claimed, whatever name it sends */
	assert_true(guest_dhcp(&a.guest, "wpad"));
	assert_int_equal(a.guest.address, a.nic.address);
	assert_int_equal(a.guest.gateway, 0xc0a87a01);
	assert_int_equal(a.guest.dns, 0xc0a87a01);
	assert_true(guest_dhcp(&b.guest, "web1"));
	assert_int_equal(b.guest.address, b.nic.address);
	w.changes = 0;
	for (unsigned i = 0; i < 100 && !w.changes; i++)
		ev_run(w.loop.ev, EVRUN_ONCE);
	assert_true(networks_address_seen(w.ns, "web1", "lan", &seen));
	assert_int_equal(seen, a.nic.address);

	assert_int_equal(guest_resolve(&a.guest, "db1.vm.internal"), b.nic.address);
	assert_int_equal(guest_resolve(&a.guest, "db1"), b.nic.address);
	assert_int_equal(guest_resolve(&b.guest, "web1"), a.nic.address);
	assert_int_equal(guest_resolve(&b.guest, "wpad.vm.internal"), 0);
	assert_int_equal(guest_resolve(&b.guest, "wpad"), 0);

	/* kill -9: restarted at once, leases kept */
	kill(pid, SIGKILL);
	changed = false;
	before = milliseconds();
	while (!changed && milliseconds() - before < stretched_ms(5)) {
		ev_run(w.loop.ev, EVRUN_ONCE);
		changed = net("default")->dnsmasq.pid != pid &&
			  net("default")->dnsmasq.state == DNSMASQ_UP;
	}
	print_message("dnsmasq back in %.1f ms\n", milliseconds() - before);
	assert_true(changed);
	assert_int_equal(guest_resolve(&a.guest, "db1"), b.nic.address);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(a.guest.address, a.nic.address);

	assert_int_not_equal(stop("default", false), 0);
	assert_int_equal(w.answer.class, ERR_WRONG_STATE);
	machine_down(&a);
	machine_down(&b);
	before = milliseconds();
	assert_int_equal(stop("default", false), 0);
	print_message("down in %.1f ms\n", milliseconds() - before);
	assert_nothing_left();
}

/* The host behind the bridge is closed except for ping, DHCP and DNS. */
static void test_walls(void **state)
{
	_cleanup_(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(9999) };
	struct machine a = { 0 };
	char byte;

	(void)state;
	assert_int_equal(bind(fd, (const void *)&any, sizeof any), 0);
	assert_int_equal(up("default"), 0);
	machine_up(&a, "web1", 1);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(guest_ping(&a.guest, a.guest.gateway), ICMP_ECHOREPLY);

	sh("sysctl -qw net.ipv4.conf.virbr0.route_localnet=1; ip addr add 203.0.113.2/32 dev lo");
	const uint32_t targets[] = { a.guest.gateway, 0x7f000001, 0xcb007102 };

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		guest_udp(&a.guest, a.guest.gateway_mac, a.guest.address, targets[i], 4000, 9999,
			"x", 1);
		assert_int_equal(guest_icmp(&a.guest), ICMP_DEST_UNREACH);
		assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	}
	assert_int_equal(guest_ping(&a.guest, 0xcb007102), ICMP_DEST_UNREACH);
	sh("ip addr del 203.0.113.2/32 dev lo");
	machine_down(&a);
	assert_int_equal(stop("default", false), 0);
}

/* The daemon dies and is restarted, with the bridge in place and with the bridge gone. */
static void test_adoption(void **state)
{
	struct network_nic nic;
	struct machine a = { 0 };
	bool back = false;
	pid_t pid;

	(void)state;
	assert_int_equal(up("default"), 0);
	machine_up(&a, "web1", 1);
	assert_true(guest_dhcp(&a.guest, NULL));
	pid = net("default")->dnsmasq.pid;
	nic = a.nic;

	networks_free(w.ns);
	daemon_starts();
	assert_int_equal(networks_adopt(w.ns, NULL), 0);
	assert_int_equal(net("default")->state, NETWORK_UP);
	assert_int_equal(net("default")->dnsmasq.pid, pid);
	networks_rejoin(w.ns, &nic, &a.tap);
	assert_int_equal(up("default"), 0);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(a.guest.address, nic.address);
	assert_int_equal(network_attached(net("default")), 1);

	networks_free(w.ns);
	assert_int_equal(sh("ip link del virbr0; nft flush ruleset"), 0);
	daemon_starts();
	assert_int_equal(networks_adopt(w.ns, NULL), 0);
	networks_rejoin(w.ns, &nic, &a.tap);
	for (double start = milliseconds(); !back && milliseconds() - start < stretched_ms(5);) {
		ev_run(w.loop.ev, EVRUN_ONCE);
		back = net("default")->dnsmasq.pid != pid &&
		       net("default")->dnsmasq.state == DNSMASQ_UP && !net("default")->nft;
	}
	assert_true(back);
	assert_int_equal(sh("nft list table inet vmkeep_default_virbr0 >/dev/null"), 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(a.guest.address, nic.address);

	machine_down(&a);
	assert_int_equal(stop("default", false), 0);
	assert_nothing_left();
}

static void join(struct machine *m)
{
	struct err e = ERR_INIT;

	if (networks_join(w.ns, &m->nic, &m->tap, &e) < 0)
		fail_msg("%s", e.text);
}

/* Host lines are added, changed, removed and added again, for the same and for another VM, in one
 * dnsmasq. */
static void test_lines_come_and_go(void **state)
{
	struct machine a = { 0 }, b = { 0 };
	const struct tap none = { 0 };
	pid_t pid;

	(void)state;
	assert_int_equal(up("default"), 0);
	pid = net("default")->dnsmasq.pid;
	machine_up(&a, "web1", 1);
	machine_up(&b, "db1", 2);
	networks_leave(w.ns, "db1", "lan", &none);
	networks_unclaim(w.ns, "db1");
	for (uint32_t i = 0; i < 5; i++) {
		assert_true(guest_dhcp(&a.guest, NULL));
		assert_int_equal(a.guest.address, a.nic.address);
		networks_leave(w.ns, "web1", "lan", &none);
		a.nic.address = 0xc0a87a32 + i;
		a.nic.fixed = true;
		join(&a);
	}
	/* web1's last address becomes db1's once web1 has released it */
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_true(guest_dhcp(&a.guest, NULL));
	networks_unclaim(w.ns, "web1");
	b.nic.address = 0xc0a87a32;
	b.nic.fixed = true;
	join(&b);
	assert_true(guest_dhcp(&b.guest, NULL));
	assert_int_equal(b.guest.address, b.nic.address);
	assert_int_equal(guest_resolve(&b.guest, "db1"), b.nic.address);
	assert_int_equal(net("default")->dnsmasq.pid, pid);
	machine_down(&b);
	close_fd(&a.guest.fd);
	assert_int_equal(stop("default", false), 0);
	assert_nothing_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_walls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adoption, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines_come_and_go, setup, teardown),
	};

	if (!netns_enter())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
