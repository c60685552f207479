/* SPDX-License-Identifier: MIT */
#include "conf/load.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/text.h"
#include "conf/names.h"

static void load_complain(struct conf_problems *p, const char *path, const char *why)
{
	const struct conf_place place = { .file = path };

	conf_problem(p, &place, NULL, "%s", why);
}

/* Whoever can write it decides what runs as root. */
static bool load_is_trusted(const struct stat *st, const char *path, struct conf_problems *p)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		load_complain(p, path, "refused, it belongs to another user: chown root it");
	else if (st->st_mode & (S_IWGRP | S_IWOTH))
		load_complain(p, path, "refused, others may write it: chmod go-w it");
	else
		return true;
	return false;
}

static bool load_is_trusted_dir(const char *path, struct conf_problems *p)
{
	struct stat st;

	return stat(path, &st) < 0 || load_is_trusted(&st, path, p);
}

/* "DIR/NAME", suffix and end. Not printf, which is slow: a list stats a thousand files first. */
static char *load_join(const char *dir, const char *name, const char *suffix, const char *end)
{
	size_t size = strlen(dir) + strlen(name) + strlen(suffix) + strlen(end) + 2;
	char *path = xcalloc(size, 1);

	stpcpy(stpcpy(stpcpy(stpcpy(stpcpy(path, dir), "/"), name), suffix), end);
	return path;
}

/* The file NAME.suffix and, for a VM, its drop-ins. */
static void load_find_files(struct conf_names *l, const char *dir, const char *name,
	const char *suffix, struct conf_problems *p)
{
	_cleanup_(free_ptr) char *dropins = load_join(dir, name, suffix, ".d");
	struct conf_names found = { 0 };
	int r;

	conf_names_add(l, load_join(dir, name, suffix, ""));
	if (strcmp(suffix, ".vm") != 0)
		return;
	r = conf_names_read(&found, dropins, ".conf");
	if (r < 0 && r != -ENOENT)
		load_complain(p, dropins, strerror(-r));
	else if (found.n > CONF_DROPINS_MAX)
		load_complain(p, dropins, "too many drop-ins, at most 64 are possible");
	else if (found.n && load_is_trusted_dir(dropins, p))
		for (size_t i = 0; i < found.n; i++)
			conf_names_add(l, xasprintf("%s/%s", dropins, found.name[i]));
	conf_names_release(&found);
}

/* A link whose target is gone or not mounted is a file that cannot be read, not one that is absent. */
static bool load_is_dead_link(const char *path, struct conf_problems *p)
{
	char to[PATH_MAX];
	ssize_t len = readlink(path, to, sizeof to - 1);
	_cleanup_(free_ptr) char *safe = len > 0 ? text_escape(to, (size_t)len, false) : NULL,
				 *why = NULL;

	if (!safe)
		return false;
	why = xasprintf("links to '%s', which is not there", safe);
	load_complain(p, path, why);
	return true;
}

enum read_result { READ_DONE, READ_ABSENT, READ_REFUSED };

static enum read_result load_read_file(const char *path, struct buf *b, struct conf_problems *p)
{
	_cleanup_(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return load_is_dead_link(path, p) ? READ_REFUSED : READ_ABSENT;
	if (fd < 0 || fstat(fd, &st) < 0) {
		load_complain(p, path, strerror(errno));
		return READ_REFUSED;
	}
	if (!S_ISREG(st.st_mode)) {
		load_complain(p, path, "not a regular file");
		return READ_REFUSED;
	}
	if (!load_is_trusted(&st, path, p))
		return READ_REFUSED;
	do {
		char *to = buf_reserve(b, 8192);

		n = read(fd, to, 8192);
		if (n > 0)
			buf_commit(b, (size_t)n);
	} while (n > 0 && b->len <= CONF_TEXT_MAX); /* the reader reports larger files */
	if (n >= 0)
		return READ_DONE;
	load_complain(p, path, strerror(errno));
	return READ_REFUSED;
}

struct conf_texts {
	struct conf_names path, text;
	struct conf_source *source; /* of the files that could be read, in order */
	size_t n;
	enum read_result main; /* of the first file */
};

static void load_texts_release(struct conf_texts *t)
{
	free(t->source);
	conf_names_release(&t->text);
	conf_names_release(&t->path);
}

static enum read_result load_texts_add(
	struct conf_texts *t, const char *path, struct conf_problems *p)
{
	struct buf b = BUF_INIT;
	enum read_result r = load_read_file(path, &b, p);
	size_t len = b.len;

