/* SPDX-License-Identifier: MIT */
#include "supervisor/control/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "supervisor/host/uids.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

enum { GROUPS_MAX = 65536 }; /* NGROUPS_MAX of the kernel */

/* --- names: from files, not getpwnam(), because a hanging directory server would block the loop
 * --- */

enum { NAMES_KEPT = 64, NAME_BYTES = 64, NOBODY_KNOWN = -1 };

/* Cached lookups in one account file, valid until the file changes. */
struct names {
	const char *path;
	struct stat st;
	struct {
		char name[NAME_BYTES];
		int64_t id; /* NOBODY_KNOWN: no such name */
	} kept[NAMES_KEPT];
	size_t next; /* the entry to replace next */
};

static bool peer_names_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void peer_names_fresh(struct names *n)
{
	struct stat st = { 0 };

	stat(n->path, &st);
	if (!peer_names_same(&st, &n->st))
		*n = (struct names){ .path = n->path, .st = st };
}

static void peer_names_keep(struct names *n, const char *name, int64_t id)
{
	snprintf(n->kept[n->next].name, NAME_BYTES, "%s", name);
	n->kept[n->next].id = id;
	n->next = (n->next + 1) % NAMES_KEPT;
}

static void peer_name(uid_t uid, char name[PEER_NAME])
{
	static struct names names = { .path = "/etc/passwd" };
	_cleanup_(close_file) FILE *f = NULL;
	const struct passwd *row;

	peer_names_fresh(&names);
	for (size_t i = 0; i < NAMES_KEPT; i++)
		if (names.kept[i].name[0] && names.kept[i].id == uid) {
			snprintf(name, PEER_NAME, "%s", names.kept[i].name);
			return;
		}
	snprintf(name, PEER_NAME, "uid %u", uid);
	f = fopen(names.path, "re");
	while (f && (row = fgetpwent(f)))
		if (row->pw_uid == uid && *row->pw_name) {
			snprintf(name, PEER_NAME, "%s", row->pw_name);
			text_clean(name);
			break;
		}
	peer_names_keep(&names, name, uid);
}

/* --- who logged in --- */

/* Tells whether the process that connected is still running: otherwise its pid may be another's by
 * now. Before Linux 6.5, only its end of the socket tells, which the kernel closes when the last
 * process that has it open exits. */
static bool peer_is_alive(int fd)
{
	_cleanup_(close_fd) int pidfd = -1;
	socklen_t len = sizeof pidfd;
	struct pollfd end = { .fd = fd };

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		end = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	return poll(&end, 1, 0) == 0;
}

/* The kernel's record of the login that a process descends from, which survives sudo and su.
 * (uid_t)-1: none, as for services. */
static uid_t peer_login(int fd, pid_t pid, uid_t uid)
{
	_cleanup_(close_fd) int process = -1;
	char path[32], text[16];
	struct stat st;
	uint64_t login;

	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	if (pid <= 0) /* it is in another pid namespace */
		return (uid_t)-1;
	process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process < 0 || fstat(process, &st) < 0 || st.st_uid != uid ||
		file_peek(process, "loginuid", text, sizeof text) <= 0 || !peer_is_alive(fd))
		return (uid_t)-1;
	text[strcspn(text, "\n")] = '\0';
	return text_parse_uint(text, 0, UINT32_MAX, &login) == 0 ? (uid_t)login : (uid_t)-1;
}

/* Adds the login name of a user who is root through sudo. It is only displayed: no permission
 * depends on it. */
static void peer_identify(struct peer *p, int fd)
{
	const uid_t login = peer_login(fd, p->pid, p->uid);
	char name[PEER_NAME];

	peer_name(p->uid, p->user);
	snprintf(p->who, sizeof p->who, "%s", p->user);
	if (login == (uid_t)-1 || login == p->uid)
		return;
	peer_name(login, name);
	snprintf(p->who, sizeof p->who, "%s (%s)", p->user, name);
}

