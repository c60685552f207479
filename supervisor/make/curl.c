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

/* A server that sends less than SPEED bytes a second for SLOW_SECONDS is given up. */
#define SPEED	     "1024"
#define SLOW_SECONDS "60"

static const double SECONDS = 120;

enum { WORDS = 40, HEADERS_MAX = 64 << 10 };

static const char *const shown[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
	"/etc/gai.conf", "/etc/ssl/certs" };

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

/* The jail passes no environment on. */
static void curl_add_proxy(struct curl_words *w)
{
	const char *proxy = curl_environment("https_proxy");

	curl_add(w, "--proxy", proxy ? proxy : curl_environment("HTTPS_PROXY"));
	curl_add(w, "--noproxy", curl_environment("no_proxy"));
}

static json_t *curl_paths(void)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		json_array_append_new(
			paths, json_pack("{s:s, s:b}", "path", shown[i], "optional", true));
	return paths;
}

static json_t *curl_plan(struct daemon *d, const struct curl_what *what, struct err *e)
{
	_cleanup_(free_ptr) char *max = xasprintf("%zu", what->max);
	struct curl_words w = {
		.word = { "curl", "--disable", "--silent", "--show-error", "--fail", "--globoff",
			"--location", "--max-redirs", "10", "--proto", "=https", "--proto-redir",
			"=https", "--connect-timeout", "30", "--speed-limit", SPEED, "--speed-time",
			SLOW_SECONDS },
		.n = 19,
	};
	json_t *plan;

	curl_add_proxy(&w);
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
	json_object_set_new(plan, "paths", curl_paths());
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
		.timeout = SECONDS,
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
}
