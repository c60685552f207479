/* SPDX-License-Identifier: MIT */
#include "supervisor/make/fetch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/confine.h"
#include "supervisor/core/daemon.h"
#include "supervisor/core/job.h"
#include "supervisor/host/uids.h"
#include "supervisor/make/image.h"

/* A server that sends less than SPEED bytes a second for SLOW_SECONDS is given up. */
#define SPEED	     "1024"
#define SLOW_SECONDS "60"

static const double FETCH_SECONDS = 120, CHECK_SECONDS = 60, PROGRESS_SECONDS = 1;

/* A server may send without end: so much of the store's file system is left, or a twentieth if that is
 * less. */
enum { ROOM = 1 << 30, SHARE = 20 };

enum { CURL_WRITE = 23, CURL_TIMEOUT = 28, CURL_NO_RANGES = 33, DIGEST_LEN = 64 };

struct fetch {
	struct fetch *next;
	struct daemon *daemon;
	struct job *job;
	char *name, *store, *url;
	char *dir, *path; /* of the store, and of the partial file in it */
	char digest[DIGEST_LEN + 1];
	struct confined *program; /* curl or qemu-img */
	struct loop_timer timer;
	bool asking, cancelled, full, ended;
	struct err why; /* while the partial file is being removed */
};

static struct fetch *running;

/* The server's name ends with a '/', or the like; what is before an '@' is everybody's to read, in ps and
 * in image list. */
static int fetch_check_url(const char *url, struct err *e)
{
	static const char begin[] = "https://";
	const char *server = url + strlen(begin);

	if (strncmp(url, begin, strlen(begin)) != 0) {
		err_set(e, ERR_USAGE, "'%s' is no https:// URL", url);
		return err_hint(e,
			"images come over https only; one that is on this host can be put "
			"in images/ of a store");
	}
	if (!memchr(server, '@', strcspn(server, "/?#\\")))
		return 0;
	err_set(e, ERR_USAGE, "a user name or password in a URL can be read by everybody");
	return err_hint(e, "fetch it yourself, and put it in images/ of a store");
}

static const struct {
	const char *path;
	int optional;
} shown[] = {
	{ "/etc/resolv.conf", 1 },
	{ "/etc/hosts", 1 },
	{ "/etc/nsswitch.conf", 1 },
	{ "/etc/gai.conf", 1 },
	{ "/etc/ssl/certs", 1 },
};

int fetch_check(const struct fetch_what *w, char hex[65], struct err *e)
{
	const char *at = w->digest ? w->digest : strstr(w->url, "#sha256=");
	size_t n;

	if (fetch_check_url(w->url, e) < 0)
		return e->number;
	if (!at) {
		err_set(e, ERR_USAGE, "there is no digest to check the image with");
		return err_hint(e, "append #sha256=DIGEST to the URL, as published with the image");
	}
	if (!w->digest)
		at += strlen("#sha256=");
	else if (strncmp(at, "sha256:", 7) == 0)
		at += 7;
	n = strspn(at, "0123456789abcdefABCDEF");
	if (n != DIGEST_LEN || at[n])
		return err_set(
			e, ERR_USAGE, "'%s' is not a SHA-256 digest, which has 64 hex digits", at);
	for (size_t i = 0; i <= n; i++)
		hex[i] = at[i] >= 'A' && at[i] <= 'F' ? (char)(at[i] + 'a' - 'A') : at[i];
	for (const struct fetch *f = running; f; f = f->next)
		if (streq(f->store, w->store) && (streq(f->digest, hex) || streq(f->name, w->name)))
			return err_set(e, ERR_CONFLICT, "it is being fetched already, by job %u",
				f->job->id);
	return 0;
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

static json_t *fetch_plan(
	const struct fetch *f, const char *role, const char *const *argv, bool write, struct err *e)
{
	_cleanup_(free_ptr) char *what = xasprintf("image '%s'", f->name);
	json_t *plan =
		confine_plan(role, f->name, f->daemon->uids->probe, f->daemon->dirs.run, argv, e);

	if (plan)
		json_object_set_new(plan, "files",
			json_pack("[{s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:b}]", "kind", "disk",
				"what", what, "id", f->name, "path", f->path, "beneath", f->dir,
				"write", write, "format", write ? "raw" : "qcow2", "format_written",
				true));
	return plan;
}

static int fetch_look(struct fetch *f, struct err *e)
{
	json_t *spec = json_pack("{s:s, s:n, s:{s:s, s:s}}", "driver", "qcow2", "backing", "file",
		"driver", "file", "filename", f->path);
	char *text = json_dumps(spec, JSON_COMPACT);
	_cleanup_(free_ptr) char *word = xasprintf("json:%s", text ? text : "");
	const char *const argv[] = { "qemu-img", "info", "-U", word, NULL };
	const struct child_options o = { .timeout = CHECK_SECONDS, .while_idle = true };
	json_t *plan = fetch_plan(f, "tool", argv, false, e);

	free(text);
	json_decref(spec);
	if (plan)
		f->program = confine_run(f->daemon->loop.ev, f->daemon->jail, plan, NULL, 0, &o,
			fetch_on_looked, f, e);
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
			"the digest is wrong, nothing was kept: '%s' has sha256:%s, not sha256:%s",
			f->url, has ? has : "", f->digest);
		fetch_drop(f);
	} else if (e.number || fetch_look(f, &e) < 0) {
		fetch_end(f, false, &e);
	}
}

