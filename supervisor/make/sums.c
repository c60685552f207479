/* SPDX-License-Identifier: MIT */
#include "supervisor/make/sums.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/core/daemon.h"
#include "supervisor/host/uids.h"
#include "supervisor/make/curl.h"

/* It is not told where its keys are: it has only the keyring. */
#define GPGV "gpgv", "--homedir", "/", "--enable-special-filenames", "--keyring"

enum { TEXT_MAX = 1 << 20, FD_SIGNATURE = 10, FD_TEXT = 11 };

static const double CHECK_SECONDS = 30;
static const char digits[] = "0123456789abcdefABCDEF";

struct sums {
	struct daemon *daemon;
	char *name, *url, *checksums, *signature, *keyring;
	struct confined *program; /* curl or gpgv */
	bool cancelled;
	struct buf text;
	sums_fn *done;
	void *data;
};

/* --- the text --- */

static const char *sums_last_name(const char *url, size_t *len)
{
	const char *end = url + strcspn(url, "?#"), *at = end;

	while (at > url && at[-1] != '/')
		at--;
	*len = (size_t)(end - at);
	return at;
}

static bool sums_take(const char *at, char hex[SUMS_HEX_MAX + 1])
{
	const size_t n = strspn(at, digits);

	if (n != 64 && n != 128)
		return false;
	for (size_t i = 0; i < n; i++)
		hex[i] = (char)tolower((unsigned char)at[i]);
	hex[n] = '\0';
	return true;
}

/* "HEX  NAME", "HEX *NAME" or "SHA256 (NAME) = HEX"; NAME may begin with "./". */
static bool sums_is_line(const char *line, const char *name, size_t len, char hex[SUMS_HEX_MAX + 1])
{
	const bool bsd = strncmp(line, "SHA256 (", 8) == 0 || strncmp(line, "SHA512 (", 8) == 0;
	const char *rest = bsd ? line + 8 : line + strspn(line, digits);

	if (!bsd && *rest != ' ')
		return false;
	if (!bsd)
		rest += rest[1] == ' ' || rest[1] == '*' ? 2 : 1;
	if (strncmp(rest, "./", 2) == 0)
		rest += 2;
	if (strncmp(rest, name, len) != 0)
		return false;
	rest += len;
	if (bsd)
		return strncmp(rest, ") = ", 4) == 0 && sums_take(rest + 4, hex);
	return (!*rest || *rest == '\n' || *rest == '\r') && sums_take(line, hex);
}

