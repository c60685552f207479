/* SPDX-License-Identifier: MIT */
#include "supervisor/core/known_keys.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/known.h"

static const char file_name[] = "known-keys";

static char *known_keys_there(int state_fd)
{
	struct buf text = BUF_MAX(CONF_KNOWN_MAX);

	if (file_read(state_fd, file_name, &text, NULL) == 0)
		return buf_steal(&text);
	buf_release(&text);
	return NULL;
}

char *known_keys_read(int state_fd)
{
	char *there = known_keys_there(state_fd);

	if (there && !conf_known_is_newer(there, VMKEEP_VERSION))
		free_ptr(&there);
	return there;
}

void known_keys_leave(int state_fd)
{
	_cleanup_(free_ptr) char *there = known_keys_there(state_fd);
	_cleanup_(buf_release) struct buf ours = BUF_INIT;
	struct err e = ERR_INIT;

	conf_known_put(&ours, VMKEEP_VERSION);
	if (there && (conf_known_is_newer(there, VMKEEP_VERSION) || streq(there, ours.data)))
		return;
	if (file_replace(state_fd, file_name, 0600, ours.data, ours.len, false, &e) < 0)
		log_warning(NULL, "%s", e.text);
}
