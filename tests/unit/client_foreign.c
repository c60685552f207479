/* SPDX-License-Identifier: MIT */
/*
 * Proves that commands of virsh, qm, pct and incus are mapped to ours or answered with our
 * equivalent, and that these texts name only commands that exist. tests/system/test_hints.py reads
 * them too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "supervisor/client/args.h"
#include "supervisor/client/foreign.h"

/* clang-format off */
/* All commands in the help of each: libvirt 9.0, Proxmox VE 8, Incus 6. */
static const struct {
	const char *program, *words;
} known[] = {
	{ "virsh",
	  "allocpages attach-device attach-disk attach-interface autostart backup-begin "
	  "backup-dumpxml blkdeviotune blkiotune blockcommit blockcopy blockjob blockpull "
	  "blockresize capabilities cd change-media checkpoint-create checkpoint-create-as "
	  "checkpoint-delete checkpoint-dumpxml checkpoint-edit checkpoint-info "
	  "checkpoint-list checkpoint-parent connect console cpu-baseline cpu-compare "
	  "cpu-models cpu-stats create define desc destroy detach-device "
	  "detach-device-alias detach-disk detach-interface dom-fd-associate domblkerror "
	  "domblkinfo domblklist domblkstat domblkthreshold domcapabilities domcontrol "
	  "domdirtyrate-calc domdisplay domfsfreeze domfsinfo domfsthaw domfstrim "
	  "domhostname domid domif-getlink domif-setlink domifaddr domiflist domifstat "
	  "domiftune dominfo domjobabort domjobinfo domlaunchsecinfo dommemstat domname "
	  "dompmsuspend dompmwakeup domrename domsetlaunchsecstate domstate domstats "
	  "domtime domuuid domxml-from-native domxml-to-native dump dumpxml echo edit "
	  "emulatorpin event exit find-storage-pool-sources find-storage-pool-sources-as "
	  "freecell freepages get-user-sshkeys guest-agent-timeout guestinfo guestvcpus "
	  "help hostname hypervisor-cpu-baseline hypervisor-cpu-compare iface-begin "
	  "iface-bridge iface-commit iface-define iface-destroy iface-dumpxml iface-edit "
	  "iface-list iface-mac iface-name iface-rollback iface-start iface-unbridge "
	  "iface-undefine inject-nmi iothreadadd iothreaddel iothreadinfo iothreadpin "
	  "iothreadset list lxc-enter-namespace managedsave managedsave-define "
	  "managedsave-dumpxml managedsave-edit managedsave-remove maxvcpus memtune "
	  "metadata migrate migrate-compcache migrate-getmaxdowntime migrate-getspeed "
	  "migrate-postcopy migrate-setmaxdowntime migrate-setspeed net-autostart "
	  "net-create net-define net-destroy net-dhcp-leases net-dumpxml net-edit net-event "
	  "net-info net-list net-name net-port-create net-port-delete net-port-dumpxml "
	  "net-port-list net-start net-undefine net-update net-uuid node-memory-tune "
	  "nodecpumap nodecpustats nodedev-autostart nodedev-create nodedev-define "
	  "nodedev-destroy nodedev-detach nodedev-dumpxml nodedev-event nodedev-info "
	  "nodedev-list nodedev-reattach nodedev-reset nodedev-start nodedev-undefine "
	  "nodeinfo nodememstats nodesevinfo nodesuspend numatune nwfilter-binding-create "
	  "nwfilter-binding-delete nwfilter-binding-dumpxml nwfilter-binding-list "
	  "nwfilter-define nwfilter-dumpxml nwfilter-edit nwfilter-list nwfilter-undefine "
	  "perf pool-autostart pool-build pool-capabilities pool-create pool-create-as "
	  "pool-define pool-define-as pool-delete pool-destroy pool-dumpxml pool-edit "
	  "pool-event pool-info pool-list pool-name pool-refresh pool-start pool-undefine "
	  "pool-uuid pwd qemu-agent-command qemu-attach qemu-monitor-command "
	  "qemu-monitor-event quit reboot reset restore resume save save-image-define "
	  "save-image-dumpxml save-image-edit schedinfo screenshot secret-define "
	  "secret-dumpxml secret-event secret-get-value secret-list secret-set-value "
	  "secret-undefine send-key send-process-signal set-lifecycle-action "
	  "set-user-password set-user-sshkeys setmaxmem setmem setvcpu setvcpus shutdown "
	  "snapshot-create snapshot-create-as snapshot-current snapshot-delete "
	  "snapshot-dumpxml snapshot-edit snapshot-info snapshot-list snapshot-parent "
	  "snapshot-revert start suspend sysinfo ttyconsole undefine update-device "
	  "update-memory-device uri vcpucount vcpuinfo vcpupin version vncdisplay vol-clone "
	  "vol-create vol-create-as vol-create-from vol-delete vol-download vol-dumpxml "
	  "vol-info vol-key vol-list vol-name vol-path vol-pool vol-resize vol-upload "
	  "vol-wipe" },
	{ "qm",
	  "cleanup clone cloudinit cloudinit-dump cloudinit-pending cloudinit-update config "
	  "create delsnapshot destroy disk disk-import disk-move disk-rescan disk-resize "
	  "disk-unlink enroll-efi-keys guest-cmd guest-exec guest-exec-status guest-passwd "
	  "help import importdisk importovf list listsnapshot migrate monitor move-disk "
	  "move_disk mtunnel nbdstop pending reboot remote-migrate rescan reset resize "
	  "resume rollback sendkey set showcmd shutdown snapshot start status stop suspend "
	  "template terminal unlink unlock vncproxy wait agent dbus-vmstate" },
	{ "pct",
	  "clone config console cpusets create delsnapshot destroy df enter exec fsck "
	  "fstrim list listsnapshot migrate mount move-volume move_volume pending pull push "
	  "reboot remote-migrate rescan resize restore resume rollback set shutdown "
	  "snapshot start status stop suspend template unlock unmount" },
	{ "incus",
	  "admin alias cluster config config-device config-edit config-get config-metadata "
	  "config-set config-show config-template config-trust config-unset console copy cp "
	  "create debug delete rm exec export file file-pull file-push image image-list "
	  "import info init launch list ls manpage monitor move mv network network-create "
	  "network-delete network-list network-list-leases network-show operation "
	  "operation-list pause profile profile-assign project project-create publish query "
	  "rebuild remote rename restart resume snapshot snapshot-create snapshot-delete "
	  "snapshot-list snapshot-rename snapshot-restore snapshot-show start stop storage "
	  "storage-list top version wait warning webui" },
};
/* clang-format on */

