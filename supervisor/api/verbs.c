/* SPDX-License-Identifier: MIT */
/* In manual and help order: a VM's life, queries, parts of a VM, networks, the daemon. */
#include "base/mem.h"
#include "supervisor/api/result.h"

#pragma GCC diagnostic ignored \
	"-Wmissing-field-initializers" /* rows leave out members that they do not need */

/* clang-format off */
#define TIMEOUT(text) { "timeout", API_TIME, false, "--timeout TIME", text }
#define DRY_RUN(text) { "dry-run", API_BOOL, false, "--dry-run", text }
#define SNAPSHOT { "snapshot", API_NAME, true, "SNAPSHOT", "name of the snapshot" }
/* of an existing one, which another program may have made */
#define OLD_SNAPSHOT { "snapshot", API_STRING, true, "SNAPSHOT", "name of the snapshot, as it is listed" }
#define SNAPSHOT_ID { "id", API_STRING, false, "--id ID", \
	"which one, if a disk has several of that name: snapshot list tells the ids" }

const struct api_verb api_verbs[] = {
	{ "vm-start", "start", API_ROLE_OWNER, API_VMS, API_JOB,
	  .arg = {
		{ "paused", API_BOOL, false, "--paused",
		  "leave it paused at its first instruction" },
	  },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "start VMs",
	  .text = "Done means that the guest's processors run. A VM that runs already is left as "
		"it is, which is no error; one that is paused stays paused. Networks that it needs "
		"are raised first. Disks with Size= that do not exist yet are made, and named: "
		"only start and reboot do that." },
	{ "vm-stop", "stop", API_ROLE_OWNER, API_VMS, API_JOB | API_SHARED | API_NOT_BUSY | API_HARMS, { "shutdown" },
	  .arg = { TIMEOUT("how long the guest may take, in place of TimeoutStopSec=") },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "ask guests to shut down, and wait until they have",
	  .text = "Asks the guest's agent where there is one; where that has no effect in 3 "
		"seconds, presses the power button, every few seconds anew, until the guest is "
		"down. A guest that does not react in time is left running; the error then says "
		"how to kill it." },
	{ "vm-kill", "kill", API_ROLE_OWNER, API_VMS, API_JOB | API_HARMS, { "destroy", "poweroff" },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "switch VMs off at once, as if the plug were pulled",
	  .text = "What the guest has not written to its disks is lost. Deletes nothing: destroy "
		"is virsh's word for the same." },
	{ "vm-reboot", "reboot", API_ROLE_OWNER, API_VMS,
	  API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_JOINS | API_HARMS, { "restart" },
	  .arg = {
		TIMEOUT("how long the guest may take to shut down, in place of TimeoutStopSec="),
	  },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "shut guests down and start them again, with their configuration as it is now",
	  .text = "What check looks at is looked at first: a guest that would not start again is "
		"left running. After that it is a recorded wish (want is restart) that needs "
		"neither this client nor this daemon; stop and kill call it off. A guest that "
		"ignores the power button for too long, with OnStopTimeout=leave, is left running, "
		"and is not started again when it powers off later." },
	{ "vm-reset", "reset", API_ROLE_OWNER, API_VMS, API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS,
	  .result = "the state that it is in", .returns = { .members = api_state_changed },
	  .help = "press the reset button: the guest starts anew at once, unwritten data is lost" },
	{ "vm-pause", "pause", API_ROLE_OWNER, API_VMS, API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS,
	  { "suspend" },
	  .result = "the state reached", .returns = { .members = api_state_changed },
	  .help = "stop the processors of VMs; memory and devices stay" },
	{ "vm-resume", "resume", API_ROLE_OWNER, API_VMS, API_NOT_BUSY | API_NEEDS_GUEST,
	  { "unpause" },
	  .result = "the state reached", .returns = { .members = api_state_changed },
	  .help = "let the processors of paused VMs go on" },
	{ "vm-wait", "wait", API_ROLE_VIEW, API_VM, 0,
	  .arg = {
		{ "condition", API_STRING, true, "CONDITION",
		  "what to wait for", { "stopped", "running", "paused", "ip" } },
		TIMEOUT("how long to wait; without it for ever"),
	  },
	  .result = "the state that it is in", .returns = { .members = api_wait },
	  .help = "wait until a VM is stopped, running or paused, or has an address",
	  .text = "Answers at once when it is so already. The condition stopped includes failed "
		"and backoff." },

	{ "vm-forget", "forget", API_ROLE_ROOT, API_VM, API_NAME_ONLY | API_HARMS,
	  .result = "the disk images that it had", .returns = { .members = api_forget },
	  .help = "remove what is kept of a VM whose file is gone",
	  .text = "A VM whose file is gone keeps its UUID, user id, MAC and IP addresses and "
		"history, for the file may come back: check names such VMs. This removes all of "
		"that; disk images and logs stay. Refused while its file, its drop-ins or a "
		"process of it is there." },
	{ "vm-reset-failed", "reset-failed", API_ROLE_OWNER, API_VMS, API_HARMS,
	  .result = "state: the state it is in; changed: false where there was nothing to forget",
	  .returns = { .members = api_state_changed },
	  .help = "forget the past failures of VMs; one that failed is stopped then",
	  .text = "The budget of StartLimitBurst= and StartLimitPerDay= is whole again." },

	{ "vm-list", "list", API_ROLE_VIEW, API_NO_TARGET, API_OWN_ROWS, { "ls" },
	  .arg = {
		{ "pattern", API_STRING, false, "GLOB", "only VMs whose name matches" },
		{ "running", API_BOOL, false, "-r, --running", "only VMs that run or are paused" },
		{ "all", API_BOOL, false, "-a, --all", "all VMs, which is the default" },
		{ "problems", API_BOOL, false, "--problems", "only what needs a person" },
	  },
	  .result = "one row per VM; what is not known of a guest whose run record was lost is "
		"null; with problems one row per problem, the worst first",
	  .returns = { .columns = api_vm_row },
	  .other = { .with = "problems", .columns = api_trouble_row },
	  .help = "list VMs with state, memory and address",
	  .text = "An owner without the role sees the rows of own VMs. --problems prints what needs "
		"a person, a line each: VMs that are down though they should run, failed, hostile or "
		"paused by an error, files with errors (critical), and what works less well than it "
		"should (warning). Nothing is said of what was asked for. It ends as Nagios expects "
		"it of a check: 0 no problems, 1 warnings, 2 critical, 3 not known, as where the "
		"daemon does not run. reset-failed ends the report of a VM that is down and may stay "
		"so." },
	{ "vm-info", "info", API_ROLE_VIEW, API_VMS, 0,
	  { "status", "state", "dominfo", "domstate" },
	  .arg = {
		{ "security", API_BOOL, false, "--security",
		  "what confines its process, read from the kernel; the exit status is 1 when a "
		  "rule does not hold" },
	  },
	  .result = "all that is known of the VM, what there is of a process only where it has "
		"one; with security one row per rule",
	  .returns = { .members = api_info },
	  .other = { .with = "security", .columns = api_rule_row },
	  .help = "tell all about VMs: state and why, processors, memory, disks, addresses" },
	{ "vm-ip", "ip", API_ROLE_VIEW, API_VM, 0, { "domifaddr" },
	  .arg = {
		{ "wait", API_BOOL, false, "--wait", "wait until the guest has taken an address" },
		TIMEOUT("with --wait: how long; without it for ever"),
	  },
	  .result = "one row per NIC", .returns = { .columns = api_address_row },
	  .help = "show the addresses of a VM" },
	{ "vm-console", "console", API_ROLE_OWNER, API_VM, API_STREAM, { "ttyconsole" },
	  .arg = {
		{ "serial", API_NAME, false, "--serial ID",
		  "which serial port; the first one without it" },
		{ "watch", API_BOOL, false, "--watch", "read only; any number may watch" },
		{ "lines", API_INT, false, "--lines N",
		  "how many past lines come first, 200 without it" },
	  },
	  .result = "the port; its raw bytes follow, in both directions",
	  .returns = { .members = api_serial },
	  .help = "connect the terminal to a guest's serial port; Ctrl-] or Enter ~. leaves" },
	{ "vm-log", "log", API_ROLE_VIEW, API_VM, API_STREAM,
	  .arg = {
		{ "which", API_STRING, false, "WHICH",
		  "what the guest wrote to its console, which is the default, or what QEMU "
		  "said", { "console", "qemu" } },
		{ "lines", API_INT, false, "-n, --lines N", "only the last N lines" },
		{ "follow", API_BOOL, false, "-f, --follow", "go on with what comes" },
	  },
	  .result = "an empty object; the bytes of the log follow, and the connection ends with "
		"them",
	  .returns = { .members = api_nothing },
	  .help = "print what a guest's console or its QEMU wrote",
	  .text = "QEMU's log has what it wrote so far, also of a VM that runs: a line \"--- TIME: "
		"start\" begins the output of each start, and a line with the reason ends it. Of "
		"QEMU, -f goes on through restarts." },
	{ "vm-history", "history", API_ROLE_VIEW, API_VM, 0,
	  .arg = {
		{ "lines", API_INT, false, "-n, --lines N",
		  "only the last N records, 200 without it" },
	  },
	  .result = "one row per record, oldest first", .returns = { .columns = api_history_row },
	  .help = "tell what happened to a VM, who asked for it, and why",
	  .text = "Kept in the state directory across restarts of daemon and host, as far back as "
		"256 KiB go." },
	{ "subscribe", "events", API_ROLE_VIEW, API_NO_TARGET, 0, { "event" },
	  .arg = {
		{ "follow", API_BOOL, false, "-f, --follow, --no-follow",
		  "until interrupted, which is the default, or only the next event" },
	  },
	  .result = "an empty object; events follow, for as long as the connection lasts",
	  .returns = { .members = api_nothing },
	  .help = "print what happens, as it happens",
	  .text = "A client that does not read its events loses its connection." },

	{ "vm-check", "check", API_ROLE_VIEW, API_NO_TARGET, API_PROGRAMS, { "define" },
	  .arg = {
		{ "name", API_NAME, false, "NAME|FILE",
		  "only this VM, or this file; all without it" },
		{ "validate", API_BOOL, false, "--validate",
		  "what the verb does anyhow; virsh's spelling" },
	  },
	  .result = "one row per problem", .returns = { .columns = api_check_row },
	  .help = "tell everything that would keep VMs from starting, and what mends it",
	  .text = "Changes and starts nothing: files are read into copies. Beyond what the files "
		"say: images and their backing files as the VM's uid sees them, by the first part "
		"of a path that fails; locks and who holds them; set-uid bits, access lists and "
		"attributes on images; room for images that still grow; memory, KVM, the machine "
		"type, networks, bridges, VNC ports; and what two VM files claim both. The FILE "
		"of a VM in the configuration directory, or one of its drop-ins, stands for that VM; any "
		"other, or without a daemon, is only read, by the client, with the rights of its user, "
		"and a note says so. Ends with 2 when a row is "
		"an error; warnings alone end with 0." },
	{ "vm-cat", "cat", API_ROLE_VIEW, API_VM, 0, { "dumpxml" },
	  .arg = {
		{ "effective", API_BOOL, false, "--effective",
		  "what comes out of all files, defaults and what is kept of the VM, every key" },
	  },
	  .result = "the configuration, in the format of the files",
	  .returns = { .members = api_plain },
	  .help = "print a VM's configuration: its files, one after the other" },
	{ "vm-diff", "diff", API_ROLE_VIEW, API_VMS, 0,
	  .result = "one row per difference", .returns = { .columns = api_diff_row },
	  .help = "show where running VMs differ from their files",
	  .text = "Size= of a disk is compared with its image, also while the VM is stopped. Ends with 12 when there are differences." },
	{ "vm-cmdline", "cmdline", API_ROLE_VIEW, API_VM, 0, { "domxml-to-native" },
	  .result = "a command for the shell", .returns = { .members = api_plain },
	  .help = "print the QEMU command line of a VM, ready to paste into a shell",
	  .text = "What is pasted runs beside vmkeep, without its jail: the first serial port and QEMU's "
		  "monitor are on the terminal, NICs on a user-mode network; comments at the top list "
		  "the differences. It uses the real disks, which QEMU locks: while the VM runs, it "
		  "is refused, and the VM is not affected." },

	{ "vm-set-memory", "set-memory", API_ROLE_OWNER, API_VM, API_JOB | API_NEEDS_GUEST,
	  { "setmem" },
	  .arg = {
		{ "size", API_SIZE, true, "SIZE", "how much the guest may have, as in 768M" },
		{ "force", API_BOOL, false, "--force",
		  "also below the floor that Min= in [Memory] sets", .harms = true },
		TIMEOUT("how long the guest may take, one minute without it"),
	  },
	  .result = "what the guest has then", .returns = { .members = api_memory },
	  .help = "give memory to a running guest or take it, by its balloon",
	  .text = "Done means that the guest's size has moved, not that it was asked. Until the "
		"next start; Memory= in the file is not changed." },
	{ "snapshot-create", "snapshot create", API_ROLE_OWNER, API_VM, API_JOB,
	  { "snapshot-create", "snapshot-create-as" },
	  .arg = { SNAPSHOT },
	  .result = "its name", .returns = { .members = api_snapshot },
	  .help = "keep the state of a VM under a name: disks, and memory where it runs",
	  .text = "Every writable disk has to be qcow2. A running guest stands still while its "
		"memory is written." },
	{ "snapshot-list", "snapshot list", API_ROLE_VIEW, API_VM, API_PROGRAMS,
	  { "snapshot-list" },
	  .result = "one row per snapshot, oldest first",
	  .returns = { .columns = api_snapshot_row },
	  .help = "list the snapshots of a VM" },
	{ "snapshot-revert", "snapshot revert", API_ROLE_OWNER, API_VM, API_JOB | API_HARMS,
	  { "snapshot-revert" },
	  .arg = {
		OLD_SNAPSHOT,
		SNAPSHOT_ID,
		{ "disks-only", API_BOOL, false, "--disks-only",
		  "revert the disks of a VM that is off, and do not load the memory" },
		DRY_RUN("only tell what would go back to when, and whether it would be refused"),
	  },
	  .result = "the state reached; with dry-run, which is no job, what becomes of the VM and "
		"one row per disk",
	  .returns = { .members = api_state },
	  .other = { .with = "dry-run", .members = api_revert_dry, .columns = api_revert_row,
		.rows = "disks" },
	  .help = "take a VM back to a snapshot; what came after it is lost" },
	{ "snapshot-delete", "snapshot delete", API_ROLE_OWNER, API_VM, API_JOB | API_HARMS,
	  { "snapshot-delete" },
	  .arg = { OLD_SNAPSHOT, SNAPSHOT_ID },
	  .result = "its name", .returns = { .members = api_snapshot },
	  .help = "forget a snapshot; the VM stays as it is" },
	{ "guest-ping", "guest ping", API_ROLE_VIEW, API_VMS, API_NEEDS_GUEST,
	  .result = "that it answers", .returns = { .members = api_ping },
	  .help = "see whether the agents in guests answer",
	  .text = "All guest commands need qemu-guest-agent in the guest. An agent that does not "
		"answer within 3 seconds is an error." },
	{ "guest-info", "guest info", API_ROLE_VIEW, API_VM, API_NEEDS_GUEST, { "guestinfo" },
	  .result = "what the agent tells of itself and its guest; what it does not know is "
		"missing",
	  .returns = { .members = api_guest_info },
	  .help = "tell what a guest's agent knows of it: system, host name, users, addresses" },
	{ "guest-exec", "guest exec", API_ROLE_OWNER, API_VM, API_JOB | API_NEEDS_GUEST,
	  .arg = {
		{ "command", API_WORDS, true, "COMMAND...",
		  "the program and its arguments, after -- where these have options" },
		TIMEOUT("how long it may run, one minute without it"),
	  },
	  .result = "how it ended, and what it wrote", .returns = { .members = api_exec },
	  .help = "run a program in a guest, and print what it wrote",
	  .text = "It runs as the agent does, usually as root, without a shell and without input. "
		"Its output comes when it has ended; where that was not with 0 the command ends "
		"with 1 and says how. At most about 2 MiB can be taken over." },
	{ "guest-fs", "guest fs", API_ROLE_VIEW, API_VM, API_NEEDS_GUEST, { "domfsinfo" },
	  .result = "one row per mounted file system", .returns = { .columns = api_fs_row },
	  .help = "list the file systems that a guest has mounted" },
	{ "guest-trim", "guest trim", API_ROLE_OWNER, API_VM, API_JOB | API_NEEDS_GUEST,
	  { "domfstrim" },
	  .arg = { TIMEOUT("how long it may take, 10 minutes without it") },
	  .result = "one row per file system", .returns = { .columns = api_trim_row },
	  .help = "have a guest give back the space that its file systems do not use" },
	{ "guest-freeze", "guest freeze", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST | API_HARMS,
	  { "domfsfreeze" },
	  .arg = { TIMEOUT("after that it is thawed again in any case, 10 seconds without it") },
	  .result = "how many were frozen, and for how long", .returns = { .members = api_freeze },
	  .help = "make a guest's disks consistent and stop its writing to them, for a short time",
	  .text = "The guest is thawed again by guest thaw, when the time is over, and by the next "
		"daemon when this one ends before that." },
	{ "guest-thaw", "guest thaw", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST, { "domfsthaw" },
	  .result = "how many were thawed", .returns = { .members = api_thaw },
	  .help = "let a frozen guest write again" },
	{ "guest-time", "guest time", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST, { "domtime" },
	  .arg = { { "sync", API_BOOL, false, "--sync, --now", "set it to the host's" } },
	  .result = "the guest's time", .returns = { .members = api_time },
	  .help = "tell a guest's time, or set it" },
	{ "guest-passwd", "guest passwd", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST | API_HARMS,
	  { "set-user-password" },
	  .arg = {
		{ "user", API_STRING, true, "USER", "whose" },
		{ "crypted", API_BOOL, false, "--crypted, --encrypted",
		  "what is given is the hash already" },
		{ "password", API_STRING, false, NULL, "the new password; required" },
	  },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "set the password of a user in a guest",
	  .text = "The password is asked for at the terminal, or is the first line of standard "
		"input." },
	{ "guest-command", "guest command", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST,
	  { "qemu-agent-command" },
	  .arg = {
		{ "command", API_JSON, true, "JSON", "as in {\"execute\": \"guest-get-vcpus\"}" },
		TIMEOUT("how long the agent may take, 3 seconds without it"),
	  },
	  .result = "what the agent returned",
	  .help = "send any command to a guest's agent" },
	{ "job-list", "jobs", API_ROLE_VIEW, API_NO_TARGET, 0, { "job list", "domjobinfo" },
	  .result = "one row per job, oldest first", .returns = { .columns = api_job_row },
	  .help = "list what is being done" },
	{ "job-cancel", "job cancel", API_ROLE_OWNER, API_NO_TARGET, API_HARMS,
	  { "jobs cancel", "domjobabort" },
	  .arg = { { "job", API_INT, true, "JOB", "its number, as jobs tells it" } },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "end a job early; what it had begun is undone" },
	{ "vm-qmp", "qmp", API_ROLE_ROOT, API_VM, API_NEEDS_GUEST, { "qemu-monitor-command" },
	  .arg = {
		{ "command", API_JSON, true, "JSON", "as in {\"execute\": \"query-status\"}" },
		TIMEOUT("how long QEMU may take, 30 seconds without it"),
	  },
	  .result = "what QEMU returned",
	  .help = "send a command to a VM's QEMU, past all checks",
	  .text = "The daemon does not know what was done here, beyond what QEMU's events tell it." },

	{ "net-list", "net list", API_ROLE_VIEW, API_NO_TARGET, 0, { "net-list" },
	  .result = "one row per network", .returns = { .columns = api_network_row },
	  .help = "list networks" },
	{ "net-show", "net show", API_ROLE_VIEW, API_NETWORK, 0, { "net-info", "net-dumpxml" },
	  .result = "all that is known of the network", .returns = { .members = api_network },
	  .help = "tell all about a network: bridge, addresses, who is attached" },
	{ "net-leases", "net leases", API_ROLE_VIEW, API_NETWORK, 0, { "net-dhcp-leases" },
	  .result = "one row per address", .returns = { .columns = api_lease_row },
	  .help = "list the addresses that a network gave out" },
	{ "net-start", "net start", API_ROLE_OPERATOR, API_NETWORKS, 0, { "net-start" },
	  .result = "the state, up", .returns = { .members = api_state },
	  .help = "raise networks, which the first VM that needs one does too" },
	{ "net-stop", "net stop", API_ROLE_OPERATOR, API_NETWORKS, API_HARMS, { "net-destroy" },
	  .arg = {
		{ "force", API_BOOL, false, "--force", "also while VMs are attached",
		  .harms = true },
		DRY_RUN("only tell what would go, and whether it would be refused"),
	  },
	  .result = "the state, down; with dry-run as it is now, whether it would be refused, and "
		"one row per thing that would go",
	  .returns = { .members = api_state },
	  .other = { .with = "dry-run", .members = api_net_stop_dry, .columns = api_net_stop_row,
		.rows = "parts" },
	  .help = "take networks down: all that we made for them goes, and nothing else" },

	{ "host-check", "host check", API_ROLE_VIEW, API_NO_TARGET, API_PROGRAMS,
	  { "virt-host-validate" },
	  .result = "one row per check", .returns = { .columns = api_host_row },
	  .help = "tell whether this host is fit for guests, and what cures it where it is not",
	  .text = "Looks at virtualisation, QEMU and its helpers, firmware, cgroups, memory, room, "
		"clocks, and at what other programs do to our networks: firewalls that would drop "
		"guests' packets, holders of ports 53 and 67, libvirt's network beside ours. KVM "
		"is proved by booting 512 bytes, which takes three seconds where it does not work. "
		"Ends with 1 when a check fails." },
	{ "vms-shutdown", "shutdown-all", API_ROLE_OPERATOR, API_NO_TARGET, API_JOB | API_HARMS,
	  .arg = {
		TIMEOUT("for all of it together, in place of [Shutdown] TimeoutSec= in "
			"vmkeep.conf, 5 minutes where that says nothing"),
		DRY_RUN("only tell the order, how each VM would be stopped and what time it would "
			"get"),
	  },
	  .result = "one row per VM that ran; with dry-run, which is no job, one row per VM that "
		"is up, in the order of the way down, and what that takes",
	  .returns = { .columns = api_shutdown_row },
	  .other = { .with = "dry-run", .members = api_shutdown_dry, .columns = api_shutdown_dry_row,
		.rows = "vms" },
	  .help = "shut all VMs down, as the host's own shutdown does, then the networks",
	  .text = "VMs that come after others by After= or Requires= go first, all others at once. "
		"One that is not down after its TimeoutStopSec=, or its share of what is left of "
		"the time, is killed, and named. The share is its whole TimeoutStopSec= where that "
		"and those of the VMs that wait for it fit; check warns where they do not. VMs "
		"that were still to start with the host are not started. Ends with 8 when a guest "
		"had to be killed." },
	{ "reload", "reload", API_ROLE_OPERATOR, API_NO_TARGET, 0, { "daemon-reload" },
	  .arg = { DRY_RUN("read the files, take nothing, and only tell what would change") },
	  .result = "one row per problem; with dry-run one row per thing that would change, and "
		"the problems",
	  .returns = { .columns = api_problem_row },
	  .other = { .with = "dry-run", .members = api_reload_dry, .columns = api_reload_row,
		.rows = "changes" },
	  .help = "read all configuration files again; no running guest is touched",
	  .text = "A file that no longer parses keeps its old meaning until it does. Bridges and "
		"rules of networks that others took away are made again. The file of a VM or "
		"network is looked at before each answer about it anyway; this reads all, and "
		"/etc/group. The dry run compares VMs that run with what they run with, as diff "
		"does." },
	{ "reexec", "reexec", API_ROLE_ROOT, API_NO_TARGET, 0, { "daemon-reexec" },
	  .arg = { TIMEOUT("how long to wait for jobs under way, 30 seconds without it") },
	  .result = "the successor", .returns = { .members = api_reexec },
	  .help = "replace the daemon by the program that is installed now; guests do not notice",
	  .text = "For upgrades. Jobs under way are awaited first, and a program that does not run "
		"is refused. Clients that are connected lose their connection after their replies; "
		"new ones wait until the successor answers." },
	{ "query-version", "version", API_ROLE_NONE, API_NO_TARGET, 0,
	  .result = "the daemon's version",
	  .returns = { .members = api_version, .shown = api_versions },
	  .help = "tell the versions of client and daemon" },
	{ "query-schema", "schema", API_ROLE_NONE, API_NO_TARGET, 0,
	  .arg = {
		{ "verb", API_STRING, false, "VERB",
		  "only the JSON schema of what --json prints for this verb" },
	  },
	  .result = "verbs, events and classes, each with all that the manual says of it",
	  .help = "print this protocol, as JSON" },
	{ "debug-loop", NULL, API_ROLE_VIEW, API_NO_TARGET, 0,
	  .result = "the longest turn of its loop", .returns = { .members = api_loop },
	  .help = "tell how long the daemon was busy at a time, for tests; may change" },
	{ "qmp_capabilities", NULL, API_ROLE_NONE, API_NO_TARGET, 0,
	  .arg = { { "enable", API_JSON, false, NULL, "there is nothing to enable" } },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "accepted, so that QMP clients work; not required" },
};
/* clang-format on */
const size_t api_verbs_n = ARRAY_SIZE(api_verbs);
