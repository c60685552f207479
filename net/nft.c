/* SPDX-License-Identifier: MIT */
#include "net/nft.h"

static const char nat[] =
	"\tchain nat_postrouting {\n"
	"\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	"\t\tip saddr $subnet ip daddr { 224.0.0.0/24, 255.255.255.255 } return\n"
	"\t\tip saddr $subnet ip daddr != $subnet meta l4proto { tcp, udp } masquerade to :1024-65535\n"
	"\t\tip saddr $subnet ip daddr != $subnet masquerade\n"
	"\t}\n";

/* 8192 connections through the host for each guest address. With br_netfilter frames from guest to
 * guest pass here too: bridge to bridge comes first. */
static const char forward[] =
	"\tset connections {\n"
	"\t\ttype ipv4_addr\n"
	"\t\tsize 65535\n"
	"\t\tflags dynamic\n"
	"\t}\n"
	"\tchain filter_forward {\n"
	"\t\ttype filter hook forward priority filter; policy accept;\n"
	"\t\tiifname $br oifname $br accept\n"
	"\t\tiifname $br ip daddr { 127.0.0.0/8, 169.254.0.0/16 } reject\n"
	"\t\tiifname $br ct original ip daddr { 127.0.0.0/8, 169.254.0.0/16 } reject\n"
	"\t\tiifname $br ip saddr != $subnet reject\n"
	"\t\tiifname $br ct state new add @connections { ip saddr ct count over 8192 } reject\n"
	"\t\tiifname $br ip saddr $subnet accept\n"
	"\t\toifname $br ip daddr $subnet ct state established,related accept\n"
	"\t\tiifname $br reject\n"
	"\t\toifname $br reject\n"
	"\t}\n";

static const char input[] = "\tchain filter_input {\n"
			    "\t\ttype filter hook input priority filter; policy accept;\n"
			    "\t\tiifname != $br accept\n"
			    "\t\tct state established,related accept\n"
			    "\t\tip daddr $self icmp type echo-request accept\n";

/* A DHCP client asks everybody, and to renew only the host. */
static const char input_dhcp[] = "\t\tip daddr { 255.255.255.255, $self } udp dport 67 accept\n";
static const char input_dns[] = "\t\tip daddr $self meta l4proto { tcp, udp } th dport 53 accept\n";
static const char input_rest[] = "\t\treject\n\t}\n";

/* Adding first makes the delete succeed when there was no table. */
int nft_delete(struct buf *b, const char *table)
{
	return buf_printf(b, "table inet %s\ndelete table inet %s\n", table, table);
}

int nft_taps(struct buf *b, const char *table)
{
	const int r = nft_delete(b, table);

	return r < 0 ? r
		     : buf_printf(b,
			       "table inet %s {\n"
			       "\tchain taps_prerouting {\n"
			       "\t\ttype filter hook prerouting priority -450; policy accept;\n"
			       "\t\tiifname \"vk*\" meta iifkind \"tun\" drop\n"
			       "\t}\n"
			       "}\n",
			       table);
}

int nft_rules(struct buf *b, const struct nft_network *n)
{
	const char *const part[] = { nat, forward, input, n->dhcp ? input_dhcp : "",
		n->dns ? input_dns : "", input_rest, "}\n" };
	char net[NET_IP_TEXT], host[NET_IP_TEXT];
	int r;

	net_ip(net, n->address & net_mask(n->prefix), n->prefix);
	net_ip(host, n->address, 0);
	r = buf_printf(b, "define br = \"%s\"\ndefine subnet = %s\ndefine self = %s\n", n->bridge,
		net, host);
	if (r == 0)
		r = nft_delete(b, n->table);
	if (r == 0)
		r = buf_printf(b, "table inet %s {\n", n->table);
	for (size_t i = 0; r == 0 && i < sizeof part / sizeof *part; i++)
		r = buf_adds(b, part[i]);
	return r;
}
