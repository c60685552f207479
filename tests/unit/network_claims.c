/* SPDX-License-Identifier: MIT */
/*
 * Proves which NIC gets which address, MAC and name, without touching any link: stable, in the
 * pool, never twice, and every refusal names the holder. Also the contents of lists for a network
 * that is down.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "supervisor/host/uids.h"
#include "supervisor/network/private.h"
#include "tests/unit/problems.h"

#define IP(a, b, c, d) \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static struct loop loop;
static char dir[32];
static struct networks *ns;
static struct uids uids;

static void write_file(const char *name, const char *text)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(file_replace(AT_FDCWD, path, 0644, text, strlen(text), false, NULL), 0);
}

static int setup(void **state)
{
	const struct networks_dirs dirs = {
		.config = dir, .state = dir, .run = dir, .jail = "", .uids = &uids
	};

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/vmkeep-netXXXXXX");
	if (!mkdtemp(dir) || loop_init(&loop) < 0)
		return -1;
	write_file("lab.network",
		"[Network]\nAddress=10.7.0.1/24\n[DHCPServer]\nDomain=lab.example\n");
	write_file("tiny.network", "[Network]\nAddress=10.8.0.1/29\n"
				   "[DHCPServer]\nRange=10.8.0.3-10.8.0.4\n");
	write_file("web1.vm", "");
	uids_of_block(&uids, 7);
	ns = networks_new(loop.ev, &dirs);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	networks_free(ns);
	loop_release(&loop);
	file_remove_tree(AT_FDCWD, dir, NULL);
	return 0;
}

static struct network_nic nic_of(const char *vm, const char *network, uint8_t last)
{
	struct network_nic nic = { .vm = vm, .nic = "lan", .network = network, .hostname = vm };

	memcpy(nic.mac, (const uint8_t[]){ 0x52, 0x54, 0, 0, 0, last }, ETH_ALEN);
	nic.link = true;
	return nic;
}

static uint32_t claim(const struct network_nic *nic)
{
	struct err e = ERR_INIT;
	uint32_t address;

	if (networks_claim(ns, nic, &address, &e) < 0)
		fail_msg("%s", e.text);
	return address;
}

static void refused(const struct network_nic *nic, enum err_class class, const char *says)
{
	struct err e = ERR_INIT;
	uint32_t address = 1;

	assert_int_not_equal(networks_claim(ns, nic, &address, &e), 0);
	assert_int_equal(address, 0);
	if (e.class != class || !strstr(e.text, says))
		fail_msg("class %d, '%s', expected '%s'", (int)e.class, e.text, says);
}

static void test_stable(void **state)
{
	struct network_nic a = nic_of("web1", "lab", 1);
	uint32_t first = claim(&a), again;
	bool used[256] = { false };

	(void)state;
	assert_int_equal(claim(&a), first);
	networks_unclaim(ns, "web1");
	assert_int_equal(claim(&a), first);
	networks_unclaim(ns, "web1");

	/* all 253 are assigned, each once */
	for (unsigned i = 1; i < 254; i++) {
		_cleanup_(free_ptr) char *vm = xasprintf("vm%u", i);
		struct network_nic nic = nic_of(vm, "lab", (uint8_t)i);

		again = claim(&nic);
		assert_int_equal(again >> 8, IP(0, 10, 7, 0));
		assert_in_range(again & 255, 2, 254);
		assert_false(used[again & 255]);
		used[again & 255] = true;
	}
	a = nic_of("late", "lab", 255);
	refused(&a, ERR_NO_RESOURCES, "no free address from 10.7.0.2 to 10.7.0.254");
}

static void test_range(void **state)
{
	struct network_nic a = nic_of("a", "tiny", 1), b = nic_of("b", "tiny", 2),
			   c = nic_of("c", "tiny", 3);
	const uint32_t x = claim(&a), y = claim(&b);

	(void)state;
	assert_true(x != y && x >= IP(10, 8, 0, 3) && x <= IP(10, 8, 0, 4));
	refused(&c, ERR_NO_RESOURCES, "10.8.0.3 to 10.8.0.4");
	/* an address from the file may be outside */
	c.address = IP(10, 8, 0, 6);
	c.fixed = true;
	assert_int_equal(claim(&c), IP(10, 8, 0, 6));
}

/* If a network is full, VMs without a file that hold addresses are named, with the command to
 * release them. */
static void test_full(void **state)
{
	struct network_nic a = nic_of("gone1", "tiny", 1), b = nic_of("web1", "tiny", 2),
			   c = nic_of("c", "tiny", 3);
	struct err e = ERR_INIT;
	uint32_t address;

	(void)state;
	claim(&a);
	claim(&b);
	assert_int_not_equal(networks_claim(ns, &c, &address, NULL), 0);
	assert_int_not_equal(networks_claim(ns, &c, &address, &e), 0);
	assert_string_equal(e.hint, "'gone1' holds addresses, but no file: vmkeep forget gone1");
	networks_unclaim(ns, "gone1");
	claim(&c);
}

