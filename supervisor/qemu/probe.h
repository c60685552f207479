/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/probe.h - the capabilities of a QEMU binary
 *
 * Queried from the binary itself over QMP (-machine none) and cached in STATE/qemu-probe.json by
 * path, mtime and size, so that a start normally needs no probe. Golden tests use recorded ones.
 *
 * The document, version 1: {"version": 1, "binary": PATH, "size": BYTES, "mtime": NANOSECONDS,
 * "qemu": [7, 2, 22], "package": TEXT, "machines": {NAME: {"alias": NAME, "deprecated": true,
 * "cpu_max": 288}}, "devices": {NAME: true}, "cpus": {NAME: true}, "features": {NAME: true}}; devices
 * without CPU models, which would be most of them. cpus, features and cpu_max are younger than version
 * 1: without them every name and number is accepted, and a cached document is queried again.
 */
#ifndef SUPERVISOR_QEMU_PROBE_H
#define SUPERVISOR_QEMU_PROBE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ev_loop;
struct uids;
struct probe;

typedef void probe_done_fn(void *data, const struct probe *p, const struct err *e);

struct probe { /* borrowed pointers into one JSON document */
	json_t *doc;
	const char *binary; /* absolute path */
	unsigned major, minor, micro;
};

#define PROBE_INIT { 0 }

/* Checks doc and takes a reference to it. */
int probe_from_json(struct probe *p, json_t *doc, struct err *e);
void probe_release(struct probe *p);

/* Builds the document from QEMU's monitor output (one JSON value per line), without size and
 * mtime. */
json_t *probe_from_replies(const char *binary, const char *text, size_t len, struct err *e);
/* The QMP input to send. */
extern const char probe_questions[];

/* "q35" -> "pc-q35-7.2", a versioned name -> itself, unknown -> NULL. */
const char *probe_machine(const struct probe *p, const char *wish);
bool probe_machine_is_deprecated(const struct probe *p, const char *machine);
/* "Debian 1:7.2+dfsg-7"; "" if the build has none. */
const char *probe_package(const struct probe *p);
bool probe_has_device(const struct probe *p, const char *driver);
/* The most CPUs of a versioned machine; UINT64_MAX if unknown. */
uint64_t probe_cpu_max(const struct probe *p, const char *machine);
/* CPU models, and features: QEMU takes _ for -. True also if they are unknown. */
bool probe_has_cpu(const struct probe *p, const char *model);
bool probe_has_feature(const struct probe *p, const char *feature);
/* The nearest feature, NULL if none is near. */
const char *probe_nearest_feature(const struct probe *p, const char *feature);
/* As probe_machines(): models of the same family, else the nearest one. "" if none is near. */
void probe_cpus(const struct probe *p, const char *wish, char *buf, size_t len);
/* Comma separated names for messages: those most similar to wish, newest first. */
void probe_machines(const struct probe *p, const char *wish, char *buf, size_t len);

/* The probes of all binaries. */
struct probes;
/* jail, root: the path of vmkeep-jail and a directory of ours, see jail/plan.h; all borrowed. */
struct probes *probes_new(struct ev_loop *ev, int state_dirfd, const char *jail, const char *root,
	const struct uids *uids);
void probes_free(struct probes *ps);

/* The probe of this binary (name is looked up in PATH, as execvp does). done is called once:
 * immediately if cached, else from the loop after about 50 ms. ERR_QEMU_FAILED with its stderr if
 * the binary is missing or does not answer within a minute. Only root can choose the binary. It runs in
 * the jail with the uid for probes. The probe passed to done lives as long as ps. */
void probes_get(struct probes *ps, const char *binary, probe_done_fn *done, void *data);
/* Drops the callbacks of a caller that goes away. */
void probes_forget(struct probes *ps, const void *data);

/* Tests KVM by booting 512 bytes: opening /dev/kvm and even a KVM_RUN succeed on hosts where kernels
 * hang. Tries of 1, 5 and 30 s. Success is remembered while /dev/kvm stays the same device and can
 * be opened. A failure is tested again each time, without the 30 s for 5 minutes after a hang. e is
 * NULL on success, p always; done is called immediately only if success is remembered, else from
 * the loop. */
void probes_kvm(struct probes *ps, const struct probe *p, probe_done_fn *done, void *data);
/* The seconds that the successful test took. More than 1: slow, but not broken. */
double probes_kvm_seconds(const struct probes *ps);
/* A QEMU failed with it: the next start tests KVM again. */
void probes_kvm_doubt(struct probes *ps);

#endif
