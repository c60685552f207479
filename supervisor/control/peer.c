/* SPDX-License-Identifier: MIT */
#include "supervisor/control/peer.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"
#include "supervisor/host/uids.h"

enum { GROUPS_MAX = 65536 }; /* NGROUPS_MAX of the kernel */

struct peer *peer_new(int fd, struct err *e)
{
	struct ucred cred;
	socklen_t len = sizeof cred, groups_len = 0;
	struct peer *p;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		err_errno(e, "ask who connected");
		return NULL;
	}
	/* says how much it would take */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &groups_len) < 0 && errno != ERANGE)
		groups_len = 0;
	if (groups_len > GROUPS_MAX * sizeof(gid_t))
		groups_len = 0;
	p = xcalloc(1, sizeof *p + sizeof(gid_t) + groups_len);
	p->refs = 1;
	p->uid = cred.uid;
	p->pid = cred.pid;
	snprintf(p->who, sizeof p->who, "uid %u (pid %d)", cred.uid, cred.pid);
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

static gid_t group_by_name(const char *name)
{
	const struct group *g = getgrnam(name);

	return g ? g->gr_gid : (gid_t)-1;
}

void peer_groups_load(struct peer_groups *g)
{
	g->operator= group_by_name("vmkeep");
	g->view = group_by_name("vmkeep-view");
}

static bool in_group(const struct peer *p, gid_t gid)
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
	if (in_group(p, g->operator))
		return API_ROLE_OPERATOR;
	if (in_group(p, g->view))
		return API_ROLE_VIEW;
	return API_ROLE_NONE;
}

bool peer_is_jail(const struct peer *p)
{
	return p->uid >= UIDS_FIRST && p->uid < UIDS_END;
}

/* Files, not getpwnam(): a directory server that hangs would stop the loop. */
static bool user_named(const char *name, uid_t uid)
{
	_cleanup_(close_file) FILE *f = fopen("/etc/passwd", "re");
	const struct passwd *row;

	while (f && (row = fgetpwent(f)))
		if (streq(row->pw_name, name))
			return row->pw_uid == uid;
	return false;
}

static bool group_named(const char *name, const struct peer *p)
{
	_cleanup_(close_file) FILE *f = fopen("/etc/group", "re");
	const struct group *row;

	while (f && (row = fgetgrent(f)))
		if (streq(row->gr_name, name))
			return in_group(p, row->gr_gid);
	return false;
}

bool peer_is(const struct peer *p, const char *owner)
{
	bool group = *owner == '@';
	uint64_t number;

	owner += group;
	if (text_parse_uint(owner, 0, UINT32_MAX - 1, &number) == 0)
		return group ? in_group(p, (gid_t)number) : p->uid == (uid_t)number;
	return group ? group_named(owner, p) : user_named(owner, p->uid);
}
