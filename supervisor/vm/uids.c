/* SPDX-License-Identifier: MIT */
/*
 * The uid of a new VM: one that nobody on this host has or had. It stays in the VM's identity
 * even when the file is gone, because files, a process or a returning file may still need it.
 */
#include "base/log.h"
#include "supervisor/host/uids.h"
#include "supervisor/vm/found.h"

bool vms_uid_taken(const struct vms *vms, uid_t uid, const struct vm *but)
{
	for (size_t i = 0; i < vms->n; i++)
		if (vms->vm[i] != but && vms->vm[i]->identity.uid == uid)
			return true;
	return false;
}

/* Uids in the state directory, including those of VMs whose file is gone. */
struct had {
	const struct uids *ours;
	uid_t most; /* the highest, or one below the first */
	bool at[UIDS_BLOCK];
};

static void uids_note_had(void *data, uid_t uid)
{
	struct had *h = data;

	if (uid < h->ours->vms || uid >= h->ours->vms_end)
		return;
	h->at[uid - h->ours->vms] = true;
	if (uid > h->most)
		h->most = uid;
}

static void uids_find_had(const struct vms *vms, struct had *h)
{
	*h = (struct had){ .ours = vms->daemon->uids, .most = vms->daemon->uids->vms - 1 };
	uids_kept(vms->daemon->dirs.state_fd, uids_note_had, h);
}

/* The first free uid from here; 0: none. had may be NULL if uid is above all of them. */
static uid_t uids_free_from(const struct vms *vms, uid_t uid, const struct had *had)
{
	const struct uids *u = vms->daemon->uids;

	for (; uid < u->vms_end; uid++)
		if (!(had && had->at[uid - u->vms]) && !vms_uid_taken(vms, uid, NULL) &&
			!uids_of_host(uid, 1) && !found_uid_lives(uid))
			return uid;
	return 0;
}

static uid_t uids_free_uid(struct vms *vms)
{
	const struct uids *u = vms->daemon->uids;
	struct had had;
	uid_t uid;

	if (vms->uid_next < u->vms || vms->uid_next > u->vms_end) {
		uids_find_had(vms, &had);
		vms->uid_next = had.most + 1;
	}
	uid = uids_free_from(vms, vms->uid_next, NULL);
	if (uid) {
		vms->uid_next = uid + 1;
		return uid;
	}
	/* the end of the range is reached: look for uids freed in between */
	uids_find_had(vms, &had);
	return uids_free_from(vms, u->vms, &had);
}

int vm_need_uid(struct vm *vm, struct err *e)
{
	struct uids *ours = vm->daemon->uids;
	const uid_t had = vm->identity.uid;

	uids_look(ours);
	if (vm_state_has_process(vm->st.state) ||
		(uids_keeps_vm(ours, had) && !found_others(vm->daemon->vms, had)))
		return 0;
	vm->identity.uid = uids_free_uid(vm->daemon->vms);
	if (!vm->identity.uid) {
		err_set(e, ERR_NO_RESOURCES, "no uid is left from %u on", ours->vms);
		return err_hint(e,
			"vmkeep check names VMs whose file is gone, vmkeep forget NAME frees their uids");
	}
	vm->identity.dirty = true;
	if (had)
		log_warning(vm->name, "its uid %u belongs to another daemon: it gets %u", had,
			vm->identity.uid);
	return 0;
}
