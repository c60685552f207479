/* SPDX-License-Identifier: MIT */
/*
 * Which uid a new VM gets: one that nobody on this host has or had. It is kept with the VM's identity,
 * also when its file is gone, because files, a process or a file that comes back may still be its own.
 */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/mem.h"
#include "supervisor/host/uids.h"
#include "supervisor/vm/found.h"

bool vms_uid_taken(const struct vms *vms, uid_t uid, const struct vm *but)
{
	for (size_t i = 0; i < vms->n; i++)
		if (vms->vm[i] != but && vms->vm[i]->identity.uid == uid)
			return true;
	return false;
}

/* The highest that any identity has, also those of VMs whose file is gone; or the one before the first. */
static uid_t highest(const struct vms *vms)
{
	int fd = openat(vms->daemon->dirs.state_fd, "vms", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	uid_t most = UIDS_FIRST - 1;

	for (struct dirent *d; dir && (d = readdir(dir));) {
		_cleanup_(free_ptr) char *path = xasprintf("%s/identity.json", d->d_name);
		struct buf text = BUF_MAX(1 << 20);
		json_int_t uid = 0;
		json_t *doc;

		if (file_read(fd, path, &text, NULL) == 0 && text.data) {
			doc = json_loadb(text.data, text.len, 0, NULL);
			uid = json_integer_value(json_object_get(doc, "uid"));
			json_decref(doc);
		}
		if (uid > (json_int_t)most && uid < (json_int_t)UINT32_MAX - 1)
			most = (uid_t)uid;
		buf_release(&text);
	}
	if (dir)
		closedir(dir);
	return most;
}

uid_t vms_free_uid(struct vms *vms)
{
	if (vms->uid_next == 0)
		vms->uid_next = highest(vms) + 1;
	while (vms_uid_taken(vms, vms->uid_next, NULL) || uids_of_host(vms->uid_next) ||
		found_uid_lives(vms->uid_next))
		vms->uid_next++;
	return vms->uid_next++;
}
