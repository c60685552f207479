/* SPDX-License-Identifier: MIT */
#include "supervisor/make/fetch_words.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/word.h"

bool fetch_hex(const char *text, char hex[SUMS_HEX_MAX + 1])
{
	_cleanup_(free_ptr) char *named =
		strchr(text, ':') ? xstrdup(text)
				  : xasprintf("sha%s:%s", strlen(text) > 64 ? "512" : "256", text);
	size_t i = 0;

	if (!conf_word_digest(named))
		return false;
	for (const char *at = strchr(named, ':') + 1; *at; at++)
		hex[i++] = (char)tolower((unsigned char)*at);
	hex[i] = '\0';
	return true;
}

/* The server's name ends with a '/', or the like; what is before an '@' is everybody's to read, in ps and
 * in image list. */
static int fetch_check_url(const char *url, struct err *e)
{
	const char *server = url + strlen("https://");

	if (!conf_word_https(url)) {
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

int fetch_words(const struct fetch_what *w, char hex[SUMS_HEX_MAX + 1], struct err *e)
{
	const char *at = w->digest ? w->digest : w->url ? strstr(w->url, "#sha") : NULL;
	_cleanup_(free_ptr) char *named = NULL;

	*hex = '\0';
	if (w->url && fetch_check_url(w->url, e) < 0)
		return e->number;
	if (!w->url && w->digest)
		return err_set(e, ERR_USAGE, "a digest goes with a URL");
	if (w->url && !at) {
		err_set(e, ERR_USAGE, "there is no digest to check the image with");
		return err_hint(e, "append #sha256=DIGEST to the URL, as published with the image");
	}
	if (w->url && !w->digest) { /* "#sha256=" */
		named = xstrdup(at + 1);
		named[strcspn(named, "=")] = ':';
		at = named;
	}
	if (w->url && !fetch_hex(at, hex))
		return err_set(e, ERR_USAGE,
			"'%s' is not a SHA-256 digest, which has 64 hex digits, nor one of SHA-512, which has 128",
			at);
	return 0;
}
