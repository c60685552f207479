/* SPDX-License-Identifier: MIT */
/*
 * Proves with a second namespace as "the internet" that guests reach it through the host's address,
 * that nothing there can reach them, and that link-local addresses such as a cloud's metadata
 * service are out of their reach. Needs root; otherwise everything is skipped.
 */
#include "tests/unit/netns.h"

enum { ECHO_PORT = 7, POKE_PORT = 8 };

/* Answers each datagram with the address that it came from; "poke A.B.C.D" first sends one
 * there. */
static void internet(int ready, int go)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(ECHO_PORT) };
	const struct sockaddr_in poke_from = { .sin_family = AF_INET,
		.sin_port = htons(POKE_PORT) };
	int fd, poke;
	char c = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0 || write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
		_exit(1);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	poke = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(fd, (const void *)&any, sizeof any) < 0 ||
		bind(poke, (const void *)&poke_from, sizeof poke_from) < 0)
		_exit(1);
	for (;;) {
		char text[64] = "", ip[INET_ADDRSTRLEN];
		struct sockaddr_in from, to = { .sin_family = AF_INET, .sin_port = htons(4000) };
		socklen_t len = sizeof from;

		if (recvfrom(fd, text, sizeof text - 1, 0, (void *)&from, &len) < 0)
			_exit(1);
		if (inet_pton(AF_INET, text, &to.sin_addr) == 1)
			sendto(poke, "poke", 4, 0, (const void *)&to, sizeof to);
		inet_ntop(AF_INET, &from.sin_addr, ip, sizeof ip);
		sendto(fd, ip, strlen(ip), 0, (const void *)&from, len);
	}
}

static pid_t internet_up(void)
{
	int ready[2], go[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(ready) | pipe(go), 0);
	pid = fork();
	if (pid == 0)
		internet(ready[1], go[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	_cleanup_(free_ptr) char *command = xasprintf(
		"set -e; ip link add up0 type veth peer name in0 netns %d\n"
		"ip addr add 203.0.113.2/24 dev up0; ip link set up0 up\n"
		"ip route add 169.254.169.254 via 203.0.113.1\n"
		"nsenter -t %d -n sh -ec 'ip addr add 203.0.113.1/24 dev in0; ip link set in0 up;"
		" ip link set lo up; ip addr add 169.254.169.254/32 dev lo;"
		" ip route add 192.168.122.0/24 via 203.0.113.2'",
		(int)pid, (int)pid);
	assert_int_equal(sh(command), 0);
	assert_int_equal(write(go[1], &c, 1), 1);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
	}
	return pid;
}

struct datagram {
	uint16_t port;
	char text[64];
};

static bool take_any(
	struct guest *g, const struct iphdr *ip, const uint8_t *data, size_t len, void *arg)
{
	struct datagram *d = arg;

	(void)g, (void)ip;
	if (len < 9 || guest_u32(data) == 0)
		return false;
	d->port = (uint16_t)(data[0] << 8 | data[1]);
	if (d->port != ECHO_PORT && d->port != POKE_PORT)
		return false;
	len = (size_t)(data[4] << 8 | data[5]) - 8;
	snprintf(d->text, sizeof d->text, "%.*s", (int)len, (const char *)data + 8);
	return true;
}

static void test_nat(void **state)
{
	const pid_t pid = internet_up();
	struct machine a = { 0 };
	struct datagram d;
	char ip[NET_IP_TEXT];

	(void)state;
	assert_int_equal(up("default"), 0);
	machine_up(&a, "web1", 1);
	assert_true(guest_dhcp(&a.guest, NULL));
	net_ip(ip, a.guest.address, 0);

	/* hidden behind the host; the poke, sent before the answer, does not arrive */
	guest_udp(&a.guest, a.guest.gateway_mac, a.guest.address, 0xcb007101, 4000, ECHO_PORT, ip,
		strlen(ip));
	assert_true(guest_wait(&a.guest, IPPROTO_UDP, stretched_ms(1), take_any, &d));
	assert_int_equal(d.port, ECHO_PORT);
	assert_string_equal(d.text, "203.0.113.2");

	/* the metadata service */
	guest_udp(&a.guest, a.guest.gateway_mac, a.guest.address, 0xa9fea9fe, 4000, ECHO_PORT, "x",
		1);
	assert_int_equal(guest_icmp(&a.guest), ICMP_DEST_UNREACH);

	machine_down(&a);
	assert_int_equal(stop("default", false), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nat, setup, teardown),
	};

	if (!netns_enter())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
