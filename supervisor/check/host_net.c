/* SPDX-License-Identifier: MIT */
/* Checks of network requirements, and of other software that interferes. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "supervisor/check/host.h"
#include "supervisor/host/port.h"
#include "supervisor/check/ruleset.h"

enum { TABLE_TEXT = 64 << 10 };

static const char usual_bridge[] = "virbr0"; /* of network default, until it has been up */

static size_t host_net_bridges(const struct host_facts *f)
{
	return f->bridges ? f->bridges : 1;
}

static const char *host_net_bridge(const struct host_facts *f, size_t i)
{
	return f->bridges ? f->bridge[i] : usual_bridge;
}

/* --- modules --- */

void host_tun(const struct host_facts *f, struct host_row *row)
{
	if (host_exists(f, "dev/net/tun"))
		host_row(row, HOST_PASS, NULL, "/dev/net/tun is there");
	else
		host_row(row, HOST_FAIL, "modprobe tun", "there is no /dev/net/tun");
}

static bool host_net_can_be_loaded(const struct host_facts *f)
{
	static const char *const endings[] = { "", ".xz", ".zst", ".gz" };
	struct utsname host;
	char path[256];

	uname(&host);
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		snprintf(path, sizeof path, "lib/modules/%s/kernel/net/bridge/bridge.ko%s",
			host.release, endings[i]);
		if (host_exists(f, path))
			return true;
	}
	return false;
}

static bool host_net_is_builtin(const struct host_facts *f)
{
	char *text = xcalloc(1, TABLE_TEXT), path[128];
	struct utsname host;
	bool found;

	uname(&host);
	snprintf(path, sizeof path, "lib/modules/%s/modules.builtin", host.release);
	found = host_read(f, path, text, TABLE_TEXT) && strstr(text, "/bridge.ko");
	free(text);
	return found;
}

void host_bridge(const struct host_facts *f, struct host_row *row)
{
	if (f->bridges || host_exists(f, "sys/module/bridge") ||
		host_exists(f, "proc/sys/net/bridge"))
		host_row(row, HOST_PASS, NULL, "in use or loaded");
	else if (host_net_can_be_loaded(f) || host_net_is_builtin(f))
		host_row(row, HOST_PASS, NULL, "the kernel has them");
	else
		host_row(row, HOST_WARN,
			"modprobe bridge; if that fails, install the kernel's modules package",
			"the kernel's module is not found");
}

/* --- firewalls --- */

/* The interface of the default route; "" if there is none. */
static void host_net_uplink(const struct host_facts *f, char name[16])
{
	char *text = xcalloc(1, TABLE_TEXT), iface[16];
	unsigned long to;

	name[0] = '\0';
	host_read(f, "proc/net/route", text, TABLE_TEXT);
	for (char *line = strchr(text, '\n'); line && !name[0]; line = strchr(line, '\n'))
		if (sscanf(++line, "%15s %lx", iface, &to) == 2 && to == 0)
			snprintf(name, 16, "%s", iface);
	free(text);
}

static void host_net_cure_drop(const struct host_facts *f, const struct ruleset_drop *by,
	const char *br, bool input, char cure[512])
{
	const char *rule = input ? "udp dport { 53, 67 } accept" : "accept";

	if (streq(by->table, "firewalld"))
		snprintf(cure, 512,
			"firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd --reload",
			br);
	else if (!input && ruleset_has_chain(f->ruleset, by->family, by->table, "DOCKER-USER"))
		snprintf(cure, 512,
			"iptables -I DOCKER-USER -i %s -j ACCEPT; iptables -I DOCKER-USER -o %s -j ACCEPT",
			br, br);
	else if (input)
		snprintf(cure, 512, "nft 'insert rule %s %s %s iifname \"%s\" %s'", by->family,
			by->table, by->chain, br, rule);
	else
		snprintf(cure, 512,
			"nft 'insert rule %s %s %s iifname \"%s\" %s; insert rule %s %s %s oifname \"%s\" %s'",
			by->family, by->table, by->chain, br, rule, by->family, by->table,
			by->chain, br, rule);
}

/* Reports a foreign rule that drops this packet. */
static bool host_net_drops(const struct host_facts *f, struct host_row *row,
	const struct ruleset_packet *p, const char *br, const char *what)
{
	struct ruleset_drop by;
	char cure[512];

	if (!ruleset_drops(f->ruleset, p, &by))
		return false;
	if (p->bridged && !streq(by.family, "bridge"))
		snprintf(cure, sizeof cure,
			"sysctl net.bridge.bridge-nf-call-iptables=0, or let them through there");
	else
		host_net_cure_drop(f, &by, br, streq(p->hook, "input"), cure);
	host_row(row, HOST_FAIL, cure, "%s chain '%s' of table %s %s drops %s",
		by.policy ? "by its policy," : "a rule in", by.chain, by.family, by.table, what);
	return true;
}

static bool host_net_no_ruleset(const struct host_facts *f, struct host_row *row)
{
	if (!f->ruleset)
		host_row(row, HOST_WARN, "nft list ruleset shows why",
			"nft did not list the rules in force");
	return !f->ruleset;
}