/* One of our command groups needs a subcommand; the error lists them. */
static bool is_group(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < api_verbs_n; i++)
		if (api_verbs[i].command && strncmp(api_verbs[i].command, word, len) == 0 &&
			api_verbs[i].command[len] == ' ')
			return true;
	return streq(word, "help");
}

static bool is_ours(const char *word)
{
	_cleanup_(free_ptr) char *spaced = xstrdup(word);
	char *dash = strchr(spaced, '-');

	if (dash)
		*dash = ' ';
	return api_verb_by_command(word) || api_verb_by_command(spaced) || is_group(word);
}

static void each_command_of_others_is_answered(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		_cleanup_(free_ptr) char *words = xstrdup(known[i].words);
		char *rest;

		for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
			const char *line[] = { w, "web1" };
			struct args a = ARGS_INIT;
			struct err e = ERR_INIT;

			if (!is_ours(w)) {
				args_parse(&a, 2, line, &e);
				if (!a.foreign)
					fail_msg("%s %s is not answered", known[i].program, w);
			}
			args_release(&a);
		}
	}
}

static char *way(const char *first, const char *second, const char *vm)
{
	struct buf b = BUF_INIT;
	unsigned used;
	const struct foreign *f = foreign_find(first, second, &used);

	if (!f)
		return NULL;
	foreign_way(f, "/etc/vmkeep", vm, &b);
	return buf_steal(&b);
}

static void a_sentence_names_the_vm_and_its_file(void **state)
{
	static const struct {
		const char *first, *second, *vm, *want;
	} rows[] = {
		{ "autostart", "web1", "web1",
			"vmkeep enable web1 starts it with the host, vmkeep disable web1 does not" },
		{ "autostart", NULL, NULL,
			"vmkeep enable NAME starts it with the host, vmkeep disable NAME does not" },
		{ "terminal", "../x", "../x", "vmkeep console NAME" },
		{ "vol-list", NULL, NULL,
			"disk images are files: qemu-img creates, converts and resizes them; name "
			"one at Path= in a [Disk] section of /etc/vmkeep/NAME.vm" },
		{ "snapshot", "restore", "web1",
			"vmkeep snapshot revert web1 SNAPSHOT; what came after the snapshot is lost" },
		{ "frobnicate", "web1", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(free_ptr) char *got = way(rows[i].first, rows[i].second, rows[i].vm);

		if (!streq(got, rows[i].want))
			fail_msg("%s: %s", rows[i].first, got ? got : "nothing");
	}
}

static void the_vm_is_the_word_after_the_command(void **state)
{
	static const struct {
		const char *word[3], *vm;
	} rows[] = {
		{ { "desc", "web1" }, "web1" },
		{ { "snapshot", "restore", "web1" }, "web1" },
		{ { "desc" }, NULL },
		{ { "backup", "web1" }, "web1" },
		{ { "config", "web1" }, "web1" },
		{ { "config", "set", "web1" }, "web1" },
		{ { "cloudinit", "dump", "web1" }, "web1" },
		{ { "file", "push", "web1" }, "web1" },
		{ { "qm", "destroy", "web1" }, "web1" },
		{ { "qm", "stop", "web1" }, "web1" },
		{ { "incus", "exec", "web1" }, "web1" },
		{ { "virsh", "undefine", "web1" }, "web1" },
		{ { "incus", "config", "set" }, NULL },
		{ { "virsh" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct args a = ARGS_INIT;
		struct err e = ERR_INIT;
		size_t n = 0;

		while (n < 3 && rows[i].word[n])
			n++;
		assert_true(args_parse(&a, n, rows[i].word, &e) < 0);
		assert_non_null(a.foreign);
		assert_true(streq(a.foreign_vm, rows[i].vm));
		args_release(&a);
	}
}

static void the_name_of_the_program_is_left_out(void **state)
{
	static const struct {
		const char *word[3], *hint;
	} rows[] = {
		{ { "qm", "list" }, "leave that word out: vmkeep list" },
		{ { "virsh", "net-list" }, "leave that word out: vmkeep net-list" },
		{ { "incus", "snapshot", "create" }, "leave that word out: vmkeep snapshot" },
		{ { "vmkeep", "start", "web1" }, "leave that word out: vmkeep start" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct args a = ARGS_INIT;
		struct err e = ERR_INIT;

		assert_true(args_parse(&a, rows[i].word[2] ? 3 : 2, rows[i].word, &e) < 0);
		assert_null(a.foreign);
		assert_string_equal(e.hint, rows[i].hint);
		args_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_of_the_program_is_left_out),
		cmocka_unit_test(each_command_of_others_is_answered),
		cmocka_unit_test(a_sentence_names_the_vm_and_its_file),
		cmocka_unit_test(the_vm_is_the_word_after_the_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
