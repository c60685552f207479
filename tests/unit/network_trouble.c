/* SPDX-License-Identifier: MIT */
/*
 * Proves, with a real bridge, nft and dnsmasq, what happens on a host that is shared with others or
 * lacks something: nothing foreign is touched, failures are reported, and undone. Needs root;
 * otherwise everything is skipped.
 */
#include "tests/unit/netns.h"

/* A foreign bridge and subnet are left alone. */
static void test_clash(void **state)
{
	(void)state;
	assert_int_equal(
		sh("ip link add virbr0 type bridge && ip addr add 192.168.122.1/24 dev virbr0 && "
		   "ip link set virbr0 up"),
		0);
	assert_int_equal(up("default"), 0);
	assert_string_equal(net("default")->plan.choice.bridge, "virbr1");
	assert_int_equal(net("default")->plan.choice.address, 0xc0a87b01);

	write_conf("lab.network", "[Network]\nAddress=192.168.123.1/24\n");
	assert_int_not_equal(up("lab"), 0);
	assert_int_equal(w.answer.class, ERR_CONFLICT);
	assert_non_null(strstr(w.answer.text, "'default'"));

	/* remembered although the first one is free again */
	assert_int_equal(stop("default", false), 0);
	assert_int_equal(sh("ip link del virbr0"), 0);
	assert_int_equal(up("default"), 0);
	assert_string_equal(net("default")->plan.choice.bridge, "virbr1");
	assert_int_equal(stop("default", false), 0);
	assert_nothing_left();
}