void host_forward(const struct host_facts *f, struct host_row *row)
{
	static const char what[] = "traffic between guests and other networks";
	char out[16];

	if (host_net_no_ruleset(f, row))
		return;
	host_net_uplink(f, out);
	for (size_t i = 0; i < host_net_bridges(f); i++) {
		const char *br = host_net_bridge(f, i), *other = out[0] ? out : NULL;
		const struct ruleset_packet there = { .hook = "forward",
			.routed = true,
			.field = { { "iifname", br }, { "ct state", "new" },
				{ other ? "oifname" : NULL, other } } };
		const struct ruleset_packet back = { .hook = "forward",
			.routed = true,
			.field = { { "oifname", br }, { "ct state", "established" },
				{ other ? "iifname" : NULL, other } } };

		if (host_net_drops(f, row, &there, br, what) ||
			host_net_drops(f, row, &back, br, what))
			return;
	}
	host_row(row, HOST_PASS, NULL, "no foreign rule drops guests' traffic");
}

void host_firewall_dhcp(const struct host_facts *f, struct host_row *row)
{
	if (!f->ruleset)
		return; /* reported by host_forward() */
	for (size_t i = 0; i < host_net_bridges(f); i++) {
		const struct ruleset_packet ask = { .hook = "input",
			.routed = true,
			.field = { { "iifname", host_net_bridge(f, i) }, { "ct state", "new" },
				{ "l4proto", "udp" }, { "udp dport", "67" },
				{ "th dport", "67" } } };

		if (host_net_drops(f, row, &ask, host_net_bridge(f, i),
			    "guests' requests for an address (DHCP)"))
			return;
	}
	host_row(row, HOST_PASS, NULL, "no foreign rule drops requests for an address");
}

void host_iptables(const struct host_facts *f, struct host_row *row)
{
	char text[256];

	if (!host_read(f, "proc/net/ip_tables_names", text, sizeof text) || !strstr(text, "filter"))
		host_row(row, HOST_PASS, NULL, "no legacy iptables rules");
	else
		host_row(row, HOST_WARN,
			"iptables-legacy -S FORWARD shows whether they drop guests' traffic",
			"there are legacy iptables rules besides nft's, which nft does not show");
}

void host_bridge_filter(const struct host_facts *f, struct host_row *row)
{
	char text[8] = "";
	bool on = host_read(f, "proc/sys/net/bridge/bridge-nf-call-iptables", text, sizeof text) &&
		  text[0] == '1';

	for (size_t i = 0; f->ruleset && i < host_net_bridges(f); i++) {
		const char *br = host_net_bridge(f, i);
		const struct ruleset_packet between = { .hook = "forward",
			.routed = on,
			.bridged = true,
			.field = { { "iifname", br }, { "oifname", br }, { "ct state", "new" } } };

		if (host_net_drops(f, row, &between, br, "traffic between guests on one bridge"))
			return;
	}
	host_row(row, HOST_PASS, NULL,
		on ? "pass through the firewall's rules (bridge-nf-call-iptables=1), which accept them"
		   : "bypass the firewall's rules");
}

void host_ip_forward(const struct host_facts *f, struct host_row *row)
{
	char text[8];

	if (host_read(f, "proc/sys/net/ipv4/ip_forward", text, sizeof text) && text[0] == '1')
		host_row(row, HOST_PASS, NULL, "on");
	else if (f->networks_up)
		host_row(row, HOST_FAIL, "vmkeep reload switches it on again",
			"off, though networks are up: guests reach nothing beyond this host");
	else
		host_row(row, HOST_PASS, NULL, "off; the first network enables it");
}

/* --- ports --- */

/* True if the port is in use on the wildcard address. */
static bool host_net_is_taken(const struct host_facts *f, unsigned port, char who[HOST_WHO])
{
	static const char *const tables[] = { "proc/net/udp", "proc/net/udp6", "proc/net/tcp",
		"proc/net/tcp6" };
	unsigned long inode = 0;

	for (size_t i = 0; !inode && i < ARRAY_SIZE(tables); i++)
		inode = host_port_inode(f->root, tables[i], i >= 2, NULL, port);
	if (inode)
		host_socket_holder(f->root, inode, who);
	return inode;
}

void host_port_dns(const struct host_facts *f, struct host_row *row)
{
	char who[HOST_WHO];

	if (host_net_is_taken(f, 53, who))
		host_row(row, HOST_WARN,
			"restrict it to addresses of its own (listen-on, interface=), or write [DNS] Enable=no in the .network file",
			"%s uses it on all addresses: networks cannot offer DNS", who);
	else
		host_row(row, HOST_PASS, NULL, "no program uses it on all addresses");
}

void host_port_dhcp(const struct host_facts *f, struct host_row *row)
{
	char who[HOST_WHO];

	/* dnsmasq, ours or not, shares the port per interface */
	if (host_net_is_taken(f, 67, who) && strncmp(who, "dnsmasq ", 8) != 0)
		host_row(row, HOST_WARN, "restrict it to interfaces of its own, or stop it",
			"%s uses it on all addresses: networks cannot offer DHCP", who);
	else
		host_row(row, HOST_PASS, NULL, "free, or shared by the program that uses it");
}

void host_libvirt(const struct host_facts *f, struct host_row *row)
{
	char alias[64];

	if (!host_exists(f, "sys/class/net/virbr0/bridge"))
		return;
	host_read(f, "sys/class/net/virbr0/ifalias", alias, sizeof alias);
	if (strncmp(alias, "vmkeep:", 7) == 0)
		return;
	host_row(row, HOST_WARN,
		"nothing needs to be done; virsh net-destroy default && virsh net-autostart --disable default "
		"frees name and addresses",
		"virbr0 belongs to another program, usually libvirt's default network: ours takes the next free bridge and "
		"subnet");
}
