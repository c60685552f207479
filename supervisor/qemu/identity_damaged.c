/* SPDX-License-Identifier: MIT */
/* What was set aside, and what of it can still be read: a VM whose identity is lost is no new one. */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/word.h"
#include "supervisor/qemu/identity.h"

enum { DAMAGED_READ_MAX = 1 << 20 };

/* Behind the key's name; a file that is cut or has other bytes in it may still have that line. */
static void damaged_uuid(struct identity *id, int dirfd)
{
	static const char key[] = "\"uuid\"";
	struct buf text = BUF_MAX(DAMAGED_READ_MAX);
	const char *at = NULL;

	if (file_read(dirfd, id->damaged, &text, NULL) == 0 && text.data)
		at = memmem(text.data, text.len, key, sizeof key - 1);
	if (at) {
		at += sizeof key - 1;
		at += strspn(at, " :\"");
		memcpy(id->damaged_uuid, at, strnlen(at, sizeof id->damaged_uuid - 1));
		if (!conf_word_uuid(id->damaged_uuid))
			id->damaged_uuid[0] = '\0';
	}
	buf_release(&text);
}

void identity_look_damaged(struct identity *id, int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (strncmp(d->d_name, "identity.json.damaged-", 22) != 0 ||
			strlen(d->d_name) >= sizeof id->damaged ||
			strcmp(d->d_name, id->damaged) <= 0)
			continue;
		strcpy(id->damaged, d->d_name);
	}
	if (dir)
		closedir(dir);
	if (id->damaged[0])
		damaged_uuid(id, dirfd);
}
