/* SPDX-License-Identifier: MIT */
#include "supervisor/vm/found.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/log.h"
#include "supervisor/host/cgroup.h"
#include "supervisor/host/uids.h"
#include "supervisor/vm/inside.h"

enum { CMDLINE_MAX = 256 << 10, CGROUP_MAX = 64 << 10 };

bool found_uid_lives(uid_t uid)
{
	errno = 0;
	return getpriority(PRIO_USER, uid) != -1 || errno != ESRCH;
}

void found_pass(struct found *f, struct vms *vms, uid_t uid)
{
	_cleanup_(close_dir) DIR *dir = opendir("/proc");

	*f = (struct found){ .vms = vms };
	for (const struct dirent *d; dir && (d = readdir(dir));) {
		struct stat st;

		if (!isdigit((unsigned char)d->d_name[0]) ||
			fstatat(dirfd(dir), d->d_name, &st, 0) < 0)
			continue;
		if (uid ? st.st_uid != uid : !uids_is_vm(st.st_uid))
			continue;
		f->at = xrealloc(f->at, f->n + 1, sizeof *f->at);
		f->at[f->n++] = (struct found_process){ .pid = atoi(d->d_name),
			.is = { .uid = st.st_uid } };
	}
}

struct found_process *found_pid(struct found *f, pid_t pid)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->at[i].pid == pid)
			return &f->at[i];
	return NULL;
}

static void found_read(pid_t pid, const char *file, struct buf *b)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	file_read(AT_FDCWD, path, b, NULL);
}

/* File name of the executable, from the kernel, so the process cannot fake it. "": a zombie. */
static void found_program(pid_t pid, char name[64])
{
	char link[32], path[PATH_MAX];
	const char *last;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	path[strcspn(path, " ")] = '\0'; /* "... (deleted)" */
	last = strrchr(path, '/');
	snprintf(name, 64, "%.63s", last ? last + 1 : path);
}

/* Is it a guest, or about to become one? Excludes qemu-img with a VM's uid, and a vmkeep-jail
 * that is our child: that one is known, or runs a tool. */
static bool found_matters(struct found_process *p)
{
	struct proc_stat s;
	char program[64];

	/* a zombie runs no guest, but while it has threads they hold its files and locks */
	if (p->known || !proc_stat(p->pid, &s) || (strchr("ZX", s.state) && s.threads <= 1))
		return false;
	found_program(p->pid, program);
	p->starttime = s.starttime;
	p->early = streq(program, "vmkeep-jail");
	return !streq(program, "qemu-img") && !(p->early && s.parent == getpid());
}

static void found_inspect(struct found *f, struct found_process *p)
{
	const struct daemon *d = f->vms->daemon;
	struct buf text = BUF_MAX(CGROUP_MAX);

	found_read(p->pid, "cgroup", &text);
	whose_group(text.data ? text.data : "", d->cgroups->prefix, p->is.group);
	buf_release(&text);
	inside_name(p->pid, d->dirs.run, p->is.root);
	text = (struct buf)BUF_MAX(CMDLINE_MAX);
	found_read(p->pid, "cmdline", &text);
	if (text.data && !p->early)
		whose_claims(text.data, text.len, &p->is);
	buf_release(&text);
}

/* The uid belongs to another daemon, whatever else matches: a copied state directory has the
 * same UUIDs. Before there were blocks, all daemons used uids of the first one. */
static bool found_is_others(const struct found *f, const struct whose_process *p)
{
	const unsigned block = uids_block(p->uid);

	return block >= UIDS_SHARED && block != f->vms->daemon->uids->block && !p->group[0] &&
	       !p->root[0];
}

void found_choose(struct found *f)
{
	const struct vms *vms = f->vms;
	_cleanup_(free_ptr) struct whose_vm *list = xcalloc(vms->n + 1, sizeof *list);

	for (size_t i = 0; i < vms->n; i++) {
		const struct identity *id = &vms->vm[i]->identity;

		list[i] = (struct whose_vm){ vms->vm[i]->name, id->uid, id->uid ? id->uuid : "" };
	}
	for (size_t i = 0; i < f->n; i++) {
		struct found_process *p = &f->at[i];
		enum whose verdict;

		if (!found_matters(p))
			continue;
		found_inspect(f, p);
		verdict = found_is_others(f, &p->is) ? WHOSE_NOBODYS
						     : whose(&p->is, list, vms->n, false, p->owner);
		p->hostile = verdict == WHOSE_HOSTILE;
		p->others = verdict == WHOSE_NOBODYS;
		/* usually of another vmkeepd */
		if (verdict == WHOSE_NOBODYS)
			log_debug(vms_find(f->vms, p->is.name) ? p->is.name : NULL,
				"process %d has a guest's uid (%u), but no VM has it: left alone",
				(int)p->pid, p->is.uid);
	}
}

/* Prefers QEMU to a jail that may never become one. */
struct found_process *found_of(struct found *f, const char *vm)
{
	struct found_process *best = NULL;

	for (size_t i = 0; i < f->n; i++)
		if (!f->at[i].known && streq(f->at[i].owner, vm) &&
			(!best || (best->early && !f->at[i].early)))
			best = &f->at[i];
	return best;
}

pid_t found_others(struct vms *vms, uid_t uid)
{
	struct found f;
	pid_t others = 0;

	if (!found_uid_lives(uid))
		return 0;
	found_pass(&f, vms, uid);
	found_choose(&f);
	for (size_t i = 0; i < f.n; i++)
		if (f.at[i].others)
			others = f.at[i].pid;
	found_release(&f);
	return others;
}

void found_release(struct found *f)
{
	free_ptr(&f->at);
	f->n = 0;
}
