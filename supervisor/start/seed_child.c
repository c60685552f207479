/* SPDX-License-Identifier: MIT */
/* The child's side of seed.h: reads the files that root named, and writes the texts. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/api/api.h"
#include "supervisor/start/seed.h"

enum { SEED_FILE_MAX = 1 << 20, PASSWORD_MAX = 512 };

/* Where the texts go, and what was read. */
struct seed {
	int dir; /* -1: nothing is written */
	json_t *vendor;
	const char *key, *path; /* the file being read */
};

static const char config_header[] = "#cloud-config\n";

/* --- files of root's --- */

/* What somebody else placed, or can change, could make a guest read any file of the host. */
static int seed_trusts(const struct seed *s, const struct stat *st, bool secret, struct err *e)
{
	_cleanup_(free_ptr) char *quoted = text_shell_quote(s->path);

	if (!S_ISREG(st->st_mode)) {
		err_set(e, ERR_INVALID_CONFIG, "'%s' is not a regular file", s->path);
		return err_hint(e, "name a file");
	}
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		err_set(e, ERR_PERMISSION, "'%s' belongs to another user than root", s->path);
		return err_hint(e, "chown root %s", quoted);
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		err_set(e, ERR_PERMISSION, "others may write '%s'", s->path);
		return err_hint(e, "chmod go-w %s", quoted);
	}
	if (secret && st->st_mode & (S_IRGRP | S_IROTH)) {
		err_set(e, ERR_PERMISSION, "others may read '%s', which has a password", s->path);
		return err_hint(e, "chmod go-rwx %s", quoted);
	}
	if (st->st_nlink > 1) {
		err_set(e, ERR_PERMISSION, "'%s' has another name, a hard link", s->path);
		return err_hint(e, "copy it, and name the copy");
	}
	return 0;
}

/* Never through a symbolic link. */
static int seed_open(const struct seed *s, struct err *e)
{
	struct open_how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, s->path, &how, sizeof how);
	_cleanup_(free_ptr) char *quoted = text_shell_quote(s->path);

	if (fd >= 0)
		return fd;
	if (errno != ELOOP) {
		err_errno(e, "open '%s'", s->path);
		return errno == ENOENT ? err_hint(e, "write the file, or remove the key")
				       : e->number;
	}
	err_set(e, ERR_PERMISSION, "'%s' leads through a symbolic link", s->path);
	return err_hint(e, "name the file itself: realpath %s", quoted);
}

static int seed_read(const struct seed *s, bool secret, struct buf *b, struct err *e)
{
	_cleanup_(close_fd) int fd = seed_open(s, e);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return e->number;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "look at '%s'", s->path);
	if (seed_trusts(s, &st, secret, e) < 0)
		return e->number;
	while ((n = read(fd, buf_reserve(b, 65536), 65536)) > 0 && b->len <= SEED_FILE_MAX)
		buf_commit(b, (size_t)n);
	if (n < 0)
		return err_errno(e, "read '%s'", s->path);
	if (!b->len) {
		err_set(e, ERR_INVALID_CONFIG, "'%s' is empty", s->path);
		return err_hint(e, "write the file, or remove the key");
	}
	if (b->len > SEED_FILE_MAX) {
		err_set(e, ERR_INVALID_CONFIG, "'%s' is larger than 1 MiB", s->path);
		return err_hint(e, "let the guest fetch the rest");
	}
	return 0;
}

/* --- their contents --- */

/* "$6$SALT$HASH", as crypt(5) has them. */
static bool seed_is_hash(const char *text)
{
	const char *salt = *text == '$' ? strchr(text + 1, '$') : NULL;

	return salt && salt > text + 1 && strchr(salt + 1, '$') && !strpbrk(text, " :\t");
}

/* Printable for YAML, too. */
static bool seed_is_text(const char *s)
{
	size_t left = strlen(s);
	uint32_t c;

	for (size_t n; left; s += n, left -= n) {
		n = text_utf8(s, left, &c);
		if (!n || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
			(c & 0xfffe) == 0xfffe)
			return false;
	}
	return true;
}

static int seed_password(struct seed *s, struct err *e)
{
	_cleanup_(buf_release) struct buf b = BUF_INIT;
	json_t *user = json_object_get(s->vendor, "user");
	char *end;

	if (seed_read(s, true, &b, e) < 0)
		return e->number;
	buf_add(&b, "", 1);
	end = b.data + strcspn(b.data, "\n");
	if (*end == '\n')
		*end++ = '\0';
	if (!*b.data || end - b.data > PASSWORD_MAX || end != b.data + b.len - 1 ||
		!seed_is_text(b.data)) {
		err_set(e, ERR_INVALID_CONFIG, "'%s' is not a password in one line", s->path);
		return err_hint(e, "write a hash to it, as openssl passwd -6 prints");
	}
	json_object_set_new(user, seed_is_hash(b.data) ? "hashed_passwd" : "plain_text_passwd",
		json_string(b.data));
	json_object_set_new(user, "lock_passwd", json_false());
	return 0;
}

