/* SPDX-License-Identifier: MIT */
/*
 * A running guest without a usable record. Its configuration comes from kept.json. If there is
 * none (started by an older daemon, or lost too), the host and the command line supply what they
 * can and the rest is unknown: vm->proc.conf_lost. No identity is invented while the guest runs.
 */
#include "supervisor/vm/lost.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/host/uids.h"
#include "supervisor/vm/dirs.h"
#include "supervisor/vm/kept.h"
#include "supervisor/vm/nic.h"
#include "supervisor/vm/record.h"

enum { CMDLINE_MAX = 256 << 10 };

static uid_t lost_uid(pid_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	return stat(path, &st) == 0 ? st.st_uid : 0;
}

/* -- command line -- */

/* "nic-lan" and its MAC, from the JSON of a device. */
static void lost_device(struct identity *id, const char *word)
{
	json_auto_t *o = json_loads(word, 0, NULL);
	const char *device = json_string_value(json_object_get(o, "id"));
	const char *mac = json_string_value(json_object_get(o, "mac"));

	if (device && mac && strncmp(device, "nic-", 4) == 0)
		identity_set_mac(id, device + 4, mac);
}

static void lost_word(struct identity *id, const char *before, const char *word)
{
	char machine[64];

	if (streq(before, "-uuid") && strlen(word) == sizeof id->uuid - 1) {
		memcpy(id->uuid, word, sizeof id->uuid);
	} else if (streq(before, "-machine")) {
		snprintf(machine, sizeof machine, "%.*s", (int)strcspn(word, ","), word);
		free(id->machine);
		id->machine = xstrdup(machine);
	} else if (streq(before, "-device")) {
		lost_device(id, word);
	}
}

static void lost_read_words(struct identity *id, pid_t pid)
{
	_cleanup_(buf_release) struct buf text = BUF_MAX(CMDLINE_MAX);
	const char *before = "", *end;
	char path[48];

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	file_read(AT_FDCWD, path, &text, NULL);
	end = text.data ? text.data + text.len : NULL;
	for (const char *w = text.data; w && w < end; before = w, w += strlen(w) + 1)
		lost_word(id, before, w);
}

/* -- identity -- */

static void lost_identity(struct vm *vm, uid_t uid, json_t *kept)
{
	struct identity id = IDENTITY_INIT;
	struct err e = ERR_INIT;

	if (!identity_parse(&id, json_object_get(kept, "identity")) || id.uid != uid) {
		identity_release(&id);
		lost_read_words(&id, vm->proc.pid);
		id.uid = uid;
	}
	log_warning(vm->name, "its identity is lost or damaged: taken from its process %d",
		(int)vm->proc.pid);
	identity_release(&vm->identity);
	vm->identity = id;
	identity_make_uuid(&vm->identity);
	vm->identity.dirty = vm->identity.kept = true;
	if (vm_draft_identity(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
	for (size_t i = 0; i < vm->proc.nics; i++) {
		struct network_nic *n = &vm->proc.nic[i].net;
		const struct identity_nic *known = identity_nic(&vm->identity, n->nic);

		if (known)
			memcpy(n->mac, known->mac, ETH_ALEN);
	}
}

static void lost_started(struct vm *vm)
{
	vm->proc.started_boot = vm->st.since_boot =
		(double)vm->proc.starttime / (double)sysconf(_SC_CLK_TCK);
	vm->proc.started = vm->st.since = clock_wall() - (clock_boot() - vm->proc.started_boot);
	vm->proc.begun = daemon_now();
}

/* -- configuration -- */

/* Best guess: usually the VM file is what it was started from. */
static void lost_assume(struct vm *vm)
{
	struct err e = ERR_INIT;
	int r = vm->file.have_conf ? conf_vm_copy(&vm->proc.conf, &vm->file.conf, &e)
				   : conf_vm_read(&vm->proc.conf, vm->name, "", 0, &e);

	if (r < 0)
		log_warning(vm->name, "%s", e.text);
	log_warning(vm->name, "the configuration that it runs with is not known");
}

void lost_unknown(struct vm *vm)
{
	vm->proc.conf_lost = true;
	lost_assume(vm);
	lost_started(vm);
}

static void lost_conf(struct vm *vm, json_t *kept)
{
	const char *text = json_string_value(json_object_get(kept, "conf"));
	const char *accel = json_string_value(json_object_get(kept, "accel"));
	struct err e = ERR_INIT;

	vm->proc.conf_lost =
		!text || conf_vm_read(&vm->proc.conf, vm->name, text, strlen(text), &e) < 0;
	if (e.number)
		log_warning(vm->name, "%s", e.text);
	if (vm->proc.conf_lost) {
		lost_assume(vm);
		return;
	}
	conf_vm_place(&vm->proc.conf, &vm->daemon->conf);
	if (accel)
		vm->proc.accel = streq(accel, "tcg") ? CONF_ACCEL_TCG : CONF_ACCEL_KVM;
	if (vm_record_save_conf(vm, &e) < 0)
		log_error(vm->name, "%s", e.text);
}

/* -- NICs -- */

static void lost_nic(void *data, const char *id, const struct tap *tap)
{
	struct vm *vm = data;
	const struct identity_nic *known = identity_nic(&vm->identity, id);
	const struct conf_nic *c = NULL;
	struct network_nic as = { .nic = id };
	char dns[64];

	for (size_t i = 0; i < vm->proc.conf.nics; i++)
		if (streq(vm->proc.conf.nic[i].id, id))
			c = &vm->proc.conf.nic[i];
	as.link = !c || c->link;
	as.bridge = c ? c->bridge : NULL;
	if (!as.bridge)
		as.network = known && known->network ? known->network : c ? c->network : "default";
	as.hostname = c && c->hostname ? c->hostname : conf_dns_name(vm->name, dns);
	if (known) {
		memcpy(as.mac, known->mac, ETH_ALEN);
		as.address = known->address;
	}
	vm_add_nic(vm, &as)->tap = *tap;
}

/* Its taps, which only root can name, tell which NICs it has. */
static void lost_nics(struct vm *vm, json_t *kept)
{
	const json_t *nics = json_object_get(kept, "nics");

	if (nics) {
		vm_nics_read(vm, nics);
		return;
	}
	vm_free_nics(vm);
	networks_taps(vm->daemon->networks, vm->name, vm->proc.pid, lost_nic, vm);
}

/* -- everything -- */

void lost_repair(struct vm *vm)
{
	uid_t uid = lost_uid(vm->proc.pid);
	bool identity = uids_is_vm(uid) && uid != vm->identity.uid;
	json_t *kept;

	if (!identity && !vm->proc.conf_lost)
		return;
	kept = kept_read(vm);
	if (identity)
		lost_identity(vm, uid, kept);
	if (vm->proc.conf_lost)
		lost_conf(vm, kept);
	json_decref(kept);
}

void lost_record(struct vm *vm)
{
	json_t *kept;

	vm->proc.conf_lost = true;
	lost_repair(vm);
	kept = kept_read(vm);
	lost_nics(vm, kept);
	json_decref(kept);
	vm->st.want = VM_WANT_RUNNING;
	vm->proc.quit_sent = vm->st.paused_start = vm->st.by_policy = false;
	vm->st.ending = VM_END_NONE;
	lost_started(vm);
	vm_set_reason(vm, "%s", "");
}