static void fetch_explain(const struct fetch *f, const struct child_result *r, struct err *e)
{
	_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
	enum err_class class = r->status == CURL_WRITE || f->full ? ERR_NO_RESOURCES
			       : r->status == CURL_TIMEOUT || r->status == -ETIMEDOUT ? ERR_TIMEOUT
										      : ERR_FAILED;

	err_set(e, class, "fetch '%s': %s", f->url,
		f->full ? "it would fill its file system, and nothing was kept"
		: *said ? said
			: "curl was killed");
	if (class == ERR_NO_RESOURCES)
		err_hint(e, "make room on the file system of %s", f->dir);
}

/* What cannot be continued, or leaves no space for others, does not stay. */
static bool fetch_is_useless(const struct fetch *f, const struct child_result *r)
{
	return f->full || r->status == CURL_NO_RANGES || r->status == CURL_WRITE ||
	       r->status == -SIGXFSZ;
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
	const json_int_t all = json_integer_value(json_object_get(answer, "all")),
			 room = json_integer_value(json_object_get(answer, "room"));
	char size[16];
	_cleanup_(free_ptr) char *text = NULL;

	f->asking = false;
	if (f->ended) {
		fetch_free(f);
		return;
	}
	if (e || !f->program)
		return;
	text = xasprintf("%s fetched",
		text_size(size, sizeof size,
			(uint64_t)json_integer_value(json_object_get(answer, "size"))));
	job_progress(f->job, 0, 0, text);
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
	const char *const argv[] = { "curl", "--disable", "--silent", "--show-error", "--fail",
		"--globoff", "--location", "--max-redirs", "10", "--proto", "=https",
		"--proto-redir", "=https", "--connect-timeout", "30", "--speed-limit", SPEED,
		"--speed-time", SLOW_SECONDS, "--continue-at", "-", "--output", f->path, "--url",
		f->url, NULL };
	const struct child_options o = { .timeout = FETCH_SECONDS, .while_idle = true };
	json_t *plan = fetch_plan(f, "fetch", argv, true, e), *paths = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		json_array_append_new(paths, json_pack("{s:s, s:b}", "path", shown[i].path,
						     "optional", shown[i].optional));
	if (plan)
		json_object_set(plan, "paths", paths);
	json_decref(paths);
	if (plan)
		f->program = confine_run(f->daemon->loop.ev, f->daemon->jail, plan, NULL, 0, &o,
			fetch_on_curl, f, e);
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

static int fetch_cancel(void *data, struct err *e)
{
	struct fetch *f = data;

	(void)e;
	f->cancelled = true;
	if (f->program)
		confine_kill(f->program);
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
		.url = xstrndup(w->url, strcspn(w->url, "#")) };
	running = f;
	memcpy(f->digest, hex, sizeof f->digest);
	loop_timer_init(&f->timer, d->loop.ev, fetch_on_timer, f);
	job->cancel = fetch_cancel;
	job->cancel_data = f;
	if (fetch_ask(f, "begin", fetch_on_begun, &e) < 0)
		fetch_end(f, false, &e);
}
