/* SPDX-License-Identifier: MIT */
#include "supervisor/make/fetch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/job.h"
#include "supervisor/make/catalogue.h"
#include "supervisor/make/curl.h"
#include "supervisor/make/fetch_words.h"
#include "supervisor/make/look.h"

static const double PROGRESS_SECONDS = 1;

/* A server may send without end: so much of the store's file system is left, or a twentieth if that is
 * less. */
enum { ROOM = 1 << 30, SHARE = 20 };

struct fetch {
	struct fetch *next;
	struct daemon *daemon;
	struct job *job;
	char *name, *store, *url;
	char *dir, *path;	       /* of the store, and of the partial file in it */
	char digest[SUMS_HEX_MAX + 1]; /* "": not known yet */
	const char *proof;	       /* static: what says that it is the right one */
	struct confined *program;      /* curl or qemu-img */
	struct sums *sums;
	int headers; /* of curl_headers() */
	struct loop_timer timer;
	bool asking, cancelled, full, ended;
	struct err why; /* while the partial file is being removed */
};

static struct fetch *running;

/* Why a fetch cannot begin, or go on now that its digest is known: another one has it, or the name. */
static int fetch_conflict(const struct fetch *own, const char *store, const char *name,
	const char *hex, struct err *e)
{
	for (const struct fetch *f = running; f; f = f->next)
		if (f != own && streq(f->store, store) &&
			((*hex && streq(f->digest, hex)) || streq(f->name, name)))
			return err_set(e, ERR_CONFLICT, "it is being fetched already, by job %u",
				f->job->id);
	return 0;
}

int fetch_check(const struct fetch_what *w, char hex[SUMS_HEX_MAX + 1], struct err *e)
{
	return fetch_words(w, hex, e) < 0 ? e->number
					  : fetch_conflict(NULL, w->store, w->name, hex, e);
}

json_t *fetch_running(const char *store)
{
	json_t *digests = json_array();

	for (const struct fetch *f = running; f; f = f->next)
		if (streq(f->store, store))
			json_array_append_new(digests, json_string(f->digest));
	return digests;
}

/* --- the end --- */

static void fetch_free(struct fetch *f)
{
	struct fetch **at = &running;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	loop_timer_stop(&f->timer);
	close_fd(&f->headers);
	free(f->name);
	free(f->store);
	free(f->url);
	free(f->dir);
	free(f->path);
	free(f);
}

static void fetch_end(struct fetch *f, bool changed, const struct err *e)
{
	f->job->cancel = NULL;
	job_finish(f->job,
		e ? NULL
		  : json_pack("{s:s, s:s, s:b}", "image", f->name, "store", f->store, "changed",
			    changed),
		e);
	f->ended = true;
	loop_timer_stop(&f->timer);
	if (!f->asking)
		fetch_free(f);
}

static bool fetch_fails(const struct fetch *f, const struct err *failed, struct err *e)
{
	if (failed)
		err_copy(e, failed);
	else if (!f->daemon->emit)
		err_set(e, ERR_FAILED, "the daemon is ending");
	else if (f->cancelled)
		err_set(e, ERR_FAILED, "cancelled; another fetch continues with what is there");
	return e->number;
}

static int fetch_ask(struct fetch *f, const char *what, image_fn *done, struct err *e)
{
	json_t *request = image_request(f->daemon, what, f->store, e);

	if (!request)
		return e->number;
	json_object_set_new(request, "image", json_string(f->name));
	json_object_set_new(request, "digest", json_string(f->digest));
	json_object_set_new(request, "proof", json_string(f->proof));
	json_object_set_new(request, "url", api_text(f->url));
	json_object_set_new(request, "path", json_sprintf(IMAGE_DIR "/.fetch-%s", f->digest));
	return image_ask(f->daemon, request, done, f, e) ? 0 : e->number;
}

static void fetch_on_dropped(void *data, const json_t *answer, const struct err *e)
{
	struct fetch *f = data;

	(void)answer;
	if (e)
		log_warning(NULL, "image '%s': %s", f->name, e->text);
	fetch_end(f, false, &f->why);
}

/* Ends with f->why, and what was fetched is of no use. */
static void fetch_drop(struct fetch *f)
{
	struct err e = ERR_INIT;

	if (fetch_ask(f, "drop", fetch_on_dropped, &e) < 0)
		fetch_on_dropped(f, NULL, &e);
}

static const char *fetch_algorithm(const struct fetch *f)
{
	return strlen(f->digest) > 64 ? "sha512" : "sha256";
}

/* --- is it an image? --- */

static void fetch_on_placed(void *data, const json_t *answer, const struct err *e)
{
	struct fetch *f = data;

	(void)answer;
	fetch_end(f, true, e);
}

