/* SPDX-License-Identifier: MIT */
#include "supervisor/host/uids.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"

enum { ACCOUNTS_MAX = 16 << 20 };

static const struct {
	const char *path;
	bool range; /* name:FIRST:COUNT, else name:password:ID */
} accounts[] = {
	{ "/etc/passwd", false },
	{ "/etc/group", false },
	{ "/etc/subuid", true }, /* ids that user containers may map */
	{ "/etc/subgid", true },
};

/* Within a block: VMs first, then networks. */
enum { OF_VMS = 60 << 10, OF_RELAY = UIDS_BLOCK - 2, OF_PROBE };

/* In the second block, as in earlier versions: dnsmasq of networks, followed by these two. */
enum { FIRST_NETWORKS = UIDS_FIRST + UIDS_BLOCK, FIRST_RELAY = FIRST_NETWORKS + 4096, FIRST_PROBE };

void uids_of_block(struct uids *u, unsigned block)
{
	const uid_t base = UIDS_FIRST + block * UIDS_BLOCK;

	u->block = block;
	u->vms = base;
	if (block < UIDS_SHARED) {
		u->block = 0;
		u->vms = UIDS_FIRST;
		u->vms_end = u->networks = FIRST_NETWORKS;
		u->networks_end = u->relay = FIRST_RELAY;
		u->probe = FIRST_PROBE;
		return;
	}
	u->vms_end = u->networks = base + OF_VMS;
	u->networks_end = u->relay = base + OF_RELAY;
	u->probe = base + OF_PROBE;
}

unsigned uids_block(uid_t uid)
{
	return (uid - UIDS_FIRST) / UIDS_BLOCK;
}

bool uids_is_confined(uid_t uid)
{
	return uid >= UIDS_FIRST && uid < UIDS_END &&
	       (uid <= FIRST_PROBE || uids_block(uid) >= UIDS_SHARED);
}

bool uids_is_vm(uid_t uid)
{
	struct uids u;

	if (!uids_is_confined(uid))
		return false;
	uids_of_block(&u, uids_block(uid));
	return uid >= u.vms && uid < u.vms_end;
}

bool uids_is_network(uid_t uid)
{
	struct uids u;

	if (!uids_is_confined(uid))
		return false;
	uids_of_block(&u, uids_block(uid));
	return uid >= u.networks && uid < u.networks_end;
}

bool uids_keeps_vm(const struct uids *u, uid_t uid)
{
	return uids_is_vm(uid) && (uids_block(uid) == u->block || uids_block(uid) < UIDS_SHARED);
}

/* Reads files instead of calling getpwuid(): a hung directory server would block the loop. */
static bool uids_in_accounts(const char *path, bool range, uid_t from, uid_t n)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(ACCOUNTS_MAX);
	bool found = false;

	file_read(AT_FDCWD, path, &text, NULL);
	for (char *line = text.data; line && *line && !found;) {
		char *end = strchrnul(line, '\n'), *second = strchr(line, ':');
		unsigned long long first = 0, count = 1;

		if (second && second < end &&
			(range ? sscanf(second, ":%llu:%llu", &first, &count) == 2
			       : sscanf(second, ":%*[^:\n]:%llu", &first) == 1 ||
						sscanf(second, "::%llu", &first) == 1))
			found = first < (unsigned long long)from + n &&
				(first >= from || from - first < count);
		line = *end ? end + 1 : end;
	}
	return found;
}

bool uids_of_host(uid_t from, uid_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++)
		if (uids_in_accounts(accounts[i].path, accounts[i].range, from, n))
			return true;
	return false;
}