/* Anything else is ignored by cloud-init, which says so only in its log. */
static bool seed_is_user_data(const struct buf *b)
{
	static const char *const begins[] = { "#", "\x1f\x8b",
		"Content-Type:", "MIME-Version:", "From " };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++) {
		size_t len = strlen(begins[i]);

		if (b->len >= len && strncasecmp(b->data, begins[i], len) == 0)
			return true;
	}
	return false;
}

static int seed_put(const struct seed *s, const char *name, const char *begin, const char *text,
	size_t len, struct err *e)
{
	_cleanup_(close_fd) int fd = -1;
	int r;

	if (s->dir < 0)
		return 0;
	fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "write %s", name);
	r = file_write_all(fd, begin, strlen(begin));
	if (r == 0)
		r = file_write_all(fd, text, len);
	/* xorriso runs as the VM's user; all above the directory is root's */
	if (r == 0 && fchmod(fd, 0444) < 0)
		r = -errno;
	errno = -r;
	return r < 0 ? err_errno(e, "write %s", name) : 0;
}

static int seed_copy(struct seed *s, const char *name, struct err *e)
{
	_cleanup_(buf_release) struct buf b = BUF_INIT;

	if (seed_read(s, false, &b, e) < 0)
		return e->number;
	if (streq(s->key, "UserData") && !seed_is_user_data(&b)) {
		err_set(e, ERR_INVALID_CONFIG, "'%s' is not user data", s->path);
		return err_hint(e,
			"its first line must be #cloud-config, #!/bin/sh, or another that cloud-init knows");
	}
	return seed_put(s, name, "", b.data, b.len, e);
}

static int seed_put_json(const struct seed *s, const char *name, const json_t *o, struct err *e)
{
	char *text = json_dumps(o, JSON_INDENT(1));
	_cleanup_(free_ptr) char *line = xasprintf("%s\n", text ? text : "{}");
	int r = seed_put(
		s, name, streq(name, "vendor-data") ? config_header : "", line, strlen(line), e);

	free(text);
	return r;
}

/* The file of a key, if it is set. */
static bool seed_has(struct seed *s, const json_t *document, const char *key)
{
	s->path = json_string_value(json_object_get(document, key));
	s->key = s->path ? key : NULL;
	return s->path;
}

static int seed_write_all(struct seed *s, const json_t *document, struct err *e)
{
	const json_t *network = json_object_get(document, "network-config");
	int r = 0;

	if (seed_has(s, document, "PasswordFile"))
		r = seed_password(s, e);
	if (r == 0 && seed_has(s, document, "UserData"))
		r = seed_copy(s, "user-data", e);
	else if (r == 0)
		r = seed_put(s, "user-data", config_header, "{}\n", 3, e);
	if (r == 0 && seed_has(s, document, "NetworkConfig"))
		r = seed_copy(s, "network-config", e);
	else if (r == 0 && network)
		r = seed_put_json(s, "network-config", network, e);
	if (r < 0)
		return r;
	s->key = NULL;
	r = seed_put_json(s, "meta-data", json_object_get(document, "meta-data"), e);
	return r < 0 ? r : seed_put_json(s, "vendor-data", s->vendor, e);
}

int seed_write(const json_t *document, const char *dir, const char **key, struct err *e)
{
	struct seed s = { .dir = -1,
		.vendor = json_deep_copy(json_object_get(document, "vendor-data")) };
	int r = 0;

	if (*dir && mkdir(dir, 0755) == 0)
		s.dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*dir && (s.dir < 0 || fchmod(s.dir, 0755) < 0))
		r = err_errno(e, "make '%s'", dir);
	if (r == 0)
		r = seed_write_all(&s, document, e);
	*key = s.key;
	close_fd(&s.dir);
	json_decref(s.vendor);
	return r;
}

int seed_main(const char *dir)
{
	json_auto_t *document = json_loadf(stdin, 0, NULL), *error = NULL;
	const char *key = NULL;
	struct err e = ERR_INIT;

	if (!document) /* the daemon died */
		return 1;
	if (seed_write(document, dir, &key, &e) == 0)
		return 0;
	error = api_error_json(&e);
	if (key)
		json_object_set_new(error, "key", json_string(key));
	json_dumpf(error, stdout, JSON_COMPACT);
	return 1;
}
