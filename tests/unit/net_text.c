/* SPDX-License-Identifier: MIT */
/*
 * Proves that the text for nft and dnsmasq is exactly that in tests/golden/net, that both programs
 * accept it, that host lines have no tag, and that a lease file, even if truncated or hostile, is
 * read as what it is. GOLDEN=write writes the goldens.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/dnsmasq.h"
#include "net/nft.h"

static void check_golden(const char *name, const struct buf *b)
{
	_cleanup_(free_ptr) char *path = xasprintf("tests/golden/net/%s", name);
	struct buf g = BUF_INIT;
	struct err e = ERR_INIT;

	if (streq(getenv("GOLDEN"), "write"))
		file_replace(AT_FDCWD, path, 0644, b->data, b->len, false, NULL);
	if (file_read(AT_FDCWD, path, &g, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(b->data, g.data);
	buf_release(&g);
}

static bool have(const char *program)
{
	_cleanup_(free_ptr) char *command = xasprintf("command -v %s >/dev/null", program);

	if (geteuid() == 0 && system(command) == 0)
		return true;
	print_message("not checked by %s: not installed, or we are not root\n", program);
	return false;
}

/* clang-format off */
static const struct nft_network networks[] = {
	{ "vmkeep_default", "virbr0", { 0x52, 0x54, 0, 1, 2, 3 }, 0xc0a87a01, 24, true, true },
	{ "vmkeep_a-b.c", "vkbr-a-b.c", { 0x52, 0x54, 0, 1, 2, 4 }, 0x0a000001, 30, false, false },
};
/* clang-format on */

static void test_nft(void **state)
{
	static const char *const golden[] = { "default.nft", "plain.nft" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++) {
		struct buf b = BUF_INIT;

		nft_rules(&b, &networks[i]);
		check_golden(golden[i], &b);
		buf_release(&b);
	}
}

static void test_nft_taps(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	nft_taps(&b, "vmkeep-taps");
	check_golden("taps.nft", &b);
	buf_release(&b);
}

/* Loaded twice, as after a crash, and then removed. */
static void test_nft_takes_it(void **state)
{
	(void)state;
	if (!have("nft"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(networks); i++) {
		_cleanup_(free_ptr) char *command = NULL;
		struct buf rules = BUF_INIT, gone = BUF_INIT;

		nft_rules(&rules, &networks[i]);
		nft_delete(&gone, networks[i].table);
		command = xasprintf(
			"unshare -n sh -e <<'END'\n"
			"nft -c -f - <<'X'\n%sX\nnft -f - <<'X'\n%sX\nnft -f - <<'X'\n%sX\n"
			"test \"$(nft list tables)\" = 'table inet %s'\n"
			"nft -f - <<'X'\n%sX\nnft -f - <<'X'\n%sX\n"
			"test -z \"$(nft list tables)\"\nEND\n",
			rules.data, rules.data, rules.data, networks[i].table, gone.data,
			gone.data);
		assert_int_equal(system(command), 0);
		buf_release(&rules);
		buf_release(&gone);
	}
}

static const char *const servers[] = { "192.0.2.1", "192.0.2.2" };

#define COMMON                                                                    \
	.hosts_dir = "/run/d/hosts", .resolv_file = "/run/d/resolv.conf",         \
	.lease_file = "/var/lib/d.leases", .domain = "vm.internal", .prefix = 24, \
	.address = 0xc0a87a01, .first = 0xc0a87a02, .last = 0xc0a87afe

/* clang-format off */
static const struct {
	const char *golden;
	struct dnsmasq_conf conf;
} confs[] = {
	{ "default.dnsmasq", { COMMON, .bridge = "virbr0", .lease_ms = 3600000, .dhcp = true,
			       .dns = true } },
	{ "no-dns.dnsmasq", { COMMON, .bridge = "virbr0", .lease_ms = UINT64_MAX, .dhcp = true,
			      .mtu = 9000, .server = servers, .servers = 2 } },
	{ "forward.dnsmasq", { COMMON, .bridge = "vkbr-lab", .dns = true,
			       .server = servers, .servers = 2 } },
};
/* clang-format on */

static void test_dnsmasq(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		struct buf b = BUF_INIT;

		dnsmasq_conf(&b, &confs[i].conf);
		check_golden(confs[i].golden, &b);
		assert_null(strstr(b.data, "dhcp-host="));
		buf_release(&b);
	}
}

static void test_dnsmasq_takes_it(void **state)
{
	(void)state;
	if (!have("dnsmasq"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		_cleanup_(free_ptr) char *command = xasprintf(
			"sed 's,^dhcp-hostsdir=.*,dhcp-hostsdir=/tmp,' tests/golden/net/%s | "
			"dnsmasq --test --conf-file=/dev/stdin 2>/dev/null",
			confs[i].golden);

		assert_int_equal(system(command), 0);
	}
}

static void test_host_line(void **state)
{
	const uint8_t mac[ETH_ALEN] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };
	struct buf b = BUF_INIT;

	(void)state;
	dnsmasq_host(&b, mac, 0xc0a87a07, "web1");
	assert_string_equal(b.data, "52:54:00:ab:cd:ef,192.168.122.7,web1\n");
	buf_release(&b);
}

