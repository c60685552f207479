/* SPDX-License-Identifier: MIT */
#include "supervisor/make/curl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"
#include "supervisor/host/uids.h"

/* A server that sends fewer bytes a second for [Images] TimeoutSec= is given up. */
#define SPEED "1024"

enum { WORDS = 40, HEADERS_MAX = 64 << 10, GRACE = 60 /* seconds, for curl to give up itself */ };

static const char certificates[] = "/etc/ssl/certs";
static const char *const shown[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
	"/etc/gai.conf" };

/* --- the size --- */

int curl_headers(struct err *e)
{
	int fd = memfd_create("vmkeep", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* what is longer cannot be written: there is no end to what a server may send */
	if (fd < 0 || ftruncate(fd, HEADERS_MAX) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0) {
		err_errno(e, "keep headers in memory");
		close_fd(&fd);
	}
	return fd;
}

static uint64_t curl_number(const char *at)
{
	char digits[24];
	uint64_t n;

	snprintf(digits, sizeof digits, "%.*s", (int)strspn(at, "0123456789"), at);
	return text_parse_uint(digits, 0, INT64_MAX, &n) == 0 ? n : 0;
}

uint64_t curl_total(int headers)
{
	static const char length[] = "content-length: ", range[] = "content-range: bytes ";
	char text[HEADERS_MAX + 1];
	ssize_t n = pread(headers, text, HEADERS_MAX, 0);
	uint64_t total = 0;

	text[n > 0 ? n : 0] = '\0';
	for (const char *line = text; *line; line += *line == '\n') {
		const char *slash = memchr(line, '/', strcspn(line, "\r\n"));

		if (strncmp(line, "HTTP/", 5) == 0) /* after a redirect */
			total = 0;
		else if (strncasecmp(line, range, strlen(range)) == 0 && slash)
			return curl_number(slash + 1);
		else if (strncasecmp(line, length, strlen(length)) == 0)
			total = curl_number(line + strlen(length));
		line += strcspn(line, "\n");
	}
	return total;
}

/* --- the program --- */

struct curl_words {
	const char *word[WORDS];
	size_t n;
};

static void curl_add(struct curl_words *w, const char *option, const char *value)
{
	if (!value)
		return;
	w->word[w->n++] = option;
	w->word[w->n++] = value;
}

static const char *curl_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* The jail passes no environment on. Everybody can read a program's arguments. */
static int curl_add_proxy(struct curl_words *w, const char *proxy, struct err *e)
{
	const char *name = "https_proxy";

	if (!proxy) {
		proxy = curl_environment(name);
		if (!proxy)
			proxy = curl_environment(name = "HTTPS_PROXY");
		if (proxy && strchr(proxy, '@')) {
			err_set(e, ERR_INVALID_CONFIG,
				"%s in vmkeepd's environment has a user or password, which "
				"everybody could read in the list of processes",
				name);
			return err_hint(e, "write Proxy= in [Images] of vmkeep.conf, without them");
		}
	}
	curl_add(w, "--proxy", proxy);
	curl_add(w, "--noproxy", curl_environment("no_proxy"));
	return 0;
}

/* What is not there curl reports in its own words. */
static void curl_show(json_t *paths, const char *path)
{
	json_array_append_new(paths, json_pack("{s:s, s:b}", "path", path, "optional", true));
}

static json_t *curl_paths(const char *ca)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		curl_show(paths, shown[i]);
	curl_show(paths, ca ? ca : certificates);
	return paths;
}

static unsigned curl_patience(const struct daemon *d) /* seconds */
{
	return (unsigned)((d->conf.image_stall_ms + 999) / 1000);
}

static json_t *curl_plan(struct daemon *d, const struct curl_what *what, struct err *e)
{
	_cleanup_(free_ptr) char *max = xasprintf("%zu", what->max),
				 *patience = xasprintf("%u", curl_patience(d));
	struct curl_words w = {
		.word = { "curl", "--disable", "--silent", "--show-error", "--fail", "--globoff",
			"--location", "--max-redirs", "10", "--proto", "=https", "--proto-redir",
			"=https", "--speed-limit", SPEED },
		.n = 15,
	};
	json_t *plan;

	if (curl_add_proxy(&w, d->conf.image_proxy, e) < 0)
		return NULL;
	curl_add(&w, "--connect-timeout", patience);
	curl_add(&w, "--speed-time", patience);
	curl_add(&w, "--cacert", d->conf.image_ca);
	curl_add(&w, "--proxy-cacert", d->conf.image_ca);
	if (what->path) {
		curl_add(&w, "--dump-header", "-");
		curl_add(&w, "--continue-at", "-");
		curl_add(&w, "--output", what->path);
	} else {
		curl_add(&w, "--max-filesize", max);
	}
	curl_add(&w, "--url", what->url);
	plan = confine_plan("fetch", what->name, d->uids->probe, d->dirs.run, w.word, e);
	if (!plan)
		return NULL;
	json_object_set_new(plan, "paths", curl_paths(d->conf.image_ca));
	if (what->path) {
		json_object_set_new(plan, "fds", json_pack("[i]", STDOUT_FILENO));
		json_object_set_new(plan, "files",
			json_pack("[{s:s, s:o, s:s, s:s, s:s, s:b, s:s, s:b}]", "kind", "disk",
				"what", json_sprintf("image '%s'", what->name), "id", what->name,
				"path", what->path, "beneath", what->dir, "write", true, "format",
				"raw", "format_written", true));
	}
	return plan;
}

struct confined *curl_run(
	struct daemon *d, const struct curl_what *w, confined_fn *done, void *data, struct err *e)
{
	const struct child_options o = {
		.timeout = curl_patience(d) + GRACE,
		.while_idle = true,
		.out_max = w->path ? 0 : w->max + 1,
	};
	json_t *plan = curl_plan(d, w, e);

	return plan ? confine_run(d->loop.ev, d->jail, plan, &w->headers, w->path ? 1 : 0, &o, done,
			      data, e)
		    : NULL;
}

void curl_explain(const char *url, const struct child_result *r, struct err *e)
{
	_cleanup_(free_ptr) char *said = text_escape(r->err, strcspn(r->err, "\n"), false);
	enum err_class class = r->status == CURL_WRITE ? ERR_NO_RESOURCES
			       : r->status == CURL_TIMEOUT || r->status == -ETIMEDOUT ? ERR_TIMEOUT
										      : ERR_FAILED;

	err_set(e, class, "fetch '%s': %s", url, *said ? said : "curl was killed");
	if (r->status == CURL_UNTRUSTED || r->status == CURL_CERTIFICATES)
		err_hint(e, "write CAFile= in [Images] of vmkeep.conf, a file with the "
			    "certificates that servers of yours are signed by");
}