	if (r == READ_DONE) {
		conf_names_add(&t->text, buf_steal(&b));
		t->source[t->n] = (struct conf_source){ path, t->text.name[t->n], len };
		t->n++;
	}
	buf_release(&b);
	return r;
}

/* False: there is no such file, or it would have no name. */
static bool load_texts_read(struct conf_texts *t, const char *dir, const char *name,
	const char *suffix, struct conf_problems *p)
{
	*t = (struct conf_texts){ .main = READ_ABSENT };
	if (!conf_name_ok(name))
		return false;
	load_find_files(&t->path, dir, name, suffix, p);
	t->source = xcalloc(t->path.n, sizeof *t->source);
	t->main =
		load_is_trusted_dir(dir, p) ? load_texts_add(t, t->path.name[0], p) : READ_REFUSED;
	for (size_t i = 1; i < t->path.n && t->main == READ_DONE; i++)
		load_texts_add(t, t->path.name[i], p);
	return t->main != READ_ABSENT;
}

bool conf_load_vm(struct conf_vm *out, const char *dir, const char *name,
	const struct conf_context *ctx, struct conf_problems *p)
{
	struct conf_problems unheard = { 0 };
	struct conf_texts t;
	const bool there = load_texts_read(&t, dir, name, ".vm", p);

	/* An unreadable file has no other problems to report, but out must be valid. */
	if (there)
		conf_vm_parse(out, name, t.source, t.n, ctx, t.n ? p : &unheard);
	conf_problems_release(&unheard);
	load_texts_release(&t);
	return there;
}

bool conf_load_network(
	struct conf_network *out, const char *dir, const char *name, struct conf_problems *p)
{
	struct conf_texts t;
	const bool there = load_texts_read(&t, dir, name, ".network", p);

	conf_network_parse(out, name, t.source, t.n, p);
	load_texts_release(&t);
	return there;
}

bool conf_load_image(
	struct conf_image *out, const char *dir, const char *name, struct conf_problems *p)
{
	struct conf_texts t;
	const bool there = load_texts_read(&t, dir, name, ".ini", p);

	conf_image_parse(out, name, t.source, t.n, p);
	load_texts_release(&t);
	return there;
}

bool conf_load_daemon(struct conf_daemon *out, const char *dir, struct conf_problems *p)
{
	struct conf_texts t;
	const bool there = load_texts_read(&t, dir, "vmkeep", ".conf", p);

	conf_daemon_parse(out, t.source, t.n, p);
	load_texts_release(&t);
	return there;
}

struct conf_texts *conf_texts_new(const char *dir, const char *name, struct err *e)
{
	struct conf_texts *t = xcalloc(1, sizeof *t);
	struct conf_problems p = { 0 };
	int r;

	if (!load_texts_read(t, dir, name, ".vm", &p))
		r = err_set(e, ERR_NOT_FOUND, "there is no '%s.vm' in '%s'", name, dir);
	else
		r = conf_problems_err(&p, e);
	conf_problems_release(&p);
	if (r == 0)
		return t;
	conf_texts_free(t);
	return NULL;
}

void conf_texts_free(struct conf_texts *t)
{
	if (t)
		load_texts_release(t);
	free(t);
}

const struct conf_source *conf_texts_sources(const struct conf_texts *t, size_t *n)
{
	*n = t->n;
	return t->source;
}

int conf_load_vm_texts(struct buf *b, const char *dir, const char *name, struct err *e)
{
	struct conf_texts *t = conf_texts_new(dir, name, e);

	if (!t)
		return e->number;
	for (size_t i = 0; i < t->n; i++) {
		const struct conf_source *s = &t->source[i];

		buf_printf(b, "%s# %s\n", i ? "\n" : "", s->file);
		buf_add(b, s->text, s->len);
		if (s->len && s->text[s->len - 1] != '\n')
			buf_addc(b, '\n');
	}
	conf_texts_free(t);
	return 0;
}

static uint64_t load_mix(uint64_t hash, uint64_t v)
{
	hash ^= v;
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

static uint64_t load_mix_time(uint64_t hash, const struct timespec *t)
{
	return load_mix(load_mix(hash, (uint64_t)t->tv_sec), (uint64_t)t->tv_nsec);
}

/* Includes ctime, because permissions matter too. */
static uint64_t load_stamp(const char *dir, const char *name, const char *suffix)
{
	struct conf_problems unheard = { 0 };
	struct conf_names l = { 0 };
	bool there = false;
	uint64_t hash = 0;
	struct stat st;

	load_find_files(&l, dir, name, suffix, &unheard);
	load_is_trusted_dir(dir, &unheard);
	hash = load_mix(hash, unheard.count + 1);
	for (size_t i = 0; i < l.n && (i == 0 || there); i++) {
		/* a link that leads nowhere, or in a circle, is a file, too */
		if (stat(l.name[i], &st) < 0 && lstat(l.name[i], &st) < 0)
			continue;
		there = true;
		hash = load_mix(load_mix(hash, st.st_ino), (uint64_t)st.st_size);
		hash = load_mix_time(load_mix_time(hash, &st.st_mtim), &st.st_ctim);
	}
	conf_problems_release(&unheard);
	conf_names_release(&l);
	return there ? hash + !hash : 0;
}

uint64_t conf_vm_stamp(const char *dir, const char *name)
{
	return conf_name_ok(name) ? load_stamp(dir, name, ".vm") : 0;
}

bool conf_vm_is_elsewhere(const char *dir, const char *name)
{
	_cleanup_(free_ptr) char *file = load_join(dir, name, ".vm", ""),
				 *dropins = load_join(dir, name, ".vm", ".d");
	struct stat st;

	return (lstat(file, &st) == 0 && S_ISLNK(st.st_mode)) || lstat(dropins, &st) == 0;
}

uint64_t conf_network_stamp(const char *dir, const char *name)
{
	return conf_name_ok(name) ? load_stamp(dir, name, ".network") : 0;
}

uint64_t conf_daemon_stamp(const char *dir)
{
	return load_stamp(dir, "vmkeep", ".conf");
}