static void test_fixed(void **state)
{
	static const struct {
		uint32_t address;
		enum err_class class;
		const char *says;
	} cases[] = {
		/* clang-format off */
		{ IP(10, 7, 0, 1), ERR_CONFLICT, "the host's in network 'lab'" },
		{ IP(10, 7, 0, 0), ERR_INVALID_CONFIG, "10.7.0.0/24" },
		{ IP(10, 7, 0, 255), ERR_INVALID_CONFIG, "10.7.0.0/24" },
		{ IP(10, 7, 1, 5), ERR_INVALID_CONFIG, "10.7.1.5" },
		{ IP(10, 7, 0, 5), ERR_CONFLICT, "NIC 'lan' of VM 'web1'" },
		/* clang-format on */
	};
	struct network_nic a = nic_of("web1", "lab", 1), b = nic_of("db1", "lab", 2);

	(void)state;
	a.address = IP(10, 7, 0, 5);
	a.fixed = true;
	assert_int_equal(claim(&a), IP(10, 7, 0, 5));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		b.address = cases[i].address;
		b.fixed = true;
		refused(&b, cases[i].class, cases[i].says);
	}
	/* an address that was only remembered is replaced */
	b.fixed = false;
	assert_int_not_equal(claim(&b), IP(10, 7, 0, 5));
}

/* The VM's file is gone: what it has stays reserved, and the error says how to release it. */
static void test_vanished(void **state)
{
	struct network_nic gone = nic_of("gone", "lab", 1), b = nic_of("web1", "lab", 1);
	struct err e = ERR_INIT;
	uint32_t address = claim(&gone);

	(void)state;
	assert_int_not_equal(networks_claim(ns, &b, &address, &e), 0);
	assert_non_null(strstr(e.hint, "vmkeep forget gone"));
	b = nic_of("web1", "lab", 2);
	b.fixed = true;
	b.address = claim(&gone);
	err_clear(&e);
	assert_int_not_equal(networks_claim(ns, &b, &address, &e), 0);
	assert_non_null(strstr(e.hint, "vmkeep forget gone"));
	b = nic_of("web1", "lab", 2);
	b.hostname = "gone";
	err_clear(&e);
	assert_int_not_equal(networks_claim(ns, &b, &address, &e), 0);
	assert_non_null(strstr(e.text, "the name 'gone' belongs to NIC 'lan' of VM 'gone'"));
	assert_non_null(strstr(e.hint, "vmkeep forget gone"));
	assert_int_not_equal(networks_claim(ns, &b, &address, NULL), 0); /* the error is optional */
	assert_true(networks_claimed(ns, "gone"));
	networks_unclaim(ns, "gone");
	assert_false(networks_claimed(ns, "gone"));
}

static void test_conflicts(void **state)
{
	struct network_nic a = nic_of("web1", "lab", 1), b = nic_of("db1", "lab", 1),
			   bridged = nic_of("old", NULL, 1);

	(void)state;
	claim(&a);
	refused(&b, ERR_CONFLICT, "MAC 52:54:00:00:00:01 belongs to NIC 'lan' of VM 'web1'");
	bridged.bridge = "br0";
	refused(&bridged, ERR_CONFLICT, "VM 'web1'");
	assert_true(networks_mac_taken(ns, a.mac, "db1"));
	assert_false(networks_mac_taken(ns, a.mac, "web1"));
	assert_false(networks_mac_taken(ns, (const uint8_t[ETH_ALEN]){ 2 }, "db1"));

	b = nic_of("db1", "lab", 2);
	b.hostname = "WEB1";
	refused(&b, ERR_CONFLICT, "the name 'WEB1' belongs to NIC 'lan' of VM 'web1'");
	b.network = "tiny";
	claim(&b);
	b = nic_of("c", "nowhere", 3);
	refused(&b, ERR_NOT_FOUND, "no network 'nowhere'");

	/* a refused claim leaves nothing behind */
	networks_unclaim(ns, "web1");
	assert_false(networks_claimed(ns, "d"));
	b = nic_of("d", "lab", 1);
	b.hostname = "web1";
	claim(&b);
}

static void test_second_nic(void **state)
{
	struct network_nic a = nic_of("web1", "lab", 1), b = nic_of("web1", "lab", 2);
	uint32_t first;

	(void)state;
	b.nic = "Back_end";
	first = claim(&a);
	assert_int_not_equal(first, claim(&b));
	assert_string_equal(claims_find(ns, "web1", "lan")->hostname, "web1");
	assert_string_equal(claims_find(ns, "web1", "Back_end")->hostname, "web1-back-end");
	assert_int_equal(claim(&a), first);
	networks_unclaim(ns, "web1");
	assert_null(ns->claims);
}

/* The subnet is unknown before the network is up; addresses are assigned then, and again if it
 * changes. */