struct peer *peer_new(int fd, struct err *e)
{
	struct ucred cred;
	socklen_t len = sizeof cred, groups_len = 0;
	struct peer *p;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		err_errno(e, "get the peer's credentials");
		return NULL;
	}
	/* returns the size needed */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &groups_len) < 0 && errno != ERANGE)
		groups_len = 0;
	if (groups_len > GROUPS_MAX * sizeof(gid_t))
		groups_len = 0;
	p = xcalloc(1, sizeof *p + sizeof(gid_t) + groups_len);
	p->refs = 1;
	p->uid = cred.uid;
	p->pid = cred.pid;
	peer_identify(p, fd);
	p->group[p->groups++] = cred.gid;
	if (groups_len && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, p->group + 1, &groups_len) == 0)
		p->groups += groups_len / sizeof(gid_t);
	return p;
}

struct peer *peer_ref(struct peer *p)
{
	p->refs++;
	return p;
}

void peer_unref(struct peer *p)
{
	if (p && --p->refs == 0)
		free(p);
}

size_t peer_bytes(const struct peer *p)
{
	return sizeof *p + p->groups * sizeof *p->group;
}

/* --- owners --- */

static int64_t peer_names_read_user(FILE *f, const char *name)
{
	const struct passwd *row;

	while ((row = fgetpwent(f)))
		if (streq(row->pw_name, name))
			return row->pw_uid;
	return NOBODY_KNOWN;
}

static int64_t peer_names_read_group(FILE *f, const char *name)
{
	const struct group *row;

	while ((row = fgetgrent(f)))
		if (streq(row->gr_name, name))
			return row->gr_gid;
	return NOBODY_KNOWN;
}

static int64_t peer_names_find(
	struct names *n, const char *name, int64_t (*read_id)(FILE *f, const char *name))
{
	_cleanup_(close_file) FILE *f = NULL;
	int64_t id;

	peer_names_fresh(n);
	for (size_t i = 0; i < NAMES_KEPT; i++)
		if (*name && streq(n->kept[i].name, name))
			return n->kept[i].id;
	f = fopen(n->path, "re");
	id = f ? read_id(f, name) : NOBODY_KNOWN;
	if (f && strlen(name) < NAME_BYTES)
		peer_names_keep(n, name, id);
	return id;
}

static int64_t peer_user_named(const char *name)
{
	static struct names names = { .path = "/etc/passwd" };

	return peer_names_find(&names, name, peer_names_read_user);
}

static int64_t peer_group_named(const char *name)
{
	static struct names names = { .path = "/etc/group" };

	return peer_names_find(&names, name, peer_names_read_group);
}

/* --- roles --- */

void peer_groups_load(struct peer_groups *g)
{
	g->operators = (gid_t)peer_group_named("vmkeep");
	g->create = (gid_t)peer_group_named("vmkeep-create");
	g->view = (gid_t)peer_group_named("vmkeep-view");
}

static bool peer_in_group(const struct peer *p, gid_t gid)
{
	for (size_t i = 0; gid != (gid_t)-1 && i < p->groups; i++)
		if (p->group[i] == gid)
			return true;
	return false;
}

enum api_role peer_role(const struct peer *p, const struct peer_groups *g)
{
	if (p->uid == 0 || p->uid == geteuid())
		return API_ROLE_ROOT;
	if (peer_in_group(p, g->operators))
		return API_ROLE_OPERATOR;
	if (peer_in_group(p, g->create))
		return API_ROLE_CREATE;
	if (peer_in_group(p, g->view))
		return API_ROLE_VIEW;
	return API_ROLE_NONE;
}

bool peer_is_jail(const struct peer *p)
{
	return uids_is_confined(p->uid);
}

bool peer_is(const struct peer *p, const char *owner)
{
	bool group = *owner == '@';
	uint64_t number;

	owner += group;
	if (text_parse_uint(owner, 0, UINT32_MAX - 1, &number) == 0)
		return group ? peer_in_group(p, (gid_t)number) : p->uid == (uid_t)number;
	if (group)
		return peer_in_group(p, (gid_t)peer_group_named(owner));
	return peer_user_named(owner) == (int64_t)p->uid;
}

bool peer_owns(const struct peer *p, const struct conf_list *owner)
{
	for (size_t i = 0; i < owner->n; i++)
		if (peer_is(p, owner->item[i]))
			return true;
	return false;
}
