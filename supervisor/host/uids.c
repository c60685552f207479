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
	{ "/etc/subuid", true }, /* what containers of users may map */
	{ "/etc/subgid", true },
};

/* Files, not getpwuid(): a directory server that hangs would stop the loop. */
static bool in_accounts(const char *path, bool range, uid_t uid)
{
	struct buf text = BUF_MAX(ACCOUNTS_MAX);
	bool found = false;

	file_read(AT_FDCWD, path, &text, NULL);
	for (char *line = text.data; line && *line && !found;) {
		char *end = strchrnul(line, '\n'), *second = strchr(line, ':');
		unsigned long long first = 0, count = 1;

		if (second && second < end &&
			(range ? sscanf(second, ":%llu:%llu", &first, &count) == 2 :
				 sscanf(second, ":%*[^:\n]:%llu", &first) == 1 ||
					 sscanf(second, "::%llu", &first) == 1))
			found = uid >= first && uid - first < count;
		line = *end ? end + 1 : end;
	}
	buf_release(&text);
	return found;
}

bool uids_of_host(uid_t uid)
{
	for (size_t i = 0; i < ARRAY_SIZE(accounts); i++)
		if (in_accounts(accounts[i].path, accounts[i].range, uid))
			return true;
	return false;
}
