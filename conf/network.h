/* SPDX-License-Identifier: MIT */
/*
 * conf/network.h - one network as configured: NAME.network
 *
 * `default` needs no file. Tables: conf/schema_network.c. Addresses are in host byte order.
 */
#ifndef CONF_NETWORK_H
#define CONF_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "conf/vm.h"

enum conf_network_mode { CONF_NETWORK_NAT, CONF_NETWORK_MODES };

struct conf_subnet {
	bool set;	  /* false: auto */
	uint32_t address; /* the host's address in it */
	unsigned prefix;  /* 8 to 30 */
};

struct conf_range {
	bool set; /* false: the whole subnet but the host */
	uint32_t first, last;
};

struct conf_network {
	struct arena arena;
	const char *name;
	struct conf_place place;

	/* [Network] */
	enum conf_network_mode mode;
	const char *bridge; /* NULL: virbr0 for `default`, else vkbr-NAME cut to 15 bytes */
	struct conf_subnet subnet;
	uint64_t mtu; /* bytes, 0: the kernel's default */

	/* [DHCPServer] */
	bool dhcp;
	struct conf_range range;
	uint64_t lease_ms;
	const char *domain;

	/* [DNS] */
	bool dns;
	struct conf_list forward; /* servers; empty: the host's own */

	struct conf_list ignored;
};

#define CONF_NETWORK_INIT { .arena = ARENA_INIT }

void conf_network_release(struct conf_network *c);

#endif
