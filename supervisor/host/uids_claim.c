/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/host/uids.h"

enum { CLAIM_MAX = PATH_MAX + 2, NAME_SIZE = 16 };

/* --- one claim --- */

typedef bool claim_fits(const char *text, const char *state);

static bool claim_is_ours(const char *text, const char *state)
{
	size_t len = strlen(state);

	return strncmp(text, state, len) == 0 && text[len] == '\n';
}

static bool claim_is_nobodys(const char *text, const char *state)
{
	return *text != '/' || claim_is_ours(text, state);
}

/* Also true if its state directory was moved or removed, or is ours under another path. Accesses
 * other daemons' paths, so use it only before the loop runs. */
static bool claim_is_left(const char *text, const char *state)
{
	_cleanup_(free_ptr) char *path = xstrndup(text, strcspn(text, "\n"));
	struct stat theirs, ours;

	if (claim_is_nobodys(text, state))
		return true;
	if (stat(path, &theirs) < 0)
		return errno == ENOENT;
	return stat(state, &ours) == 0 && file_same(&theirs, &ours);
}

static char *claim_read(int dirfd, unsigned block)
{
	struct buf text = BUF_MAX(CLAIM_MAX);
	char name[NAME_SIZE];

	snprintf(name, sizeof name, "%u", block);
	file_read(dirfd, name, &text, NULL);
	return text.data ? text.data : xstrdup("");
}

static bool claim_is_there(int dirfd, unsigned block)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof name, "%u", block);
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Takes the lock before reading: its holder has the file to itself. */
static bool claim_take(struct uids *u, int dirfd, unsigned block, int flags, claim_fits *fits)
{
	_cleanup_(free_ptr) char *text = NULL, *line = xasprintf("%s\n", u->state);
	_cleanup_(close_fd) int fd = -1;
	char name[NAME_SIZE];

	snprintf(name, sizeof name, "%u", block);
	fd = openat(
		dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return false;
	text = claim_read(dirfd, block);
	if (!fits(text, u->state))
		return false;
	if (ftruncate(fd, 0) < 0 || file_write_all(fd, line, strlen(line)) < 0) {
		log_warning(NULL, "write '%s/%s': %s", u->claims, name, strerror(errno));
		return false;
	}
	close_fd(&u->claim);
	u->claim = steal_fd(&fd);
	uids_of_block(u, block);
	return true;
}

static int uids_claim_claims_open(const char *path, struct err *e)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "create directory '%s'", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(e, "open directory '%s'", path) : fd;
}

/* --- choosing a block --- */

static void uids_claim_note_block(void *data, uid_t uid)
{
	unsigned *of = data;

	if (uids_is_confined(uid))
		of[uids_block(uid)]++;
}

static void uids_claim_note_living(unsigned of[UIDS_BLOCKS])
{
	_cleanup_(close_dir) DIR *dir = opendir("/proc");
	struct stat st;

	for (const struct dirent *d; dir && (d = readdir(dir));)
		if (isdigit((unsigned char)d->d_name[0]) &&
			fstatat(dirfd(dir), d->d_name, &st, 0) == 0)
			uids_claim_note_block(of, st.st_uid);
}

/* Claims the block that this daemon has had since boot. A daemon that was just killed may still
 * hold its lock; but we hold the lock of the state directory, which is enough. */
static bool claim_again(struct uids *u, int dirfd)
{
	for (unsigned block = UIDS_SHARED; block < UIDS_BLOCKS; block++) {
		_cleanup_(free_ptr) char *text = claim_read(dirfd, block);

		if (!claim_is_ours(text, u->state))
			continue;
		if (!claim_take(u, dirfd, block, 0, claim_is_ours))
			uids_of_block(u, block);
		return true;
	}
	return false;
}

/* If there are several, as after another daemon took ours, the one that most files use. 0: none
 * that can be claimed. */
static unsigned uids_claim_most_kept(const unsigned kept[UIDS_BLOCKS])
{
	unsigned most = UIDS_SHARED;

	for (unsigned block = most; block < UIDS_BLOCKS; block++)
		if (kept[block] > kept[most])
			most = block;
	return kept[most] ? most : 0;
}

static bool claim_kept(
	struct uids *u, int dirfd, const unsigned kept[UIDS_BLOCKS], claim_fits *fits)
{
	unsigned left[UIDS_BLOCKS];

