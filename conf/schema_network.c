/* SPDX-License-Identifier: MIT */
#include "conf/row.h"
#include "conf/word.h"

static const char *const mode_names[] = { [CONF_NETWORK_NAT] = "nat" };
_Static_assert(ARRAY_SIZE(mode_names) == CONF_NETWORK_MODES, "a mode has no name");

/* clang-format off */
static const struct conf_key network_keys[] = {
	{ .name = "Mode",     ENUM(conf_network_mode, conf_network, mode, mode_names),
	  .preset = "nat",
	  .help = "How guests reach the outside: nat translates their addresses to the host's." },
	{ .name = "Bridge",   STRING(WORD, conf_network, bridge),
	  .check = conf_word_ifname, .what = "an interface name of at most 15 bytes",
	  .help = "Name of the bridge to create. Default: virbr0 for the network 'default', "
		  "otherwise vkbr-NAME cut to 15 bytes." },
	{ .name = "Address",  SUBNET(conf_network, subnet), .preset = "auto",
	  .help = "The host's address in the network with its prefix length (8 to 30), such as "
		  "192.168.122.1/24. auto selects the first /24 that nothing else on the host "
		  "uses." },
	{ .name = "MTUBytes", UINT(conf_network, mtu, 576, 65535),
	  .help = "MTU of the bridge and its guests. Default: the kernel's, 1500." },
};

static const struct conf_key dhcp_keys[] = {
	{ .name = "Enable",   BOOL(conf_network, dhcp), .preset = "yes",
	  .help = "Whether guests get addresses by DHCP." },
	{ .name = "Range",    RANGE(conf_network, range),
	  .help = "First and last address for guests, such as 192.168.122.10-192.168.122.99. "
		  "Needs Address=. Default: the whole network except the host's address." },
	{ .name = "LeaseSec", TIME(conf_network, lease_ms), .min = 120000, .preset = "1h",
	  .help = "Lease time, at least 2min." },
	{ .name = "Domain",   STRING(WORD, conf_network, domain), .preset = "vm.internal",
	  .check = conf_word_domain, .what = "a DNS domain",
	  .help = "Domain of the guests' names: web1.vm.internal." },
};

static const struct conf_key dns_keys[] = {
	{ .name = "Enable",  BOOL(conf_network, dns), .preset = "yes",
	  .help = "Whether the host answers the guests' DNS queries." },
	{ .name = "Forward", LIST(WORD, conf_network, forward),
	  .check = conf_word_ip, .what = "an IP address",
	  .help = "Name servers to which other queries are forwarded. Default: the host's own." },
};

static const struct conf_section sections[] = {
	{ .name = "Network",    KEYS(network_keys), .help = "The bridge and its addresses." },
	{ .name = "DHCPServer", KEYS(dhcp_keys),    .help = "Addresses for the guests." },
	{ .name = "DNS",        KEYS(dns_keys),     .help = "Names for the guests." },
};
/* clang-format on */

const struct conf_schema conf_network_schema = {
	.section = sections,
	.sections = ARRAY_SIZE(sections),
	.size = sizeof(struct conf_network),
	.ignored = offsetof(struct conf_network, ignored),
};

const char *conf_network_mode_name(enum conf_network_mode v)
{
	return mode_names[v];
}