static void fetch_on_looked(void *data, const struct child_result *r, const struct err *jail)
{
	struct fetch *f = data;
	_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
	struct err e = ERR_INIT;

	f->program = NULL;
	if (jail)
		err_copy(&f->why, jail);
	else if (r->status)
		err_set(&f->why, ERR_FAILED, "it is not a qcow2 image that can be used: %s",
			*said ? said : "qemu-img was killed");
	if (f->why.number)
		fetch_drop(f);
	else if (fetch_fails(f, NULL, &e) || fetch_ask(f, "place", fetch_on_placed, &e) < 0)
		fetch_end(f, false, &e);
}

static int fetch_look(struct fetch *f, struct err *e)
{
	const struct look_what w = { f->name, f->path, f->dir };

	f->program = look_run(f->daemon, &w, fetch_on_looked, f, e);
	return f->program ? 0 : e->number;
}

/* --- curl --- */

static void fetch_on_verified(void *data, const json_t *answer, const struct err *failed)
{
	struct fetch *f = data;
	const char *has = json_string_value(json_object_get(answer, "has"));
	struct err e = ERR_INIT;

	if (!fetch_fails(f, failed, &e) && !streq(has, f->digest)) {
		err_set(&f->why, ERR_FAILED,
			"the digest is wrong, nothing was kept: '%s' has %s:%s, not %s", f->url,
			fetch_algorithm(f), has ? has : "", f->digest);
		fetch_drop(f);
	} else if (e.number || fetch_look(f, &e) < 0) {
		fetch_end(f, false, &e);
	}
}

/* What cannot be continued, or leaves no space for others, does not stay. */
static bool fetch_is_useless(const struct fetch *f, const struct child_result *r)
{
	return f->full || r->status == CURL_NO_RANGES || r->status == CURL_WRITE ||
	       r->status == -SIGXFSZ;
}

static void fetch_explain(const struct fetch *f, const struct child_result *r, struct err *e)
{
	if (f->full)
		err_set(e, ERR_NO_RESOURCES,
			"fetch '%s': it would fill its file system, and nothing was kept", f->url);
	else
		curl_explain(f->url, r, e);
	if (e->class == ERR_NO_RESOURCES)
		err_hint(e, "make room on the file system of %s", f->dir);
}

static void fetch_on_curl(void *data, const struct child_result *r, const struct err *jail)
{
	struct fetch *f = data;
	struct err e = ERR_INIT, failed = ERR_INIT;

	f->program = NULL;
	loop_timer_stop(&f->timer);
	if (!jail && r->status)
		fetch_explain(f, r, &failed);
	if (f->cancelled)
		err_clear(&failed);
	if (!jail && failed.number && fetch_is_useless(f, r)) {
		err_copy(&f->why, &failed);
		fetch_drop(f);
	} else if (fetch_fails(f,
			   jail		   ? jail
			   : failed.number ? &failed
					   : NULL,
			   &e) ||
		   fetch_ask(f, "begin", fetch_on_verified, &e) < 0) {
		fetch_end(f, false, &e);
	}
}

static void fetch_on_size(void *data, const json_t *answer, const struct err *e)
{
	struct fetch *f = data;
	const uint64_t total = f->headers < 0 ? 0 : curl_total(f->headers),
		       size = (uint64_t)json_integer_value(json_object_get(answer, "size"));
	const json_int_t all = json_integer_value(json_object_get(answer, "all")),
			 room = json_integer_value(json_object_get(answer, "room"));
	char have[32], whole[32];
	_cleanup_(free_ptr) char *text = NULL;

	f->asking = false;
	if (f->ended) {
		fetch_free(f);
		return;
	}
	if (e || !f->program)
		return;
	text_size(have, sizeof have, size);
	text = total >= size && total
		       ? xasprintf("%s of %s", have, text_size(whole, sizeof whole, total))
		       : xasprintf("%s", have);
	job_progress(f->job, total >= size ? size : 0, total >= size ? total : 0, text);
	if (all && room < (all / SHARE < ROOM ? all / SHARE : ROOM)) {
		f->full = true;
		confine_kill(f->program);
	}
}

static void fetch_on_timer(void *data)
{
	struct fetch *f = data;
	struct err ignored = ERR_INIT;

	if (!f->asking)
		f->asking = fetch_ask(f, "size", fetch_on_size, &ignored) == 0;
	loop_timer_start(&f->timer, PROGRESS_SECONDS);
}

static int fetch_curl(struct fetch *f, struct err *e)
{
	const struct curl_what w = { .name = f->name,
		.url = f->url,
		.path = f->path,
		.dir = f->dir,
		.headers = curl_headers(e) };

	close_fd(&f->headers);
	f->headers = w.headers;
	if (f->headers < 0)
		return e->number;
	f->program = curl_run(f->daemon, &w, fetch_on_curl, f, e);
	if (f->program)
		loop_timer_start(&f->timer, PROGRESS_SECONDS);
	return f->program ? 0 : e->number;
}