static void test_auto(void **state)
{
	struct network_nic a = nic_of("web1", "default", 1);
	struct network *n = networks_find(ns, "default");
	uint32_t first;

	(void)state;
	assert_int_equal(claim(&a), 0);
	n->choice.address = IP(192, 168, 122, 1);
	n->choice.prefix = 24;
	first = claim(&a);
	assert_int_equal(first >> 8, IP(0, 192, 168, 122));
	n->choice.address = IP(192, 168, 130, 1);
	a.address = first;
	assert_int_equal(claim(&a) >> 8, IP(0, 192, 168, 130));
	/* also when the NIC moves to another network */
	a.network = "lab";
	assert_int_equal(claim(&a) >> 8, IP(0, 10, 7, 0));
}

/* An address that dnsmasq leased to a stranger is not assigned. */
static void test_lent(void **state)
{
	struct network_nic a = nic_of("web1", "lab", 1);
	const uint32_t first = claim(&a);
	struct network *n = networks_find(ns, "lab");
	char ip[NET_IP_TEXT];
	_cleanup_(free_ptr) char *lease =
		xasprintf("1 52:54:00:99:99:99 %s * *\n", net_ip(ip, first, 0));

	(void)state;
	networks_unclaim(ns, "web1");
	write_file("networks/lab.leases", lease);
	leases_read(n);
	assert_int_not_equal(claim(&a), first);
	assert_int_equal(claim(&a) >> 8, IP(0, 10, 7, 0));
}

static json_t *row_of(json_t *list, const char *first)
{
	json_t *row, *rows = json_object_get(list, "rows");
	size_t i;

	json_array_foreach (rows, i, row) {
		assert_int_equal(
			json_array_size(row), json_array_size(json_object_get(list, "columns")));
		if (streq(json_string_value(json_array_get(row, 0)), first))
			return row;
	}
	return NULL;
}

static void test_reports(void **state)
{
	struct network_nic a = nic_of("web1", "lab", 1);
	const uint32_t address = claim(&a);
	json_t *list = networks_list(ns), *row = row_of(list, "lab"), *o;
	struct err e = ERR_INIT;
	char ip[NET_IP_TEXT];

	(void)state;
	assert_string_equal(json_string_value(json_array_get(row, 1)), "down");
	assert_string_equal(json_string_value(json_array_get(row, 4)), "10.7.0.0/24");
	assert_non_null(row_of(list, "default"));
	json_decref(list);

	o = networks_show(ns, "lab", &e);
	assert_non_null(o);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(o, "dhcp"), "domain")),
		"lab.example");
	assert_int_equal(json_array_size(json_object_get(o, "nics")), 1);
	json_decref(o);

	list = networks_leases(ns, "lab", &e);
	row = row_of(list, net_ip(ip, address, 0));
	assert_string_equal(json_string_value(json_array_get(row, 2)), "web1");
	assert_true(json_is_false(json_array_get(row, 6)));
	json_decref(list);
	assert_null(networks_show(ns, "nowhere", &e));
	assert_int_equal(e.class, ERR_NOT_FOUND);
	assert_null(networks_leases(ns, "nowhere", &e));
}

static bool answered;
static struct err answer;

static void on_done(void *data, const struct err *e)
{
	(void)data;
	answered = true;
	err_clear(&answer);
	err_copy(&answer, e);
}

/* Files are added, become invalid and are removed. */
static void test_files(void **state)
{
	_cleanup_(free_ptr) char *bad = xasprintf("%s/bad.network", dir);
	struct conf_problems p = { 0 };
	struct network_wait *w;

	(void)state;
	write_file("lab.network", "[Network]\nAddres=10.7.0.1/24\n");
	write_file("bad.network", "[Network]\nMode=magic\n");
	networks_reload(ns, &p);
	assert_int_equal(p.count, 2);
	assert_true(problems_have(&p, "lab.network:2"));
	assert_int_equal(networks_find(ns, "lab")->conf.subnet.address, IP(10, 7, 0, 1));
	conf_problems_release(&p);

	networks_need(ns, "bad", on_done, NULL);
	assert_false(answered); /* from the loop only */
	ev_run(loop.ev, EVRUN_ONCE);
	assert_true(answered);
	assert_int_equal(answer.class, ERR_INVALID_CONFIG);
	answered = false;
	w = networks_need(ns, "bad", on_done, NULL);
	network_wait_cancel(w);
	ev_run(loop.ev, EVRUN_NOWAIT);
	assert_false(answered);

	p = (struct conf_problems){ 0 };
	assert_int_equal(unlink(bad), 0);
	write_file("lab.network", "[Network]\nAddress=10.9.0.1/24\n");
	networks_reload(ns, &p);
	assert_int_equal(p.count, 0);
	assert_null(networks_find(ns, "bad"));
	assert_int_equal(networks_find(ns, "lab")->conf.subnet.address, IP(10, 9, 0, 1));
	conf_problems_release(&p);
}

/* An invalid record or choice is set aside, and nothing else is affected. */
static void test_damaged(void **state)
{
	_cleanup_(free_ptr) char *glob =
		xasprintf("ls %s/networks/x.json.damaged-* >/dev/null", dir);

	(void)state;
	write_file("networks/x.json", "{\"version\": 1, \"bridge\": ");
	assert_int_equal(networks_adopt(ns, NULL), 0);
	assert_int_equal(system(glob), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_range, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vanished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_conflicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_nic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_auto, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
