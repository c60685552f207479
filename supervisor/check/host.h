/* SPDX-License-Identifier: MIT */
/*
 * supervisor/check/host.h - is this host fit for guests?
 *
 * A table of checks, each PASS, WARN or FAIL with what was seen and the cure. What takes time (KVM
 * proof, nft, room on the image directory's file system) is gathered first, by children; the
 * checks themselves read small files of /proc and /sys below a directory that a test replaces.
 */
#ifndef SUPERVISOR_CHECK_HOST_H
#define SUPERVISOR_CHECK_HOST_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
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
	int root; /* descriptor of / */
	const char *image_dir;
	char bridge[HOST_BRIDGES_MAX][16]; /* of our networks */
	size_t bridges;

	const struct probe *qemu;	  /* NULL: qemu_error */
	struct err qemu_error, kvm_error; /* empty: well */
	json_t *ruleset;		  /* NULL: nft could not tell */
	uint64_t room, size; /* of the image directory's file system, 0 of 0: unknown */
	unsigned mode;	     /* of the image directory, 0: unknown */
};

struct host_row {
	enum host_verdict verdict;
	char text[512], cure[512];
};

/* Fills a row; cure may be NULL. */
void host_row(struct host_row *row, enum host_verdict v, const char *cure, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* check, verdict, text, cure; for each check that applies. */
json_t *host_report(const struct host_facts *f);

/* Gathers, then reports; once, from the loop. The result is done's. */
struct host_checking;
struct host_checking *host_check_run(
	struct daemon *d, void (*done)(void *data, json_t *table), void *data);
void host_check_cancel(struct host_checking *h);

/* host_cpu.c, host_system.c, host_net.c */
void host_cpu(const struct host_facts *f, struct host_row *row);
void host_kvm_device(const struct host_facts *f, struct host_row *row);
void host_kvm(const struct host_facts *f, struct host_row *row);
void host_nested(const struct host_facts *f, struct host_row *row);
void host_iommu(const struct host_facts *f, struct host_row *row);
void host_qemu(const struct host_facts *f, struct host_row *row);
void host_programs(const struct host_facts *f, struct host_row *row);
void host_firmware(const struct host_facts *f, struct host_row *row);
void host_cgroups(const struct host_facts *f, struct host_row *row);
void host_memory(const struct host_facts *f, struct host_row *row);
void host_huge_pages(const struct host_facts *f, struct host_row *row);
void host_room(const struct host_facts *f, struct host_row *row);
void host_image_access(const struct host_facts *f, struct host_row *row);
void host_clock_source(const struct host_facts *f, struct host_row *row);
void host_time_sync(const struct host_facts *f, struct host_row *row);
void host_security(const struct host_facts *f, struct host_row *row);
void host_tun(const struct host_facts *f, struct host_row *row);
void host_bridge(const struct host_facts *f, struct host_row *row);
void host_forward(const struct host_facts *f, struct host_row *row);
void host_firewall_dhcp(const struct host_facts *f, struct host_row *row);
void host_iptables(const struct host_facts *f, struct host_row *row);
void host_bridge_filter(const struct host_facts *f, struct host_row *row);
void host_ip_forward(const struct host_facts *f, struct host_row *row);
void host_port_dns(const struct host_facts *f, struct host_row *row);
void host_port_dhcp(const struct host_facts *f, struct host_row *row);
void host_libvirt(const struct host_facts *f, struct host_row *row);

/* host_row.c, for those: the file's text cut to room, without the last newline; false: not there. */
bool host_read(const struct host_facts *f, const char *path, char *text, size_t room);
bool host_exists(const struct host_facts *f, const char *path);

#endif
