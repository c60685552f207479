/* SPDX-License-Identifier: MIT */
#include "conf/word.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <net/if.h>
#include <string.h>

#include "conf/schema.h"

static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* Starts with a letter or digit, continues with these or any of more, at most max bytes. */
static bool word(const char *s, const char *more, size_t max)
{
	size_t len = strlen(s);

	if (len == 0 || len > max || !isalnum((unsigned char)*s) || !isascii(*s))
		return false;
	while (*s && (strchr(alnum, *s) || strchr(more, *s)))
		s++;
	return !*s;
}

static bool word_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool conf_name_ok(const char *name)
{
	return word(name, "._-", 63);
}

bool conf_id_ok(const char *id)
{
	return word(id, "._-", CONF_ID_MAX);
}

const char *conf_dns_name(const char *name, char buf[64])
{
	size_t i;

	for (i = 0; i < 63 && name[i]; i++)
		buf[i] = (char)(strchr(alnum, name[i]) ? tolower((unsigned char)name[i]) : '-');
	buf[i] = '\0';
	return buf;
}

bool conf_word_absolute(const char *s)
{
	return *s == '/';
}

bool conf_word_https(const char *s)
{
	return strncmp(s, "https://", 8) == 0 && s[8];
}

bool conf_word_digest(const char *s)
{
	size_t digits = strncmp(s, "sha256:", 7) == 0	? 64
			: strncmp(s, "sha512:", 7) == 0 ? 128
							: 0;

	return digits && strspn(s + 7, "0123456789abcdefABCDEF") == digits && !s[7 + digits];
}

bool conf_word_label(const char *s)
{
	return word(s, "-", 63) && s[strlen(s) - 1] != '-';
}

bool conf_word_domain(const char *s)
{
	char label[64];

	if (strlen(s) > 253)
		return false;
	for (;;) {
		size_t len = strcspn(s, ".");

		if (len >= sizeof label)
			return false;
		memcpy(label, s, len);
		label[len] = '\0';
		if (!conf_word_label(label))
			return false;
		if (!s[len])
			return true;
		s += len + 1;
	}
}

bool conf_word_feature(const char *s)
{
	return (*s == '+' || *s == '-') && word(s + 1, "._-", 63);
}

bool conf_word_file(const char *s)
{
	return *s != '.' && !strchr(s, '/') && strlen(s) <= NAME_MAX;
}

bool conf_word_program(const char *s)
{
	return *s == '/' || word(s, "._-", 63);
}

bool conf_word_volume(const char *s)
{
	return word(s, "._-", 100);
}

bool conf_word_ifname(const char *s)
{
	/* the kernel has directories of these names beside those of interfaces */
	return word(s, "._-", IFNAMSIZ - 1) && strcmp(s, "all") != 0 && strcmp(s, "default") != 0;
}

bool conf_word_ip(const char *s)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, s, address) == 1 || inet_pton(AF_INET6, s, address) == 1;
}

bool conf_word_listen(const char *s)
{
	return strcmp(s, "unix") == 0 || conf_word_ip(s);
}

bool conf_word_login(const char *s)
{
	size_t len = strlen(s);

	return len && len <= 32 && !isdigit((unsigned char)*s) && *s != '-' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len && strcmp(s, "root") != 0;
}

bool conf_word_machine(const char *s)
{
	if (strcmp(s, "q35") == 0 || strcmp(s, "pc") == 0)
		return true;
	return word(s, "._-", 63) &&
	       (word_has_prefix(s, "pc-q35-") || word_has_prefix(s, "pc-i440fx-"));
}

bool conf_word_pc(const char *s)
{
	return strcmp(s, "pc") == 0 || word_has_prefix(s, "pc-i440fx-");
}

bool conf_word_owner(const char *s)
{
	if (*s == '@')
		s++;
	/* adduser's NAME_REGEX allows a leading underscore. */
	return word(*s == '_' ? s + 1 : s, "._-$", 32);
}

bool conf_word_plain(const char *s)
{
	return word(s, "._+-", 63);
}

static bool word_number(const char *s, size_t len, unsigned long lowest, unsigned long highest)
{
	unsigned long n = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		n = n * 10 + (unsigned long)(s[i] - '0');
	}
	return n >= lowest && n <= highest;
}

bool conf_word_address(const char *s)
{
	size_t len = strcspn(s, "/");
	char text[INET_ADDRSTRLEN];
	struct in_addr in;

	if (len >= sizeof text || (s[len] && !word_number(s + len + 1, strlen(s + len + 1), 1, 32)))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, &in) == 1;
}

bool conf_word_percent(const char *s)
{
	size_t len = strlen(s);

	return len > 1 && s[len - 1] == '%' && word_number(s, len - 1, 1, 1000000);
}

bool conf_word_proxy(const char *s)
{
	static const char *const schemes[] = { "http://", "https://", "socks5h://" };

	for (const char *c = s; *c; c++)
		if (!isascii(*c) || !isgraph((unsigned char)*c) || *c == '@')
			return false;
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (word_has_prefix(s, schemes[i]) && s[strlen(schemes[i])])
			return true;
	return false;
}

bool conf_word_ready(const char *s)
{
	if (strncmp(s, "tcp:", 4) == 0)
		return word_number(s + 4, strlen(s + 4), 1, 65535);
	if (strncmp(s, "log:", 4) == 0)
		return s[4] != '\0' && strlen(s + 4) <= 256;
	return strcmp(s, "started") == 0 || strcmp(s, "lease") == 0 || strcmp(s, "agent") == 0 ||
	       strcmp(s, "notify") == 0;
}

bool conf_word_cid(const char *s)
{
	return strcmp(s, "auto") == 0 || word_number(s, strlen(s), 3, 4294967294);
}

bool conf_word_rng(const char *s)
{
	return strcmp(s, "none") == 0 || conf_word_absolute(s);
}

bool conf_word_serial(const char *s)
{
	return word(s, "._-", 20);
}

/* "TYPE BASE64 COMMENT"; all blobs begin with the length of their type's name, and so with AAAA. */
bool conf_word_ssh_key(const char *s)
{
	const char *blob = strchr(s, ' ');
	size_t len;

	if (!blob || (!word_has_prefix(s, "ssh-") && !word_has_prefix(s, "ecdsa-") &&
			     !word_has_prefix(s, "sk-")))
		return false;
	for (const char *c = s; *c; c++)
		if (!isascii(*c) || !isprint((unsigned char)*c))
			return false;
	len = strspn(++blob, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=");
	return word_has_prefix(blob, "AAAA") && len >= 64 && (!blob[len] || blob[len] == ' ');
}

bool conf_word_uuid(const char *s)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (const char *p = shape; *p; p++, s++)
		if (*p == 'x' ? !isxdigit((unsigned char)*s) : *s != *p)
			return false;
	return !*s;
}
