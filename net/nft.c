/* SPDX-License-Identifier: MIT */
#include "net/nft.h"

#include "base/text.h"

static const char nat[] =
	"\tchain nat_postrouting {\n"
	"\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	"\t\tip saddr $subnet ip daddr { 224.0.0.0/24, 255.255.255.255 } return\n"
	"\t\tip saddr $subnet ip daddr != $subnet meta l4proto { tcp, udp } masquerade to :1024-65535\n"
	"\t\tip saddr $subnet ip daddr != $subnet masquerade\n"
	"\t}\n";

/* Packets with a source outside this network never get a reply, not even a reject: it would go to
 * the real owner of that address. This is done in prerouting, because packets without a route are
 * rejected before any later hook; and by the bridge's MAC, because with br_netfilter frames between
 * guests pass here too. Also, broadcasts and multicasts would be tracked as connections before any
 * rule could reject them. */
static const char prerouting[] =
	"\tchain filter_prerouting {\n"
	"\t\ttype filter hook prerouting priority raw; policy accept;\n"
	"\t\tiifname $br meta pkttype { broadcast, multicast } notrack\n"
	"\t\tiifname $br ether daddr $mac meta nfproto ipv6 drop\n"
	"\t\tiifname $br ether daddr $mac ip saddr != { 0.0.0.0, $subnet } drop\n"
	"\t}\n";

/* Up to 8192 connections to and through the host per guest address. With br_netfilter, frames
 * between guests pass here too: so bridge to bridge comes first. */
static const char forward[] =
	"\tset connections {\n"
	"\t\ttype ipv4_addr\n"
	"\t\tsize 65535\n"
	"\t\tflags dynamic\n"
	"\t}\n"
	"\tchain filter_forward {\n"
	"\t\ttype filter hook forward priority filter; policy accept;\n"
	"\t\tiifname $br oifname $br accept\n"
	"\t\tiifname $br meta nfproto ipv6 drop\n"
	"\t\tiifname $br ip saddr != $subnet drop\n"
	"\t\tiifname $br ip daddr { 127.0.0.0/8, 169.254.0.0/16 } reject\n"
	"\t\tiifname $br ct original ip daddr { 127.0.0.0/8, 169.254.0.0/16 } reject\n"
	"\t\tiifname $br ct state new add @connections { ip saddr ct count over 8192 } reject\n"
	"\t\tiifname $br accept\n"
	"\t\toifname $br ip daddr $subnet ct state established,related accept\n"
	"\t\toifname $br reject\n"
	"\t}\n";

static const char input[] = "\tchain filter_input {\n"
			    "\t\ttype filter hook input priority filter; policy accept;\n"
			    "\t\tiifname != $br accept\n"
			    "\t\tmeta nfproto ipv6 drop\n"
			    "\t\tip saddr != { 0.0.0.0, $subnet } drop\n"
			    "\t\tct state established,related accept\n";

/* A client broadcasts its request, and renews with the host only. Without an address it may do
 * nothing else. This comes before the limit, which would count all clients without an address as
 * one. */
static const char input_dhcp[] =
	"\t\tip daddr { 255.255.255.255, $self } udp sport 68 udp dport 67 accept\n";
static const char input_limit[] =
	"\t\tip saddr 0.0.0.0 drop\n"
	"\t\tmeta pkttype != host drop\n"
	"\t\tct state new add @connections { ip saddr ct count over 8192 } drop\n"
	"\t\tip daddr $self icmp type echo-request accept\n";
static const char input_dns[] = "\t\tip daddr $self meta l4proto { tcp, udp } th dport 53 accept\n";
static const char input_rest[] = "\t\treject\n\t}\n";

/* Adding it first makes the delete succeed even if there was no table. */
void nft_delete(struct buf *b, const char *table)
{
	buf_printf(b, "table inet %s\ndelete table inet %s\n", table, table);
}

void nft_taps(struct buf *b, const char *table)
{
	nft_delete(b, table);
	buf_printf(b,
		"table inet %s {\n"
		"\tchain taps_prerouting {\n"
		"\t\ttype filter hook prerouting priority -450; policy accept;\n"
		"\t\tiifname \"vk*\" meta iifkind \"tun\" drop\n"
		"\t}\n"
		"}\n",
		table);
}

void nft_rules(struct buf *b, const struct nft_network *n)
{
	const char *const part[] = { nat, prerouting, forward, input, n->dhcp ? input_dhcp : "",
		input_limit, n->dns ? input_dns : "", input_rest, "}\n" };
	char net[NET_IP_TEXT], host[NET_IP_TEXT], mac[TEXT_MAC];

	net_ip(net, n->address & net_mask(n->prefix), n->prefix);
	net_ip(host, n->address, 0);
	buf_printf(b, "define br = \"%s\"\ndefine mac = %s\ndefine subnet = %s\ndefine self = %s\n",
		n->bridge, text_mac(mac, n->mac), net, host);
	nft_delete(b, n->table);
	buf_printf(b, "table inet %s {\n", n->table);
	for (size_t i = 0; i < sizeof part / sizeof *part; i++)
		buf_adds(b, part[i]);
}
