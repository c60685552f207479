/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/qemu/probe_ask.h"
#include "supervisor/host/uids.h"

enum { CACHE_VERSION = 1, CACHE_MAX = 4 << 20, ANSWER_MAX = 1 << 20 };

static const char file_name[] = "qemu-probe.json";
/* A busy host, or one that emulates its CPU, needs more than 10. */
static const double probe_seconds = 60;

struct known { /* one binary */
	struct known *next;
	struct probes *ps;
	char *path;	    /* absolute, or the name as given if not found */
	struct probe probe; /* doc is NULL until a query has succeeded */
	struct stat st;	    /* of the binary being queried */
	struct ask ask;
};

struct probes {
	int dirfd;
	struct ask blank; /* template for known.ask */
	struct kvm kvm;
	struct known *known;
};

static struct known *probe_cache_known_get(struct probes *ps, const char *path)
{
	struct known *k = ps->known;

	while (k && !streq(k->path, path))
		k = k->next;
	if (k)
		return k;
	k = xcalloc(1, sizeof *k);
	k->ps = ps;
	k->ask = ps->blank;
	k->path = xstrdup(path);
	k->next = ps->known;
	ps->known = k;
	return k;
}

/* Finding the binary */

static int64_t probe_cache_mtime_of(const struct stat *st)
{
	return st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec;
}

/* Devices may be modules in separate packages, whose installation does not touch the binary. */
static int64_t probe_cache_newest(const struct stat *binary)
{
	static const char *const modules[] = { "/usr/lib/x86_64-linux-gnu/qemu", "/usr/lib64/qemu",
		"/usr/lib64/qemu-kvm", "/usr/lib/qemu" };
	int64_t t = probe_cache_mtime_of(binary);
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		if (stat(modules[i], &st) == 0 && probe_cache_mtime_of(&st) > t)
			t = probe_cache_mtime_of(&st);
	return t;
}

static bool probe_cache_find_binary(const char *name, char path[PATH_MAX], struct stat *st)
{
	if (child_find(name, path, PATH_MAX))
		return stat(path, st) == 0 && S_ISREG(st->st_mode);
	snprintf(path, PATH_MAX, "%s", name);
	return false;
}

static bool probe_cache_is_current(const struct known *k, const struct stat *st)
{
	json_int_t size, mtime;

	return k->probe.doc && json_object_get(k->probe.doc, "cpus") &&
	       json_unpack(k->probe.doc, "{s:I, s:I}", "size", &size, "mtime", &mtime) == 0 &&
	       size == st->st_size && mtime == probe_cache_newest(st);
}

/* The file */

static void probe_cache_load(struct probes *ps)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(CACHE_MAX);
	struct err e = ERR_INIT;
	json_t *doc = NULL, *list = NULL, *row;
	int version = 0;
	size_t i;

	if (file_read(ps->dirfd, file_name, &text, &e) == 0)
		doc = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
	if (doc && json_unpack(doc, "{s:i, s:o}", "version", &version, "probes", &list) == 0 &&
		version == CACHE_VERSION)
		json_array_foreach (list, i, row) {
			const char *path = json_string_value(json_object_get(row, "binary"));
			struct known *k = path ? probe_cache_known_get(ps, path) : NULL;

			if (k && !k->probe.doc)
				probe_from_json(&k->probe, row, NULL);
		}
	json_decref(doc);
}

/* Losing the file costs one probe, so it is not synced and a failure is only logged. */
static void probe_cache_save(struct probes *ps)
{
	json_t *list = json_array(), *doc;
	struct err e = ERR_INIT;
	char *text;

	for (struct known *k = ps->known; k; k = k->next)
		if (k->probe.doc)
			json_array_append(list, k->probe.doc);
	doc = json_pack("{s:i, s:o}", "version", CACHE_VERSION, "probes", list);
	text = json_dumps(doc, JSON_COMPACT);
	if (text && file_replace(ps->dirfd, file_name, 0644, text, strlen(text), false, &e) < 0)
		log_warning(NULL, "%s", e.text);
	free(text);
	json_decref(doc);
}

/* Querying */

static int probe_cache_describe_end(struct known *k, const struct child_result *r)
{
	_cleanup_(free_ptr) char *said = text_escape(r->err, r->err_len, true);
	size_t n = strlen(said);
	char how[96], late[CHILD_LATE];

	while (n && said[n - 1] == '\n')
		said[--n] = '\0';
	if (r->status == -ETIMEDOUT)
		snprintf(how, sizeof how, "it %s", child_late(r, late));
	else if (r->status < 0)
		snprintf(how, sizeof how, "%s", strsignal(-r->status));
	else
		snprintf(how, sizeof how, "exit status %d", r->status);
	return err_set(&k->ask.err, ERR_QEMU_FAILED, "probe '%s': %s%s%s", k->path, how,
		n ? "\n" : "", said);
}