	memcpy(left, kept, sizeof left);
	for (unsigned most; (most = uids_claim_most_kept(left)); left[most] = 0)
		if (claim_take(u, dirfd, most, 0, fits))
			return true;
	return false;
}

/* Starts at a block chosen by hash, so that the first daemon after a reboot does not take a block
 * that another daemon had. Blocks with stale claims come last. */
static bool claim_any(struct uids *u, int dirfd, claim_fits *fits)
{
	const unsigned n = UIDS_BLOCKS - UIDS_SHARED,
		       first = text_hash32(u->state, strlen(u->state)) % n;
	unsigned lives[UIDS_BLOCKS] = { 0 };

	uids_claim_note_living(lives);
	for (unsigned i = 0; i < 2 * n; i++) {
		unsigned block = UIDS_SHARED + (first + i) % n;
		bool fresh = i < n;

		if (lives[block] || (fresh && claim_is_there(dirfd, block)) ||
			uids_of_host(UIDS_FIRST + block * UIDS_BLOCK, UIDS_BLOCK))
			continue;
		if (claim_take(u, dirfd, block, fresh ? O_EXCL : 0, fits))
			return true;
	}
	return false;
}

static bool uids_claim_is_default(int state_fd)
{
	struct stat first, ours;

	return stat(UIDS_STATE, &first) == 0 && fstat(state_fd, &ours) == 0 &&
	       file_same(&first, &ours);
}

/* Runs without a claim, for example if /run is full. */
static int claim_nothing(struct uids *u, const unsigned kept[UIDS_BLOCKS], struct err *e)
{
	unsigned block = uids_claim_most_kept(kept);

	if (!block && !kept[0] && !kept[1])
		return err_wrap(e, e->number, "uids");
	uids_of_block(u, block);
	log_warning(NULL, "uids: %s; still using those from %u", e->text, u->vms);
	err_clear(e);
	return 0;
}

static int claim_first(struct uids *u, int state_fd, struct err *e)
{
	_cleanup_(close_fd) int dirfd = -1;
	unsigned kept[UIDS_BLOCKS] = { 0 };

	if (uids_claim_is_default(state_fd))
		return 0;
	dirfd = uids_claim_claims_open(u->claims, e);
	if (dirfd >= 0 && claim_again(u, dirfd))
		return 0;
	uids_kept(state_fd, uids_claim_note_block, kept);
	if (dirfd < 0)
		return claim_nothing(u, kept, e);
	if (!claim_kept(u, dirfd, kept, claim_is_left) && !claim_any(u, dirfd, claim_is_left)) {
		err_set(e, ERR_NO_RESOURCES, "no free block of uids in '%s'", u->claims);
		err_hint(e, "remove the files in it whose state directories are gone");
		return claim_nothing(u, kept, e);
	}
	log_info(NULL, "using uids from %u on", u->vms);
	return 0;
}

/* --- while the daemon runs --- */

static bool claim_stands(const struct uids *u)
{
	_cleanup_(free_ptr) char *path = xasprintf("%s/%u", u->claims, u->block);
	struct stat there, ours;

	return u->claim >= 0 && lstat(path, &there) == 0 && fstat(u->claim, &ours) == 0 &&
	       file_same(&there, &ours);
}

void uids_look(struct uids *u)
{
	const unsigned had = u->block;
	unsigned kept[UIDS_BLOCKS] = { 0 };
	_cleanup_(close_fd) int dirfd = -1;

	if (had < UIDS_SHARED || claim_stands(u))
		return;
	dirfd = uids_claim_claims_open(u->claims, NULL);
	kept[had] = 1;
	if (dirfd < 0 || (!claim_again(u, dirfd) && !claim_kept(u, dirfd, kept, claim_is_nobodys) &&
				 !claim_any(u, dirfd, claim_is_nobodys)))
		return;
	if (u->block != had)
		log_warning(
			NULL, "another daemon has claimed our uids: new ones start at %u", u->vms);
}

struct uids *uids_new(const char *claims, int state_fd, const char *state, struct err *e)
{
	struct uids *u = xcalloc(1, sizeof *u);

	*u = (struct uids){ .claims = claims, .state = state, .claim = -1 };
	uids_of_block(u, 0);
	if (claim_first(u, state_fd, e) == 0)
		return u;
	uids_free(u);
	return NULL;
}

void uids_free(struct uids *u)
{
	if (u)
		close_fd(&u->claim);
	free(u);
}
