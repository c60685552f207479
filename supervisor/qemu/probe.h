/* SPDX-License-Identifier: MIT */
/*
 * supervisor/qemu/probe.h - what a QEMU binary can do
 *
 * Asked from the binary itself over QMP (-machine none), cached by path, mtime and size in
 * STATE/qemu-probe.json, so that a start costs no probe. Goldens use recorded ones.
 *
 * The document, version 1: {"version": 1, "binary": PATH, "size": BYTES, "mtime": NANOSECONDS,
 * "qemu": [7, 2, 22], "package": TEXT, "machines": {NAME: {"alias": NAME, "deprecated": true}},
 * "devices": {NAME: true}}; devices without the CPU models, which are most of them.
 */
#ifndef SUPERVISOR_QEMU_PROBE_H
#define SUPERVISOR_QEMU_PROBE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct ev_loop;
struct uids;
struct probe;

typedef void probe_done_fn(void *data, const struct probe *p, const struct err *e);

struct probe { /* borrowed views into one JSON document */
	json_t *doc;
	const char *binary; /* absolute path */
	unsigned major, minor, micro;
};

#define PROBE_INIT { 0 }

/* Takes a reference of doc after checking it. */
int probe_from_json(struct probe *p, json_t *doc, struct err *e);
void probe_release(struct probe *p);

/* What QEMU wrote on its monitor (one JSON value per line) as a document; without file's data. */
json_t *probe_from_replies(const char *binary, const char *text, size_t len, struct err *e);
/* What to ask it. */
extern const char probe_questions[];

/* "q35" -> "pc-q35-7.2", an exact name -> itself, unknown -> NULL. */
const char *probe_machine(const struct probe *p, const char *wish);
bool probe_machine_is_deprecated(const struct probe *p, const char *machine);
/* "Debian 1:7.2+dfsg-7", "": its build tells none. */
const char *probe_package(const struct probe *p);
bool probe_has_device(const struct probe *p, const char *driver);
/* Comma separated names for messages: those that are most like the wish, newest first. */
void probe_machines(const struct probe *p, const char *wish, char *buf, size_t len);

/* All known binaries. */
struct probes;
/* jail, root: vmkeep-jail's path and a directory of ours, see jail/plan.h; all borrowed. */
struct probes *probes_new(struct ev_loop *ev, int state_dirfd, const char *jail, const char *root,
	const struct uids *uids);
void probes_free(struct probes *ps);

/* The probe of this binary (name is looked up in PATH, as execvp does). done is called once: at
 * once when it is cached, else from the loop after about 50 ms. A binary that is missing or does
 * not answer in 10 s: ERR_QEMU_FAILED with its stderr. Binary is only ever named by root. The binary runs in the
 * jail as nobody's uid. The probe that is handed out lives as long as ps. */
void probes_get(struct probes *ps, const char *binary, probe_done_fn *done, void *data);
/* Forgets a caller that goes away. */
void probes_forget(struct probes *ps, const void *data);

/* KVM proved by booting 512 bytes (facts: an open and even a KVM_RUN succeed where kernels hang).
 * Three tries of 1 s; success is remembered for this run, failure never. e is NULL on success, p always; done
 * is called at once only when success is remembered, else from the loop. */
void probes_kvm(struct probes *ps, const struct probe *p, probe_done_fn *done, void *data);

#endif