static void probe_cache_on_answered(
	void *data, const struct child_result *r, const struct err *jail)
{
	struct known *k = data;
	struct probe fresh = PROBE_INIT;
	json_t *doc = NULL;
	int rc = 0;

	k->ask.asked = NULL;
	if (jail) {
		err_copy(&k->ask.err, jail);
		rc = err_class(&k->ask.err, ERR_QEMU_FAILED);
	} else if (r->status != 0)
		rc = probe_cache_describe_end(k, r);
	else if (!(doc = probe_from_replies(k->path, r->out, r->out_len, &k->ask.err)))
		rc = k->ask.err.number;
	if (rc == 0) {
		json_object_set_new(doc, "size", json_integer(k->st.st_size));
		json_object_set_new(doc, "mtime", json_integer(probe_cache_newest(&k->st)));
		rc = probe_from_json(&fresh, doc, &k->ask.err);
	}
	json_decref(doc);
	if (rc == 0) {
		probe_release(&k->probe);
		k->probe = fresh;
		probe_cache_save(k->ps);
		log_info(NULL, "%s is QEMU %u.%u.%u", k->path, fresh.major, fresh.minor,
			fresh.micro);
	}
	ask_answer(&k->ask, rc == 0 ? &k->probe : NULL, rc == 0 ? NULL : &k->ask.err);
}

static void probe_cache_ask(struct known *k)
{
	const char *argv[] = { k->path, "-machine", "none", "-nodefaults", "-no-user-config",
		"-display", "none", "-qmp", "stdio", NULL };
	const struct child_options options = {
		.input = probe_questions, .out_max = ANSWER_MAX, .timeout = probe_seconds
	};

	ask_run(&k->ask, argv, NULL, NULL, 0, &options, probe_cache_on_answered, k);
}

void probes_get(struct probes *ps, const char *binary, probe_done_fn *done, void *data)
{
	char path[PATH_MAX];
	struct stat st;
	bool found = probe_cache_find_binary(binary, path, &st);
	struct known *k = probe_cache_known_get(ps, path);

	if (found && probe_cache_is_current(k, &st)) {
		done(data, &k->probe, NULL);
		return;
	}
	if (!ask_wait(&k->ask, done, data))
		return;
	if (found) {
		k->st = st;
		probe_cache_ask(k);
		return;
	}
	if (strchr(binary, '/') && stat(binary, &st) == 0)
		err_set(&k->ask.err, ERR_QEMU_FAILED, "'%s' is not a program that may be run: %s",
			binary, strerror(S_ISDIR(st.st_mode) ? EISDIR : EACCES));
	else
		err_set(&k->ask.err, ERR_QEMU_FAILED, "there is no program '%s'", binary);
	err_hint(&k->ask.err, "install the package qemu-system-x86, or write Binary= in [QEMU]");
	ask_failed(&k->ask);
}

void probes_forget(struct probes *ps, const void *data)
{
	for (struct known *k = ps->known; k; k = k->next) {
		ask_forget(&k->ask, data);
	}
	ask_forget(&ps->kvm.ask, data);
}

void probes_kvm(struct probes *ps, const struct probe *p, probe_done_fn *done, void *data)
{
	kvm_prove(&ps->kvm, p->binary, done, data);
}

double probes_kvm_seconds(const struct probes *ps)
{
	return ps->kvm.took;
}

void probes_kvm_doubt(struct probes *ps)
{
	kvm_doubt(&ps->kvm);
}

struct probes *probes_new(struct ev_loop *ev, int state_dirfd, const char *jail, const char *root,
	const struct uids *uids)
{
	struct probes *ps = xcalloc(1, sizeof *ps);

	ps->dirfd = state_dirfd;
	ps->blank = (struct ask){
		.ev = ev, .jail = jail, .root = root, .uids = uids, .class = ERR_QEMU_FAILED
	};
	kvm_init(&ps->kvm, &ps->blank, "kvm");
	probe_cache_load(ps);
	return ps;
}

void probes_free(struct probes *ps)
{
	if (!ps)
		return;
	for (struct known *k = ps->known, *next; k; k = next) {
		next = k->next;
		ask_release(&k->ask);
		probe_release(&k->probe);
		free(k->path);
		free(k);
	}
	kvm_release(&ps->kvm);
	free(ps);
}