static void test_port_53_taken(void **state)
{
	_cleanup_(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct machine a = { 0 };

	(void)state;
	assert_int_equal(bind(fd, (const void *)&any, sizeof any), 0);
	assert_int_equal(up("default"), 0);
	assert_false(net("default")->dns);
	machine_up(&a, "web1", 1);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_not_equal(a.guest.dns, a.guest.gateway);
	machine_down(&a);
	assert_int_equal(stop("default", false), 0);
	assert_nothing_left();
}

static void test_foreign_bridge(void **state)
{
	struct network_nic nic = {
		.vm = "web1", .nic = "lan", .bridge = "br9", .hostname = "web1"
	};
	_cleanup_(close_fd) int fd = -1;
	struct err e = ERR_INIT;
	uint32_t address = 1;
	struct tap tap;

	(void)state;
	memcpy(nic.mac, (const uint8_t[]){ 0x52, 0x54, 0, 1, 2, 3 }, ETH_ALEN);
	nic.link = true;
	assert_int_equal(networks_claim(w.ns, &nic, &address, &e), 0);
	assert_int_equal(address, 0);
	assert_int_equal(networks_tap(w.ns, &nic, &tap, &fd, &e), 0);
	assert_int_not_equal(networks_join(w.ns, &nic, &tap, &e), 0);
	assert_int_equal(e.class, ERR_NOT_FOUND);
	assert_int_equal(sh("ip link add br9 type veth peer name br9x"), 0);
	assert_int_not_equal(networks_join(w.ns, &nic, &tap, &e), 0);
	assert_int_equal(e.class, ERR_CONFLICT);
	assert_int_equal(sh("ip link del br9 && ip link add br9 type bridge"), 0);
	assert_int_equal(networks_join(w.ns, &nic, &tap, &e), 0);
	assert_int_equal(sh("ip link show master br9 | grep -q 'alias vmkeep:web1:lan'"), 0);
	networks_leave(w.ns, "web1", "lan", &tap);
	assert_int_equal(sh("ip link del br9"), 0);
}

/* Missing programs: without nft no network comes up, without dnsmasq the guests start. */
static void test_missing_programs(void **state)
{
	_cleanup_(free_ptr) char *path = xstrdup(getenv("PATH"));
	_cleanup_(free_ptr) char *nft = xasprintf("ln -s \"$(command -v nft)\" %s/nft", w.dir);

	(void)state;
	assert_int_equal(sh(nft), 0);
	setenv("PATH", w.dir, 1);
	assert_int_equal(up("default"), 0);
	setenv("PATH", "/nonexistent", 1);
	assert_int_equal(net("default")->dnsmasq.state, DNSMASQ_MISSING);
	assert_string_equal(dnsmasq_health(&net("default")->dnsmasq), "dnsmasq is not installed");
	setenv("PATH", path, 1);
	assert_int_equal(stop("default", false), 0);

	setenv("PATH", "/nonexistent", 1);
	assert_int_not_equal(up("default"), 0);
	setenv("PATH", path, 1);
	assert_non_null(strstr(w.answer.text, "nft"));
	assert_nothing_left();
}

/* dnsmasq cannot start: the error contains its own message, and everything is undone. */
static void test_undo(void **state)
{
	_cleanup_(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(67) };

	(void)state;
	assert_int_equal(bind(fd, (const void *)&any, sizeof any), 0);
	assert_int_not_equal(up("default"), 0);
	assert_non_null(strstr(w.answer.text, "Address already in use"));
	assert_nothing_left();
	assert_int_not_equal(up("nowhere"), 0);
	assert_int_equal(w.answer.class, ERR_NOT_FOUND);
}

/* Stopped by force and started again: the guests are attached again. */
static void test_force(void **state)
{
	struct machine a = { 0 };

	(void)state;
	assert_int_equal(up("default"), 0);
	machine_up(&a, "web1", 1);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(stop("default", true), 0);
	/* its tap exists, is down, and cut off from the host */
	assert_int_not_equal(sh("ip link show virbr0 2>/dev/null"), 0);
	assert_int_equal(sh("ip -o link show vk0 | grep -vq '[<,]UP[,>]'"), 0);
	assert_int_equal(sh("test \"$(nft list tables)\" = \"table inet $(nft list tables | "
			    "sed -n 's/^table inet \\(vmkeep.*-taps\\)$/\\1/p')\""),
		0);
	assert_int_equal(up("default"), 0);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(a.guest.address, a.nic.address);
	machine_down(&a);
	assert_int_equal(stop("default", false), 0);
	assert_nothing_left();
}

/* Directories that only root may enter: dnsmasq still finds its host lines. */
static void test_closed_directory(void **state)
{
	struct machine a = { 0 };

	(void)state;
	assert_int_equal(chmod(w.dir, 0700), 0);
	assert_int_equal(up("default"), 0);
	machine_up(&a, "web1", 1);
	assert_true(guest_dhcp(&a.guest, NULL));
	assert_int_equal(a.guest.address, a.nic.address);
	machine_down(&a);
	assert_int_equal(stop("default", false), 0);
}

/* A second daemon with its own directories: neither takes the other's network for its own. */
static void test_two_daemons(void **state)
{
	struct networks *first = w.ns, *second;
	char *run = w.run, *lib = w.state;

	(void)state;
	assert_int_equal(up("default"), 0);
	w.run = xasprintf("%s/run2", w.dir);
	w.state = xasprintf("%s/lib2", w.dir);
	daemon_starts();
	second = w.ns;
	assert_int_equal(up("default"), 0);
	assert_string_equal(net("default")->plan.choice.bridge, "virbr1");
	assert_string_equal(net("default")->plan.table, "vmkeep_default_virbr1");

	w.ns = first;
	assert_int_equal(stop("default", false), 0);
	assert_int_equal(sh("nft list table inet vmkeep_default_virbr1 >/dev/null"), 0);
	assert_int_equal(ip_forward(), '1');
	w.ns = second;
	assert_int_equal(stop("default", false), 0);
	networks_free(second);
	w.ns = first;
	free(w.run);
	free(w.state);
	w.run = run;
	w.state = lib;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_port_53_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_bridge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_programs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undo, setup, teardown),
		cmocka_unit_test_setup_teardown(test_force, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_daemons, setup, teardown),
	};

	if (!netns_enter())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
