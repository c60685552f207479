/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/host.h - checks whether this host is fit for guests
 *
 * A table of checks. Each results in PASS, WARN or FAIL with what was found and how to fix it. Slow
 * facts (KVM test, nft, free space for images) are gathered first, by child processes; the checks
 * themselves read small files of /proc and /sys below a root directory that tests can replace.
 */
#ifndef SUPERVISOR_CHECK_HOST_H
#define SUPERVISOR_CHECK_HOST_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "supervisor/check/store.h"
#include "supervisor/qemu/probe.h"

struct daemon;

enum host_verdict {
	HOST_SILENT /* does not apply here */,
	HOST_PASS,
	HOST_WARN,
	HOST_FAIL,
	HOST_VERDICTS
};
const char *host_verdict_name(enum host_verdict v); /* "PASS" */

enum { HOST_BRIDGES_MAX = 16 };

struct host_facts {
	int root;			   /* fd of / */
	char bridge[HOST_BRIDGES_MAX][16]; /* of vmkeep networks */
	size_t bridges;
	bool networks_up; /* at least one */

	const struct probe *qemu;	  /* NULL: see qemu_error */
	struct err qemu_error, kvm_error; /* empty: no error */
	double kvm_seconds;		  /* that the proof took */
	json_t *ruleset;		  /* NULL: nft failed */
	const struct store_seen *store;	  /* the first is the image directory */
	size_t stores;
};

struct host_row {
	enum host_verdict verdict;
	char text[512], cure[512];
};

/* Fills a row; cure may be NULL. */
void host_row(struct host_row *row, enum host_verdict v, const char *cure, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Table with check, verdict, text and cure, for each check that applies. */
json_t *host_report(const struct host_facts *f);

/* Gathers the facts, then calls done once, from the loop. done owns the table. */
struct host_checking;
struct host_checking *host_check_run(
	struct daemon *d, void (*done)(void *data, json_t *table), void *data);
void host_check_cancel(struct host_checking *h);

/* Fills one row of the report, or leaves it HOST_SILENT if the check does not apply. */
typedef void host_check_fn(const struct host_facts *f, struct host_row *row);

/* host_cpu.c */
host_check_fn host_cpu, host_kvm_device, host_kvm, host_nested, host_iommu, host_qemu,
	host_programs, host_firmware;
/* What is wrong with a store: whether it is there, its space, its mode. */
void host_store(const struct store_seen *s, struct host_row *row);
/* host_system.c */
host_check_fn host_cgroups, host_memory, host_huge_pages, host_room, host_image_access,
	host_clock_source, host_time_sync, host_security;
/* host_net.c */
host_check_fn host_tun, host_bridge, host_forward, host_firewall_dhcp, host_iptables,
	host_bridge_filter, host_ip_forward, host_port_dns, host_port_dhcp, host_libvirt;

/* host_row.c. Reads a file, cut to room bytes and without trailing newlines; false if it cannot be
 * read. */
bool host_read(const struct host_facts *f, const char *path, char *text, size_t size);
bool host_exists(const struct host_facts *f, const char *path);

#endif
