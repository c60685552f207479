/* SPDX-License-Identifier: MIT */
#include "net/dhcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

/* Offsets in a message, RFC 2131. */
enum { CIADDR = 12, CHADDR = 28, COOKIE = 236, OPTIONS = 240, BYTES = 300, SERVER_PORT = 67 };

static void dhcp_put(uint8_t *at, uint32_t value)
{
	value = htonl(value);
	memcpy(at, &value, sizeof value);
}

static void dhcp_message(
	uint8_t m[BYTES], const uint8_t mac[ETH_ALEN], uint32_t address, uint32_t server)
{
	/* a request, from Ethernet, MAC of 6 bytes */
	static const uint8_t head[] = { 1, 1, ETH_ALEN };
	/* message type: release; server identifier */
	static const uint8_t options[] = { 53, 1, 7, 54, 4 };

	memset(m, 0, BYTES);
	memcpy(m, head, sizeof head);
	dhcp_put(m + CIADDR, address);
	memcpy(m + CHADDR, mac, ETH_ALEN);
	dhcp_put(m + COOKIE, 0x63825363);
	memcpy(m + OPTIONS, options, sizeof options);
	dhcp_put(m + OPTIONS + sizeof options, server);
	m[OPTIONS + sizeof options + sizeof server] = 255;
}

int dhcp_release(const char *bridge, uint32_t server, const uint8_t mac[ETH_ALEN], uint32_t address,
	struct err *e)
{
	_cleanup_(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(SERVER_PORT),
		.sin_addr.s_addr = htonl(server) };
	uint8_t m[BYTES];

	dhcp_message(m, mac, address, server);
	/* it goes by lo, but to a socket that is bound to the bridge */
	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bridge, (socklen_t)strlen(bridge)) <
			0 ||
		sendto(fd, m, sizeof m, 0, (const struct sockaddr *)(const void *)&to, sizeof to) <
			0)
		return err_errno(e, "tell the DHCP server on '%s'", bridge);
	return 0;
}