static void fetch_on_begun(void *data, const json_t *answer, const struct err *failed)
{
	struct fetch *f = data;
	const char *path = json_string_value(json_object_get(answer, "path"));
	struct err e = ERR_INIT;

	if (fetch_fails(f, failed, &e)) {
		fetch_end(f, false, &e);
		return;
	}
	if (!path) {
		fetch_end(f, false, NULL);
		return;
	}
	f->path = xstrdup(path);
	f->dir = xstrdup(json_string_value(json_object_get(answer, "dir")));
	if (streq(json_string_value(json_object_get(answer, "has")), f->digest)) {
		if (fetch_look(f, &e) < 0)
			fetch_end(f, false, &e);
	} else if (fetch_curl(f, &e) < 0) {
		fetch_end(f, false, &e);
	}
}

/* --- the catalogue --- */

static void fetch_begin(struct fetch *f)
{
	struct err e = ERR_INIT;

	if (fetch_ask(f, "begin", fetch_on_begun, &e) < 0)
		fetch_end(f, false, &e);
}

static void fetch_take(struct fetch *f, const char *digest)
{
	char hex[SUMS_HEX_MAX + 1];
	struct err e = ERR_INIT;

	fetch_hex(digest, hex);
	if (fetch_conflict(f, f->store, f->name, hex, &e) < 0) {
		fetch_end(f, false, &e);
		return;
	}
	memcpy(f->digest, hex, sizeof hex);
	fetch_begin(f);
}

static void fetch_on_sums(void *data, const char *hex, const struct err *failed)
{
	struct fetch *f = data;
	struct err e = ERR_INIT;

	f->sums = NULL;
	if (fetch_fails(f, failed, &e))
		fetch_end(f, false, &e);
	else
		fetch_take(f, hex);
}

static const char *fetch_text(const json_t *entry, const char *key)
{
	return json_string_value(json_object_get(entry, key));
}

static int fetch_know(struct fetch *f, const json_t *entry, struct err *e)
{
	const char *problem = fetch_text(entry, "problem");
	const struct sums_what w = { .name = f->name,
		.url = fetch_text(entry, "url"),
		.checksums = fetch_text(entry, "checksums"),
		.signature = fetch_text(entry, "signature"),
		.keyring = fetch_text(entry, "keyring") };

	if (!entry) {
		err_set(e, ERR_NOT_FOUND, "there is no image '%s' in the catalogue", f->name);
		return err_hint(e,
			"vmkeep image list shows what there is; another image needs a URL and --digest");
	}
	if (problem)
		return err_set(e, ERR_INVALID_CONFIG, "%s", problem);
	f->url = xstrdup(w.url);
	f->proof = !w.checksums ? "catalogue" : w.keyring ? "signature" : "https";
	if (w.checksums) {
		job_progress(f->job, 0, 0, w.keyring ? "the signed digest" : "the digest");
		f->sums = sums_ask(f->daemon, &w, fetch_on_sums, f, e);
	}
	return e->number;
}

static void fetch_on_catalogue(void *data, const json_t *answer, const struct err *failed)
{
	struct fetch *f = data;
	const json_t *entry = catalogue_entry(answer, f->name);
	struct err e = ERR_INIT;

	if (fetch_fails(f, failed, &e) || fetch_know(f, entry, &e) < 0)
		fetch_end(f, false, &e);
	else if (!f->sums)
		fetch_take(f, fetch_text(entry, "digest"));
}

/* --- the beginning --- */

static int fetch_cancel(void *data, struct err *e)
{
	struct fetch *f = data;

	(void)e;
	f->cancelled = true;
	if (f->program)
		confine_kill(f->program);
	if (f->sums)
		sums_cancel(f->sums);
	return 0;
}

void fetch(struct daemon *d, struct job *job, const struct fetch_what *w, const char *hex)
{
	struct fetch *f = xcalloc(1, sizeof *f);
	struct err e = ERR_INIT;

	*f = (struct fetch){ .next = running,
		.daemon = d,
		.job = job,
		.name = xstrdup(w->name),
		.store = xstrdup(w->store),
		.url = w->url ? xstrndup(w->url, strcspn(w->url, "#")) : NULL,
		.proof = "digest",
		.headers = -1 };
	running = f;
	memcpy(f->digest, hex, sizeof f->digest);
	loop_timer_init(&f->timer, d->loop.ev, fetch_on_timer, f);
	job->cancel = fetch_cancel;
	job->cancel_data = f;
	if (f->url)
		fetch_begin(f);
	else if (!catalogue_ask(d, fetch_on_catalogue, f, &e))
		fetch_end(f, false, &e);
}