/* ---- leases ---- */

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* clang-format off */
static const struct {
	const char *text;
	size_t leases;
	uint64_t expires;
	uint32_t address;
	const char *name;
} leases[] = {
	{ "", 0, 0, 0, NULL },
	{ "1700000000 52:54:00:00:00:01 192.168.122.7 web1 01:52:54:00:00:00:01\n",
	  1, 1700000000, 0xc0a87a07, "web1" },
	{ "0 52:54:00:00:00:01 192.168.122.7 * *\n", 1, 0, 0xc0a87a07, "" },
	/* still being written */
	{ "1700000000 52:54:00:00:00:01 192.168.122.7 web1 *", 0, 0, 0, NULL },
	{ "1700000000 52:54:00:00:00:01 192.1\n", 0, 0, 0, NULL },
	/* lines that dnsmasq writes besides IPv4 leases of Ethernet cards */
	{ "duid 00:01:00:01:2b\n1700000000 1234 fd00::7 web1 00:01\n", 0, 0, 0, NULL },
	{ "1700000000 06-52:54:00:00:00:01 192.168.122.7 web1 *\n", 0, 0, 0, NULL },
	/* an invalid name is not shown */
	{ "1 52:54:00:00:00:01 10.0.0.1 \x1b[2J *\n", 1, 1, 0x0a000001, "" },
	{ "1 52:54:00:00:00:01 10.0.0.1 " LONG " *\n", 1, 1, 0x0a000001, "" },
	{ "-1 52:54:00:00:00:01 10.0.0.1 a *\n", 0, 0, 0, NULL },
	{ "99999999999999999999999 52:54:00:00:00:01 10.0.0.1 a *\n", 0, 0, 0, NULL },
	{ "1 52:54:00:00:00:0g 10.0.0.1 a *\n1 52:54:00:00:00 10.0.0.1 a *\n", 0, 0, 0, NULL },
	{ "\n\n \n1 52:54:00:00:00:01 10.0.0.1 a *\n", 1, 1, 0x0a000001, "a" },
};
/* clang-format on */

static void test_leases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(leases); i++) {
		struct dnsmasq_lease *l;

		assert_int_equal(dnsmasq_leases(leases[i].text, strlen(leases[i].text), &l),
			leases[i].leases);
		if (leases[i].leases) {
			assert_int_equal(l->expires, leases[i].expires);
			assert_int_equal(l->address, leases[i].address);
			assert_string_equal(l->name, leases[i].name);
		}
		free(l);
	}
}

/* The maximum number and not one more; NUL bytes; a line without a newline. */
static void test_leases_bounds(void **state)
{
	static const char line[] = "1 52:54:00:00:00:01 10.0.0.1 a *\n";
	struct dnsmasq_lease *l;
	struct buf b = BUF_INIT;

	(void)state;
	for (int i = 0; i < DNSMASQ_LEASES_MAX + 10; i++)
		buf_adds(&b, line);
	assert_int_equal(dnsmasq_leases(b.data, b.len, &l), DNSMASQ_LEASES_MAX);
	free(l);
	assert_int_equal(dnsmasq_leases("1 52\0:54\n", 9, &l), 0);
	free(l);
	memset(b.data, 'x', b.len);
	assert_int_equal(dnsmasq_leases(b.data, b.len, &l), 0);
	free(l);
	buf_release(&b);
}

static void test_resolvers(void **state)
{
	uint32_t address[2];

	(void)state;
	assert_int_equal(
		dnsmasq_resolvers("# nameserver 1.1.1.1\nsearch a b\nnameserver 127.0.0.53\n"
				  "nameserver 2001:db8::1\nnameserver\t192.0.2.1 \n"
				  "nameserver 192.0.2.2\nnameserver 192.0.2.3\n",
			address, ARRAY_SIZE(address)),
		2);
	assert_int_equal(address[0], 0xc0000201);
	assert_int_equal(address[1], 0xc0000202);
	assert_int_equal(dnsmasq_resolvers("", address, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nft),
		cmocka_unit_test(test_nft_taps),
		cmocka_unit_test(test_nft_takes_it),
		cmocka_unit_test(test_dnsmasq),
		cmocka_unit_test(test_dnsmasq_takes_it),
		cmocka_unit_test(test_host_line),
		cmocka_unit_test(test_leases),
		cmocka_unit_test(test_leases_bounds),
		cmocka_unit_test(test_resolvers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