bool sums_find(const char *text, const char *url, char hex[SUMS_HEX_MAX + 1])
{
	size_t len;
	const char *name = sums_last_name(url, &len);

	while (len && text && *text) {
		if (sums_is_line(text, name, len, hex))
			return true;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return false;
}

/* --- the steps --- */

static void sums_end(struct sums *s, const char *hex, const struct err *e)
{
	s->done(s->data, hex, e);
	buf_release(&s->text);
	free(s->name);
	free(s->url);
	free(s->checksums);
	free(s->signature);
	free(s->keyring);
	free(s);
}

static void sums_look(struct sums *s)
{
	char hex[SUMS_HEX_MAX + 1];
	struct err e = ERR_INIT;

	buf_add(&s->text, "", 1);
	if (!sums_find(s->text.data, s->url, hex))
		err_set(&e, ERR_FAILED, "'%s' has no digest of '%s'", s->checksums, s->url);
	sums_end(s, e.number ? NULL : hex, e.number ? &e : NULL);
}

/* What every step fails with. */
static bool sums_fails(const struct sums *s, const struct err *jail, struct err *e)
{
	if (jail)
		err_copy(e, jail);
	else if (!s->daemon->emit)
		err_set(e, ERR_FAILED, "the daemon is ending");
	else if (s->cancelled)
		err_set(e, ERR_FAILED, "cancelled");
	return e->number;
}

/* gpgv says more than one line. */
static const char *sums_said(const char *err)
{
	static const char *const reasons[] = { "gpgv: keyblock resource", "gpgv: BAD signature",
		"gpgv: Can't check signature" };
	const char *line = NULL;

	for (size_t i = 0; !line && i < ARRAY_SIZE(reasons); i++)
		line = strstr(err, reasons[i]);
	return line ? line : err;
}

static void sums_on_verified(void *data, const struct child_result *r, const struct err *jail)
{
	struct sums *s = data;
	const char *line = sums_said(r->err);
	_cleanup_(free_ptr) char *said = text_escape(line, strcspn(line, "\n"), false);
	struct err e = ERR_INIT;

	s->program = NULL;
	if (!sums_fails(s, jail, &e) && r->status)
		err_set(&e, ERR_FAILED, "'%s' has no good signature by a key in '%s': %s",
			s->checksums, s->keyring, *said ? said : "gpgv was killed");
	if (e.number) {
		sums_end(s, NULL, &e);
		return;
	}
	if (!s->signature) { /* what gpgv printed is what is signed */
		buf_clear(&s->text);
		buf_add(&s->text, r->out, r->out_len);
	}
	sums_look(s);
}

static int sums_memory(const char *text, size_t len, struct err *e)
{
	int fd = memfd_create("vmkeep", MFD_CLOEXEC);

	if (fd < 0 || file_write_all(fd, text, len) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		err_errno(e, "keep a text in memory");
		close_fd(&fd);
	}
	return fd;
}

/* signature: NULL: the text is signed in itself. */
static int sums_verify(struct sums *s, const char *signature, size_t len, struct err *e)
{
	const char *const detached[] = { GPGV, s->keyring, "--", "-&10", "-&11", NULL };
	const char *const clear[] = { GPGV, s->keyring, "--output", "-", "--", "-&11", NULL };
	const struct child_options o = { .timeout = CHECK_SECONDS, .out_max = TEXT_MAX + 1 };
	_cleanup_(close_fd) int text = sums_memory(s->text.data, s->text.len, e),
				sign = signature ? sums_memory(signature, len, e) : -1;
	const int fds[] = { text, sign };
	json_t *plan = e->number ? NULL
				 : confine_plan("verify", s->name, s->daemon->uids->probe,
					   s->daemon->dirs.run, signature ? detached : clear, e);

	if (!plan)
		return e->number;
	json_object_set_new(
		plan, "paths", json_pack("[{s:s, s:b}]", "path", s->keyring, "optional", true));
	json_object_set_new(plan, "fds",
		signature ? json_pack("[i, i]", FD_TEXT, FD_SIGNATURE) : json_pack("[i]", FD_TEXT));
	s->program = confine_run(s->daemon->loop.ev, s->daemon->jail, plan, fds, signature ? 2 : 1,
		&o, sums_on_verified, s, e);
	return s->program ? 0 : e->number;
}

static int sums_curl(struct sums *s, const char *url, confined_fn *done, struct err *e)
{
	const struct curl_what w = { .name = s->name, .url = url, .max = TEXT_MAX };

	s->program = curl_run(s->daemon, &w, done, s, e);
	return s->program ? 0 : e->number;
}

/* False: s has ended. */
static bool sums_has(
	struct sums *s, const char *url, const struct child_result *r, const struct err *jail)
{
	struct err e = ERR_INIT;

	s->program = NULL;
	if (!sums_fails(s, jail, &e)) {
		if (r->status)
			curl_explain(url, r, &e);
		else if (r->out_len > TEXT_MAX)
			err_set(&e, ERR_FAILED, "'%s' is larger than 1 MiB", url);
	}
	if (e.number)
		sums_end(s, NULL, &e);
	return !e.number;
}

static void sums_on_signature(void *data, const struct child_result *r, const struct err *jail)
{
	struct sums *s = data;
	struct err e = ERR_INIT;

	if (sums_has(s, s->signature, r, jail) && sums_verify(s, r->out, r->out_len, &e) < 0)
		sums_end(s, NULL, &e);
}

static void sums_on_text(void *data, const struct child_result *r, const struct err *jail)
{
	struct sums *s = data;
	struct err e = ERR_INIT;

	if (!sums_has(s, s->checksums, r, jail))
		return;
	buf_add(&s->text, r->out, r->out_len);
	if (!s->keyring)
		sums_look(s);
	else if ((s->signature ? sums_curl(s, s->signature, sums_on_signature, &e)
			       : sums_verify(s, NULL, 0, &e)) < 0)
		sums_end(s, NULL, &e);
}

static void sums_nothing(void *data, const char *hex, const struct err *e)
{
}

struct sums *sums_ask(
	struct daemon *d, const struct sums_what *w, sums_fn *done, void *data, struct err *e)
{
	struct sums *s = xcalloc(1, sizeof *s);

	*s = (struct sums){ .daemon = d,
		.name = xstrdup(w->name),
		.url = xstrdup(w->url),
		.checksums = xstrdup(w->checksums),
		.signature = w->signature ? xstrdup(w->signature) : NULL,
		.keyring = w->keyring ? xstrdup(w->keyring) : NULL,
		.done = done,
		.data = data };
	if (sums_curl(s, s->checksums, sums_on_text, e) == 0)
		return s;
	s->done = sums_nothing;
	sums_end(s, NULL, e);
	return NULL;
}

void sums_cancel(struct sums *s)
{
	s->cancelled = true;
	if (s->program)
		confine_kill(s->program);
}
