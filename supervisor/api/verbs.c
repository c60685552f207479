/* SPDX-License-Identifier: MIT */
/* In manual and help order: a VM's life, queries, parts of a VM, networks, the daemon. */
#include "base/mem.h"
#include "supervisor/api/result.h"

#pragma GCC diagnostic ignored \
	"-Wmissing-field-initializers" /* rows leave out members that they do not need */

/* clang-format off */
#define TIMEOUT(text) { "timeout", API_TIME, false, "--timeout TIME", text }
#define CHOICES(...) (const char *const[]){ __VA_ARGS__, NULL }
#define DRY_RUN(text) { "dry-run", API_BOOL, false, "--dry-run", text }
#define FORCE_MANAGED { "force", API_BOOL, false, "--force", \
	"also if X-Managed= says that another program manages the file", .harms = true }
#define SNAPSHOT { "snapshot", API_NAME, true, "SNAPSHOT", "name of the snapshot" }
/* of an existing one, which another program may have made */
#define OLD_SNAPSHOT { "snapshot", API_STRING, true, "SNAPSHOT", "name of the snapshot, as listed" }
#define SNAPSHOT_ID { "id", API_STRING, false, "--id ID", \
	"which one, if a disk has several of that name; snapshot list shows the ids" }

const struct api_verb api_verbs[] = {
	{ "vm-start", "start", API_ROLE_OWNER, API_VMS, API_JOB | API_KEEPS,
	  .arg = {
		{ "paused", API_BOOL, false, "--paused",
		  "leave it paused at its first instruction" },
		{ "iso", API_STRING, false, "--iso FILE", "boot from this CD, with --once" },
		{ "once", API_BOOL, false, "--once",
		  "the CD is there until the VM is off, and never again" },
		{ "console", API_BOOL, false, "--console",
		  "then connect the terminal to its console, which shows all since the start; "
		  "one VM only", .client = true },
	  },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "start VMs",
	  .text = "Returns when the guests' vCPUs are running. A VM that is already running is "
		"left alone, which is not an error; a paused one stays paused. Networks that it "
		"needs are brought up first. Disks with Size= that do not exist yet are created "
		"and reported; only start and reboot create disks. --iso FILE --once boots another "
		"system, to rescue or to look: FILE is in the image directory, or for root any path. "
		"Resets of the guest keep the CD; reboot, and any later start, are without it. The "
		"VM's file does not change." },
	{ "vm-stop", "stop", API_ROLE_OWNER, API_VMS, API_JOB | API_SHARED | API_NOT_BUSY | API_HARMS | API_KEEPS, { "shutdown" },
	  .arg = { TIMEOUT("how long the guest may take, instead of TimeoutStopSec=") },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "ask guests to shut down, and wait until they are off",
	  .text = "Asks the guest agent if there is one; if that has no effect within 3 "
		"seconds, presses the power button every few seconds until the guest is off. A "
		"guest that does not react in time keeps running, and the error says how to "
		"kill it." },
	{ "vm-kill", "kill", API_ROLE_OWNER, API_VMS, API_JOB | API_HARMS, { "destroy", "poweroff" },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "power VMs off at once, like pulling the plug",
	  .text = "Data that the guest has not written to its disks is lost. Deletes nothing: "
		"destroy is virsh's name for this command." },
	{ "vm-reboot", "reboot", API_ROLE_OWNER, API_VMS,
	  API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_JOINS | API_HARMS | API_KEEPS, { "restart" },
	  .arg = {
		TIMEOUT("how long the guest may take to shut down, instead of TimeoutStopSec="),
	  },
	  .result = "the state reached", .returns = { .members = api_life },
	  .help = "shut guests down and start them again with their current configuration",
	  .text = "Runs the checks of check first: a guest that would not start again keeps "
		"running. From then on the restart is recorded (desired state: restart) and "
		"needs neither this client nor this daemon; stop and kill cancel it. With "
		"OnStopTimeout=leave, a guest that ignores the power button for too long keeps "
		"running, and is not started again when it powers off later." },
	{ "vm-reset", "reset", API_ROLE_OWNER, API_VMS, API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS,
	  .result = "the current state", .returns = { .members = api_state_changed },
	  .help = "press the reset button: the guest restarts at once, unwritten data is lost" },
	{ "vm-pause", "pause", API_ROLE_OWNER, API_VMS, API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS,
	  { "suspend" },
	  .result = "the state reached", .returns = { .members = api_state_changed },
	  .help = "stop the vCPUs of VMs; memory and devices stay" },
	{ "vm-resume", "resume", API_ROLE_OWNER, API_VMS, API_NOT_BUSY | API_NEEDS_GUEST,
	  { "unpause" },
	  .result = "the state reached", .returns = { .members = api_state_changed },
	  .help = "let the vCPUs of paused VMs run again" },
	{ "vm-wait", "wait", API_ROLE_VIEW, API_VM, 0,
	  .arg = {
		{ "condition", API_STRING, true, "CONDITION",
		  "what to wait for", CHOICES("stopped", "running", "paused", "ip") },
		TIMEOUT("how long to wait; no limit without it"),
	  },
	  .result = "the current state", .returns = { .members = api_wait },
	  .help = "wait until a VM is stopped, running or paused, or has an address",
	  .text = "Returns at once if the condition already holds. The condition stopped "
		"includes failed and backoff." },

	{ "vm-forget", "forget", API_ROLE_ROOT, API_VM, API_NAME_ONLY | API_HARMS,
	  .result = "the disk images that it had", .returns = { .members = api_forget },
	  .help = "remove the saved state of a VM whose file is gone",
	  .text = "A VM whose file is gone keeps its UUID, user id, MAC and IP addresses and "
		"history, because the file may come back; check names such VMs. This removes "
		"all of it; disk images and logs are kept. Refused while its file, its drop-ins "
		"or one of its processes exists." },
	{ "vm-delete", "delete", API_ROLE_OWNER, API_VM,
	  API_NOT_BUSY | API_JOB | API_HARMS | API_ASKS | API_KEEPS,
	  .arg = {
		{ "disks", API_BOOL, false, "--disks",
		  "move its disk images to the trash of their store, too, and remove its volumes", .harms = true },
		FORCE_MANAGED,
		DRY_RUN("only show what would become of its images"),
	  },
	  .result = "what was kept", .returns = { .members = api_delete },
	  .other = { .with = "dry-run", .members = api_delete },
	  .help = "remove a stopped VM's files and saved state; its disk images stay",
	  .text = "Asks first; without a terminal it needs --yes. Copies of the file and the drop-ins are "
		"kept in the state directory, in deleted/NAME.TIME/. Then what forget removes is "
		"removed: UUID, user id, MAC and IP addresses, history and UEFI variables. The disk "
		"images are named, and stay where they are. To restore the VM, copy its files back, and "
		"write the UUID that was printed at UUID= in [VM]. With --disks, images in a store that "
		"this VM ran with are moved to STORE/.trash, and the commands that bring them back are "
		"printed; after seven days they are removed. Volumes of a store with Type=program are removed "
		"at once, for good, which is said before it asks. CDs, bases, images that are only read, "
		"and images that another VM has or is based on stay. If a store or another VM's file "
		"cannot be read, nothing is deleted." },
	{ "vm-rename", "rename", API_ROLE_OWNER, API_VM, API_NOT_BUSY | API_JOB | API_KEEPS, { "domrename" },
	  .arg = {
		{ "new", API_NAME, true, "NEW", "the new name" },
		FORCE_MANAGED,
	  },
	  .result = "its new file", .returns = { .members = api_renamed },
	  .help = "give a stopped VM another name",
	  .text = "Renames its file and drop-ins, with UUID= if they have none. Identity, history, "
		"snapshots, UEFI variables, the directory of its logs and disks without Path= get the "
		"new name; images with Path= keep theirs, and its addresses stay. Refused while another "
		"VM names it in After= or Requires=, or if a Path= or Base= contains %n. If it is "
		"interrupted, VM and images are as before or renamed; repeat it to finish it." },
	{ "vm-clone", "clone", API_ROLE_CREATE, API_VM, API_NOT_BUSY | API_JOB | API_KEEPS,
	  .arg = {
		{ "new", API_NAME, true, "NEW", "the name of the new VM" },
		{ "linked", API_BOOL, false, "--linked",
		  "copy no images: its disks are based on those of this VM, a template" },
	  },
	  .result = "what was made", .returns = { .members = api_cloned },
	  .help = "make a new VM from a stopped one: a full copy, or one with disks based on a template's",
	  .text = "Copies the disk images that the VM writes to, in the stores that they are in, and its "
		"UEFI variables; the new VM is not enabled. Its file has the comments of the old one, "
		"and what the drop-ins say, with a new UUID= and without MACAddress=, Address=, Gateway=, DNS=, HostName=, "
		"Port=, Protect=, Template= and X-Managed=. Owner= is the member of vmkeep-create who makes "
		"it; made by root or an operator, it has no owner. Images with the VM's name are called likewise, "
		"all others NEW-ID.qcow2 or NEW-ID.raw; those outside of the stores are copied to the "
		"default store. CDs, disks with ReadOnly=yes and bases are shared, snapshots are not "
		"copied. The VM can't be started meanwhile. If it fails, is cancelled, or if the daemon "
		"dies, there is no new VM, and what was copied is removed. What the guest keeps on "
		"its disk, such as its host name and SSH host keys, is the same in both. With --linked, "
		"its disks get Base= with the images of the template, and Size=; the first start makes them. "
		"Disks outside of the stores, and volumes, can only be copied. Members of vmkeep-create clone "
		"templates, of whomever, and VMs of their own: they own the clone, their quota must suffice, and "
		"its images are called NEW-ID.UUID.qcow2 or .raw. Keys that they may not set are refused." },
	{ "vm-prepare", "template prepare", API_ROLE_OWNER, API_VM,
	  API_NOT_BUSY | API_JOB | API_NEEDS_GUEST | API_HARMS | API_KEEPS,
	  .arg = {
		FORCE_MANAGED,
		TIMEOUT("how long the script in the guest may take, 5 minutes by default"),
	  },
	  .result = "the state reached", .returns = { .members = api_state },
	  .help = "make a running VM a template: clean up in its guest, and shut it down",
	  .text = "Needs the guest agent, which runs a script: it empties /etc/machine-id, removes the host "
		"keys of ssh and the random seed, calls cloud-init clean --logs if there is cloud-init, and "
		"fstrim. Then Template=yes and Enable=no are written to the VM's file, and the guest is shut down. If "
		"the script fails, the file is not changed, and the error says what the guest said. New host "
		"keys are made by cloud-init at the first boot of a clone, or by whatever else the guest has "
		"for that. It can be repeated." },
	{ "vm-reset-failed", "reset-failed", API_ROLE_OWNER, API_VMS, API_HARMS,
	  .result = "state: the current state; changed: false if there was nothing to forget",
	  .returns = { .members = api_state_changed },
	  .help = "forget the past failures of VMs; a failed VM becomes stopped",
	  .text = "Also resets the counters of StartLimitBurst= and StartLimitPerDay=." },

	{ "vm-list", "list", API_ROLE_VIEW, API_NO_TARGET, API_OWN_ROWS, { "ls" },
	  .arg = {
		{ "pattern", API_STRING, false, "GLOB", "only VMs whose name matches" },
		{ "running", API_BOOL, false, "-r, --running", "only VMs that are running or paused" },
		{ "all", API_BOOL, false, "-a, --all", "all VMs, which is the default" },
		{ "problems", API_BOOL, false, "--problems", "only what needs attention" },
	  },
	  .result = "one row per VM; null for what is unknown about a guest whose run record "
		"was lost; with problems one row per problem, the worst first",
	  .returns = { .columns = api_vm_row },
	  .other = { .with = "problems", .columns = api_trouble_row },
	  .help = "list VMs with state, memory and address",
	  .text = "Owners without the role see only their own VMs. --problems prints a line for each "
		"problem: VMs that are down although they should run, failed, hostile or paused by an "
		"error, files with errors, and a state directory that cannot be written are critical; "
		"anything degraded is a warning. A state that a user requested is not a problem. The "
		"exit status is that of a Nagios check: 0 no problems, 1 warnings, 2 critical, 3 "
		"unknown, for instance if the daemon does not run or there is no such VM. To end "
		"the report of a VM that may stay down, use reset-failed." },
	{ "vm-info", "info", API_ROLE_VIEW, API_VMS, 0,
	  { "status", "state", "dominfo", "domstate" },
	  .arg = {
		{ "security", API_BOOL, false, "--security",
		  "how its process is confined, as read from the kernel; the exit status is 1 "
		"if a rule does not hold" },
	  },
	  .result = "everything known about the VM; members about the process only if it has "
		"one; with security one row per rule",
	  .returns = { .members = api_info },
	  .other = { .with = "security", .columns = api_rule_row },
	  .help = "show everything about VMs: state and reason, vCPUs, memory, disks, addresses" },
	{ "vm-ip", "ip", API_ROLE_VIEW, API_VM, 0, { "domifaddr" },
	  .arg = {
		{ "wait", API_BOOL, false, "--wait", "wait until the guest has leased an address" },
		TIMEOUT("with --wait: how long; no limit without it"),
	  },
	  .result = "one row per NIC", .returns = { .columns = api_address_row },
	  .help = "show the addresses of a VM" },
	{ "vm-ssh", "ssh", API_ROLE_VIEW, API_VM, API_NEEDS_GUEST,
	  .arg = {
		{ "command", API_WORDS, false, "COMMAND...",
		  "what to run in the guest, after -- if it includes options; a login shell without it",
		  .client = true },
		{ "user", API_STRING, false, "-l, --user USER", "the user to log in as", .client = true },
		{ "port", API_INT, false, "-p, --port PORT", "of the guest's ssh server",
		  .client = true },
		TIMEOUT("how long to wait for an address and the ssh server, one minute by default"),
	  },
	  .result = "the address that the guest has leased, the VM's UUID and its user",
	  .returns = { .members = api_ssh },
	  .help = "log in to a guest with ssh",
	  .text = "Waits until the guest has leased an address, and until its port, 22 without --port, takes "
		"connections or the time is over; then runs ssh, whose exit status it is. The user is by default "
		"that of [CloudInit] User=; without it, user and port are those that ssh chooses. Host "
		"keys are kept in your known_hosts under UUID.vmkeep: a new one is accepted, one "
		"that has changed is refused, and another VM that gets the address or the name is "
		"not mistaken for this one. ssh passes the words of the command on as one line, "
		"for the shell in the guest." },
	{ "vm-console", "console", API_ROLE_OWNER, API_VM, API_STREAM, { "ttyconsole" },
	  .arg = {
		{ "serial", API_NAME, false, "--serial ID",
		  "which serial port; the first one by default" },
		{ "watch", API_BOOL, false, "--watch", "read-only; any number of clients may "
		"watch" },
		{ "lines", API_INT, false, "--lines N",
		  "how many past lines to print first, 200 by default" },
		{ "since-start", API_BOOL, false, "--since-start",
		  "print first all that is logged since the VM was started, in place of the last "
		  "lines" },
	  },
	  .result = "the port; its raw bytes follow, in both directions",
	  .returns = { .members = api_serial },
	  .help = "connect the terminal to a guest's serial port; Ctrl-] or Enter ~. leaves" },
	{ "vm-log", "log", API_ROLE_VIEW, API_VM, API_STREAM,
	  .arg = {
		{ "which", API_STRING, false, "WHICH",
		  "what the guest wrote to its console (the default), or what QEMU wrote", CHOICES("console", "qemu") },
		{ "lines", API_INT, false, "-n, --lines N", "only the last N lines" },
		{ "follow", API_BOOL, false, "-f, --follow", "keep printing new output" },
	  },
	  .result = "an empty object; the bytes of the log follow, then the connection ends",
	  .returns = { .members = api_nothing },
	  .help = "print what a guest's console or its QEMU wrote",
	  .text = "QEMU's log includes what a running QEMU has written so far: a line \"--- "
		"TIME: start\" begins the output of each start, and a line with the reason ends "
		"it. With -f, QEMU's log is followed across restarts." },
	{ "vm-history", "history", API_ROLE_VIEW, API_VM, 0,
	  .arg = {
		{ "lines", API_INT, false, "-n, --lines N",
		  "only the last N records, 200 by default" },
	  },
	  .result = "one row per record, oldest first", .returns = { .columns = api_history_row },
	  .help = "show what happened to a VM, who requested it, and why",
	  .text = "A request that failed is followed by a record COMMAND-failed with the error. "
		"Kept in the state directory across restarts of the daemon and the host, up "
		"to 256 KiB." },
	{ "subscribe", "events", API_ROLE_VIEW, API_NO_TARGET, 0, { "event" },
	  .arg = {
		{ "follow", API_BOOL, false, "-f, --follow, --no-follow",
		  "until interrupted (the default), or only the next event" },
	  },
	  .result = "an empty object; events follow for as long as the connection lasts",
	  .returns = { .members = api_nothing },
	  .help = "print events as they happen",
	  .text = "A client that does not read its events is disconnected." },

	{ "vm-check", "check", API_ROLE_VIEW, API_NO_TARGET, API_PROGRAMS, { "define" },
	  .arg = {
		{ "name", API_NAME, false, "NAME|FILE",
		  "only this VM or file; all by default" },
		{ "validate", API_BOOL, false, "--validate",
		  "the default, accepted because virsh spells it so" },
	  },
	  .result = "one row per problem", .returns = { .columns = api_check_row },
	  .help = "report everything that would keep VMs from starting, and the fix",
	  .text = "Changes and starts nothing: files are read into copies. Besides the files it "
		"checks images and their backing files as the VM's uid sees them, and names the "
		"component of a path that fails; locks and their holders; set-uid bits, access lists "
		"and attributes of images; space for images that can still grow; memory, KVM, the "
		"machine type, networks, bridges, VNC ports; and values that two VM files claim. The "
		"FILE of a VM in the configuration directory, or one of its drop-ins, stands for that "
		"VM; any other FILE, or any FILE without a daemon, is only parsed, by the client, with "
		"the rights of its user, and a note says so. Exits with 2 if a row is an error, and "
		"with 0 if there are only warnings." },
	{ "vm-cat", "cat", API_ROLE_VIEW, API_VM, 0, { "dumpxml" },
	  .arg = {
		{ "effective", API_BOOL, false, "--effective",
		  "every key, with the value from all files, the defaults and the VM's identity" },
	  },
	  .result = "the configuration, in the format of the files",
	  .returns = { .members = api_plain },
	  .help = "print a VM's configuration: its files, one after the other" },
	{ "vm-diff", "diff", API_ROLE_VIEW, API_VMS, 0,
	  .result = "one row per difference", .returns = { .columns = api_diff_row },
	  .help = "show where running VMs differ from their files",
	  .text = "Size= of a disk is compared with its image, also while the VM is stopped. "
		  "Keys that apply live are in force already, and not shown. Exits with 12 if there are "
		  "differences." },
	{ "vm-cmdline", "cmdline", API_ROLE_VIEW, API_VM, API_PROGRAMS, { "domxml-to-native" },
	  .result = "a command for the shell", .returns = { .members = api_plain },
	  .help = "print the QEMU command line of a VM, ready to paste into a shell",
	  .text = "The pasted command runs without vmkeep and its jail: the first serial port and QEMU's "
		  "monitor are on the terminal, NICs on a user-mode network; comments at the top list "
		  "the differences. It uses the real disks, which QEMU locks: while the VM runs, QEMU "
		  "refuses it, and the VM is not affected." },

	{ "vm-create", "create", API_ROLE_CREATE, API_VM, API_NAME_ONLY | API_JOB | API_NEW,
	  .arg = {
		{ "memory", API_STRING, false, "--memory, --ram SIZE", "the guest's memory, 1G if not "
		  "given; without a unit in MiB" },
		{ "cpus", API_STRING, false, "--cpus, --vcpus N", "the number of virtual CPUs" },
		{ "disk", API_WORDS, false, "--disk DISK", "a size as in 20G, a path, or keys of [Disk] as "
		  "in size=20G,bus=scsi; may be repeated; a size without a unit is in GiB" },
		{ "image", API_STRING, false, "--image IMAGE", "the first disk is based on this image: "
		  "NAME for images/NAME.qcow2 in its store, which is fetched if it is only in the catalogue; "
		  "an https:// URL, which is fetched; or the path of another one in the store" },
		{ "digest", API_STRING, false, "--digest DIGEST", "sha256:HEX or sha512:HEX, of an image that "
		  "is a URL", .client = true },
		{ "template", API_NAME, false, "--template TEMPLATE", "a clone of this VM, as by clone --linked; "
		  "all else that is given is set in its file" },
		{ "iso", API_STRING, false, "--iso, --cdrom FILE", "a CD to install from" },
		{ "network", API_WORDS, false, "-w, --network NETWORK", "a network, none, or keys of [NIC] "
		  "as in default,mac=52:54:00:11:22:33; default if not given; may be repeated" },
		{ "bridge", API_WORDS, false, "--bridge BRIDGE", "a bridge of the host; may be repeated" },
		{ "address", API_STRING, false, "--address ADDRESS", "the IPv4 address of the NIC; on a bridge "
		  "with a prefix length, for cloud-init" },
		{ "gateway", API_STRING, false, "--gateway ADDRESS", "the gateway of a NIC on a bridge" },
		{ "user", API_STRING, false, "--user USER", "the user that cloud-init makes in the guest; with "
		  "--ssh-key by default that of the image in the catalogue, or your own name, or admin if you "
		  "are root" },
		{ "ssh-key", API_WORDS, false, "--ssh-key KEY", "a public key of ssh for that user, or a file "
		  "with some; may be repeated" },
		{ "cloud-init", API_STRING, false, "--cloud-init FILE", "a file of root's with user data for "
		  "cloud-init, which must stay there" },
		{ "firmware", API_STRING, false, "--firmware FIRMWARE", "uefi if not given; an "
		  "installation does not survive a change", CHOICES("uefi", "bios") },
		{ "enable", API_BOOL, false, "--enable", "start it with the host if it was up when the host "
		  "went down (Enable=last)" },
		{ "start", API_BOOL, false, "--start", "start it now, and wait until its vCPUs run" },
		DRY_RUN("only print the file"),
		{ "keys", API_WORDS, false, "SECTION.KEY=VALUE...", "further keys, as for set" },
	  },
	  .result = "the file that was written", .returns = { .members = api_created },
	  .other = { .with = "dry-run", .members = api_created },
	  .help = "write the file of a new VM",
	  .text = "Prints the file. The name must be new: no file of that name is replaced, and no state "
		"of a vanished VM is taken over. A disk of a size is created by the first start, "
		"at NAME-ID.qcow2 in the image directory; a path names an image that is there. With --iso, "
		"--start and a disk, the CD is in a drive until the VM is off for the first time, and boots "
		"while the disk does not; resets keep it, and the file does not have it. If it is needed "
		"again: start NAME --iso FILE --once. Otherwise, and with keys of CDROM.cd, the CD is "
		"written to the file and stays. With "
		"--image, the first disk is an overlay on the image, which stays as it is and may have any "
		"number of them; it is as large as the image, or as --disk says. Disks are called root, data, data2 and so on, NICs lan, lan2. Also takes --name, "
		"--virt-type, --graphics and --autostart of virt-install(1), and ignores its "
		"--os-variant, --osinfo, --os-type, --noautoconsole, --import, --hvm and --wait. Only root may set keys that "
		"are reserved to root, and paths outside of the image directory. Members of "
		"vmkeep-create own what they create, within their quota: their new images are called "
		"NAME-ID.UUID.qcow2 (8 digits of the UUID); of those that are there, they may name as a "
		"CD a file whose name ends in .iso, and in Base= those in images/." },
	{ "vm-run", "run", API_ROLE_CREATE, API_NO_TARGET, API_JOB | API_RUNS,
	  .arg = {
		{ "image", API_STRING, true, "IMAGE", "the image that its disk is based on, as in create --image, or a "
		  "template" },
		{ "template", API_BOOL, false, "--template", "take IMAGE for a template, also if an image has that name" },
		{ "command", API_WORDS, true, "COMMAND...",
		  "the program and its arguments, after -- if these include options", .client = true },
		{ "push", API_WORDS, false, "--push FILE:/PATH", "copy FILE into the guest before; may be repeated",
		  .client = true },
		{ "pull", API_WORDS, false, "--pull /PATH:FILE", "copy /PATH out of the guest afterwards, also if the "
		  "command failed; may be repeated", .client = true },
		{ "ttl", API_TIME, false, "--ttl TIME", "when it is ended in any case; no limit without it" },
		{ "timeout", API_TIME, false, "--timeout TIME", "how long to wait for the guest agent, 5 minutes by default",
		  .client = true },
		{ "no-input", API_BOOL, false, "-n, --no-input", "the command's standard input is empty, and "
		  "nothing is read from ours", .client = true },
		{ "digest", API_STRING, false, "--digest DIGEST", "sha256:HEX or sha512:HEX, of an image that "
		  "is a URL", .client = true },
		{ "memory", API_STRING, false, "--memory SIZE", "the guest's memory, 1G if not given; without "
		  "a unit in MiB" },
		{ "cpus", API_STRING, false, "--cpus N", "the number of virtual CPUs" },
		{ "network", API_WORDS, false, "-w, --network NETWORK", "a network, or none; default if not "
		  "given; may be repeated" },
		{ "bridge", API_WORDS, false, "--bridge BRIDGE", "a bridge of the host; may be repeated" },
		{ "firmware", API_STRING, false, "--firmware FIRMWARE", "uefi if not given, as in create",
		  CHOICES("uefi", "bios") },
		{ "keys", API_WORDS, false, "--set SECTION.KEY=VALUE", "a further key of the VM; may be "
		  "repeated" },
	  },
	  .result = "the VM that there was; the answer comes when it is gone",
	  .returns = { .members = api_ran },
	  .help = "run a command in a throw-away VM, which is gone when the command has ended",
	  .text = "Makes and starts a VM whose disk is an overlay on the image, which stays as it is, waits for its "
		"guest agent, copies files, and runs the command as guest exec does, with input and output as they "
		"come. The exit code is the command's, or 125 if vmkeep itself failed; if no agent came, the last lines "
		"of the console are printed. When the command, this client or the VM ends, or the time given with --ttl is "
		"over, the VM is ended like pulling the plug, and its disk, file, history, logs, addresses and "
		"user id are removed. Of a template, which must have one disk of its own, it has the hardware, too. If QEMU, the daemon or the host goes down, the next daemon does that. "
		"Its name is run- and eight digits, which vm-run tells by RUN_STARTED. "
		"Meanwhile it is in list, where it counts for the quota of its owner; it can be looked at and killed, and its "
		"guest used, but it cannot be changed, copied or started again. It has one disk of its own; further ones need "
		"ReadOnly=yes. Members of vmkeep-create may use the images in images/ of the image directory." },
	{ "vm-set", "set", API_ROLE_OWNER, API_VM, API_JOB | API_KEEPS,
	  .arg = {
		FORCE_MANAGED,
		DRY_RUN("only show which lines would change"),
		{ "changes", API_WORDS, true, "SECTION.KEY=VALUE...",
		  "the keys to set, also SECTION.ID.KEY=VALUE; += and -= for items of a list" },
	  },
	  .result = "one row per line", .returns = { .columns = api_edit_row },
	  .other = { .with = "dry-run", .columns = api_edit_row },
	  .help = "change keys in a VM's files",
	  .text = "Changes the line in force, in the file or in a drop-in, or adds one; comments and all "
		"other lines stay. The result is checked first: a change that would make the "
		"configuration invalid is refused, and nothing is written. NIC.lan.Address=10.0.0.7 "
		"sets Address= in [NIC lan]. For a list, = replaces all items, += adds an item and -= "
		"removes one. An empty value resets the key to its built-in default. All changes to one "
		"file are made at once. Only root may set keys that are reserved to root, and paths "
		"outside of the image directory; only operators may set other images, keys that are not "
		"for owners, UUID= and X-... keys, remove disks or make them smaller. An owner's quota "
		"must suffice." },
	{ "vm-unset", "unset", API_ROLE_OWNER, API_VM, API_JOB | API_KEEPS,
	  .arg = {
		FORCE_MANAGED,
		DRY_RUN("only show which lines would be removed"),
		{ "keys", API_WORDS, true, "SECTION.KEY...",
		  "the keys to remove, also SECTION.ID.KEY; SECTION.ID is a whole section" },
	  },
	  .result = "one row per line", .returns = { .columns = api_edit_row },
	  .other = { .with = "dry-run", .columns = api_edit_row },
	  .help = "remove keys from a VM's files, so that their defaults apply",
	  .text = "Removes all lines that set the key, in the file and in drop-ins, and prints the value "
		"now in force: the built-in default, or the one from [Defaults] in vmkeep.conf." },
	{ "vm-enable", "enable", API_ROLE_OWNER, API_VMS, API_JOB | API_KEEPS,
	  .arg = {
		{ "last", API_BOOL, false, "--last", "only if it was up when the host went down: "
		  "sets Enable=last" },
		FORCE_MANAGED,
	  },
	  .result = "one row, as for set", .returns = { .columns = api_edit_row },
	  .help = "let VMs start with the host: sets Enable=yes in their files",
	  .text = "Does not start them now." },
	{ "vm-disable", "disable", API_ROLE_OWNER, API_VMS, API_JOB | API_KEEPS,
	  .arg = { FORCE_MANAGED },
	  .result = "one row, as for set", .returns = { .columns = api_edit_row },
	  .help = "do not start VMs with the host: sets Enable=no in their files",
	  .text = "Does not stop VMs that are running." },
	{ "vm-file", NULL, API_ROLE_OWNER, API_VM, API_KEEPS,
	  .arg = { FORCE_MANAGED },
	  .result = "the VM's main file, for vm-edit", .returns = { .members = api_file },
	  .help = "return a VM's file as it is, byte by byte" },
	{ "vm-edit", "edit", API_ROLE_OWNER, API_VM, API_JOB | API_KEEPS,
	  .arg = {
		FORCE_MANAGED,
		{ "version", API_STRING, false, NULL, "the version, from vm-file, of the text that "
		  "was edited; required" },
		{ "text", API_STRING, false, NULL, "the new text of the file, in base64; required" },
	  },
	  .result = "one row per key that differs", .returns = { .columns = api_edit_row },
	  .help = "edit a VM's file; a text with errors is not written",
	  .text = "Runs $VISUAL, $EDITOR, editor or vi on a private copy. The result replaces the "
		"file only if it is valid and the file has not changed since it was read; otherwise "
		"the errors are printed, and the copy is kept, or edited again. Drop-ins are not "
		"edited. Only root may change keys that are reserved to root, and paths outside of "
		"the image directory." },

	{ "vm-set-memory", "set-memory", API_ROLE_OWNER, API_VM, API_JOB | API_NEEDS_GUEST,
	  { "setmem" },
	  .arg = {
		{ "size", API_SIZE, true, "SIZE", "the guest's new memory size, as in 768M" },
		{ "force", API_BOOL, false, "--force",
		  "also below the floor that Min= in [Memory] sets", .harms = true },
		TIMEOUT("how long the guest may take, one minute by default"),
	  },
	  .result = "the guest's memory afterwards", .returns = { .members = api_memory },
	  .help = "change the memory of a running guest with its balloon",
	  .text = "Returns when the guest's memory size has changed. Lasts until the next "
		"start; Memory= in the file is not changed." },
	{ "vm-cd", "cd", API_ROLE_OWNER, API_VM, API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_KEEPS,
	  .arg = {
		{ "action", API_STRING, true, "insert|eject", "what to do", CHOICES("insert", "eject") },
		{ "file", API_STRING, false, "FILE", "to insert: STORE:FILE, a file in the drive's store, "
		  "or for root any path" },
		{ "id", API_NAME, false, "--id ID", "the drive, if there are several" },
		{ "force", API_BOOL, false, "--force",
		  "open the tray even if the guest has locked it", .harms = true },
		{ "persistent", API_BOOL, false, "--persistent", "write it to the VM's file, too" },
		TIMEOUT("how long the guest may take to open the tray, 10 seconds by default"),
	  },
	  .result = "what is in the drive now", .returns = { .members = api_medium },
	  .help = "change the CD in a drive of a running guest",
	  .text = "The file is checked as at a start, and QEMU has it open before the tray opens; if "
		"that fails, or the guest keeps the tray locked, the drive has what it had before. The CD "
		"that was in it is closed and unlocked. Without --persistent the VM's file does not change: "
		"resets keep the new CD, the next start has that of the file. info shows what is in the "
		"drive, and diff that it differs from the file. As for set, only root may use paths outside "
		"of the stores; owners may use files of the image directory whose names end in .iso." },
	{ "nic-attach", "nic attach", API_ROLE_OWNER, API_VM, API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_KEEPS,
	  .arg = {
		{ "id", API_NAME, true, "ID", "its id, for a section [NIC ID]" },
		{ "persistent", API_BOOL, false, "--persistent", "write it to the VM's file, too" },
		{ "keys", API_WORDS, false, "KEY=VALUE...", "keys of the section, as Network=default, which is used if there are none" },
	  },
	  .result = "the NIC", .returns = { .members = api_nic },
	  .help = "plug a NIC into a running guest",
	  .text = "Its network is brought up, and it gets address, MAC and DNS name as at a start; an id that "
		"it had before gets the same again. Without --persistent the VM's file does not change: resets keep "
		"the NIC, the next start has those of the file. A q35 machine has four free slots when it starts, "
		"for NICs of Model=virtio and e1000e; an id keeps its slot, also while its NIC is out. As for set, only operators may use Bridge=." },
	{ "nic-detach", "nic detach", API_ROLE_OWNER, API_VM, API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS | API_KEEPS,
	  .arg = {
		{ "id", API_NAME, true, "ID", "the NIC" },
		{ "persistent", API_BOOL, false, "--persistent", "remove its section from the VM's file, too" },
		TIMEOUT("how long the guest may take to release it, 10 seconds by default"),
	  },
	  .result = "the NIC", .returns = { .members = api_nic },
	  .help = "take a NIC out of a running guest",
	  .text = "Asks the guest, every 5 seconds, to release it. A guest that does not, because it is booting, "
		"paused or has no driver for that, keeps the NIC, and the file does not change; the NIC goes when the "
		"guest releases it later, or restarts." },
	{ "nic-link", "nic link", API_ROLE_OWNER, API_VM, API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS | API_KEEPS,
	  { "domif-setlink" },
	  .arg = {
		{ "id", API_NAME, true, "ID", "the NIC" },
		{ "link", API_STRING, true, "up|down", "whether the cable is plugged in", CHOICES("up", "down") },
		{ "persistent", API_BOOL, false, "--persistent", "write it to the VM's file, too, as Link=" },
	  },
	  .result = "the NIC's link now", .returns = { .members = api_nic },
	  .help = "plug in or pull the cable of a NIC of a running guest",
	  .text = "The guest sees that the carrier is gone, or back. Without --persistent the VM's file does "
		"not change: resets keep the link, the next start has that of the file. info shows it." },
	{ "disk-attach", "disk attach", API_ROLE_OWNER, API_VM,
	  API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_KEEPS,
	  .arg = {
		{ "id", API_NAME, true, "ID", "the disk, which the guest must not have yet" },
		{ "persistent", API_BOOL, false, "--persistent", "write it to the VM's file, too" },
		{ "keys", API_WORDS, true, "KEY=VALUE...", "its keys, as in [Disk]; Path= at least" },
	  },
	  .result = "the disk", .returns = { .members = api_plugged },
	  .help = "attach a disk to a running guest",
	  .text = "The image must exist; it is checked and locked as at a start, and [Defaults] apply. On "
		"Bus=virtio, the default, it takes one of the spare PCI ports that each start makes, on Bus=scsi a place at a "
		"SCSI controller that the guest has; other buses cannot be changed while the guest runs, and "
		"Size=, Base=, IOThread= and volumes of a store need a start. If something fails, everything "
		"is as before. Without --persistent the VM's file does not change: resets keep the disk, the next "
		"start is without it; info shows the disk, and diff that it is not in the file. As for set, only root "
		"may use paths outside of the stores, and only operators other images." },
	{ "disk-detach", "disk detach", API_ROLE_OWNER, API_VM,
	  API_JOB | API_NOT_BUSY | API_NEEDS_GUEST | API_HARMS | API_KEEPS,
	  .arg = {
		{ "id", API_NAME, true, "ID", "the disk" },
		{ "persistent", API_BOOL, false, "--persistent", "remove it from the VM's file, too" },
		TIMEOUT("how long the guest may take to release it, 30 seconds by default"),
	  },
	  .result = "the disk", .returns = { .members = api_plugged },
	  .help = "detach a disk from a running guest",
	  .text = "Asks the guest to release the disk, every five seconds, and returns when QEMU says that the "
		"guest has. Then the image is closed and unlocked, and the ID can be used again. Unmount its file "
		"systems in the guest first. A guest that does not release the disk in time keeps it, and the "
		"image stays in use; if it does so later, for example because it is reset, the disk goes then. "
		"Without --persistent the VM's file does not change, and a disk that it has is there again at the "
		"next start." },
	{ "snapshot-create", "snapshot create", API_ROLE_OWNER, API_VM, API_JOB | API_KEEPS,
	  { "snapshot-create", "snapshot-create-as" },
	  .arg = { SNAPSHOT },
	  .result = "its name", .returns = { .members = api_snapshot },
	  .help = "save the state of a VM under a name: its disks, and its memory if it runs",
	  .text = "All writable disks must be qcow2. A running guest is paused while its memory "
		"is written." },
	{ "snapshot-list", "snapshot list", API_ROLE_VIEW, API_VM, API_PROGRAMS,
	  { "snapshot-list" },
	  .result = "one row per snapshot, oldest first",
	  .returns = { .columns = api_snapshot_row },
	  .help = "list the snapshots of a VM" },
	{ "snapshot-revert", "snapshot revert", API_ROLE_OWNER, API_VM, API_JOB | API_HARMS | API_KEEPS,
	  { "snapshot-revert" },
	  .arg = {
		OLD_SNAPSHOT,
		SNAPSHOT_ID,
		{ "disks-only", API_BOOL, false, "--disks-only",
		  "revert the disks of a VM that is off, and do not load the memory" },
		DRY_RUN("only show what would be reverted, and whether it would be refused"),
	  },
	  .result = "the state reached; with dry-run, which is no job, what would happen to the "
		"VM and one row per disk",
	  .returns = { .members = api_state },
	  .other = { .with = "dry-run", .members = api_revert_dry, .columns = api_revert_row,
		.rows = "disks" },
	  .help = "revert a VM to a snapshot; what changed since then is lost" },
	{ "snapshot-delete", "snapshot delete", API_ROLE_OWNER, API_VM, API_JOB | API_HARMS,
	  { "snapshot-delete" },
	  .arg = { OLD_SNAPSHOT, SNAPSHOT_ID },
	  .result = "its name", .returns = { .members = api_snapshot },
	  .help = "delete a snapshot; the VM stays as it is" },
	{ "guest-ping", "guest ping", API_ROLE_VIEW, API_VMS, API_NEEDS_GUEST,
	  .result = "that it answers", .returns = { .members = api_ping },
	  .help = "test whether guest agents answer",
	  .text = "All guest commands need qemu-guest-agent in the guest. An agent that does "
		"not answer within 3 seconds is an error." },
	{ "guest-info", "guest info", API_ROLE_VIEW, API_VM, API_NEEDS_GUEST, { "guestinfo" },
	  .result = "what the agent reports about itself and its guest; unknown members are "
		"missing",
	  .returns = { .members = api_guest_info },
	  .help = "show what the agent knows of its guest: system, host name, users, addresses" },
	{ "guest-exec", "guest exec", API_ROLE_OWNER, API_VM, API_JOB | API_NEEDS_GUEST | API_RUNS,
	  .arg = {
		{ "command", API_WORDS, true, "COMMAND...",
		  "the program and its arguments, after -- if these include options" },
		TIMEOUT("how long it may run; no limit without it, with --collect one minute"),
		{ "no-input", API_BOOL, false, "-n, --no-input", "its standard input is empty, and "
		  "nothing is read from ours", .client = true },
		{ "collect", API_BOOL, false, "--collect", "run it without a shell and without input, "
		  "and print what it wrote when it has ended", .client = true },
		{ "stream", API_BOOL, false, NULL, "return an empty object at once, and "
		  "continue as a stream" },
	  },
	  .result = "how it ended, and what it wrote", .returns = { .members = api_exec },
	  .help = "run a program in a guest, with input and output",
	  .text = "It runs as the agent's user, usually root. Standard input, output and error are "
		"those of this command, without a terminal, and its exit code is the program's, 128 "
		"and the signal's number if a signal ended it, 127 if there is no such program, and "
		"125 if vmkeep itself failed. Ctrl-C sends SIGTERM to the program, the second one "
		"SIGKILL, and the third one ends this command. When it ends first, the program gets SIGHUP, and "
		"SIGKILL a second later; if vmkeepd ends or is restarted, within a minute. reexec waits for the "
		"program, as for any job. While the VM is paused, everything waits. So it does while its file "
		"systems are frozen or the agent does something else that is slow, such as guest trim; but if that "
		"takes more than 20 seconds, the program may be ended, and after 40 it is. What it leaves behind in the background "
		"is not waited for. The guest needs /bin/sh, dd, cat and /proc, and no files are written. "
		"--collect, which --json implies, needs nothing, not even Linux, and keeps at most about "
		"2 MiB of output." },
	{ "guest-push", "guest push", API_ROLE_OWNER, API_VM,
	  API_STREAM | API_NEEDS_GUEST | API_HARMS,
	  .arg = {
		{ "file", API_STRING, true, "FILE", "a file here", .client = true },
		{ "path", API_STRING, true, "PATH", "its path in the guest, or an existing directory" },
		{ "as", API_STRING, false, NULL, "its name if PATH is a directory; file without it" },
		{ "mode", API_INT, false, NULL, "its permissions, 420 (0644 in octal) without it" },
	  },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "copy a file into a guest",
	  .text = "The new file gets the permissions of FILE and belongs to the agent's user. It is "
		"written beside PATH and renamed when it is whole; an existing file is replaced. The "
		"guest needs what guest exec needs." },
	{ "guest-pull", "guest pull", API_ROLE_OWNER, API_VM, API_STREAM | API_NEEDS_GUEST,
	  .arg = {
		{ "path", API_STRING, true, "PATH", "a file in the guest" },
		{ "file", API_STRING, true, "FILE", "where to, or an existing directory", .client = true },
	  },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "copy a file out of a guest",
	  .text = "It is written beside FILE and renamed when it is whole; an existing file is "
		"replaced." },
	{ "guest-fs", "guest fs", API_ROLE_VIEW, API_VM, API_NEEDS_GUEST, { "domfsinfo" },
	  .result = "one row per mounted file system", .returns = { .columns = api_fs_row },
	  .help = "list the file systems that a guest has mounted" },
	{ "guest-trim", "guest trim", API_ROLE_OWNER, API_VM, API_JOB | API_NEEDS_GUEST,
	  { "domfstrim" },
	  .arg = { TIMEOUT("how long it may take, 10 minutes by default") },
	  .result = "one row per file system", .returns = { .columns = api_trim_row },
	  .help = "make a guest discard unused space of its file systems" },
	{ "guest-freeze", "guest freeze", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST | API_HARMS,
	  { "domfsfreeze" },
	  .arg = { TIMEOUT("when it is thawed in any case, 10 seconds by default") },
	  .result = "how many were frozen, and for how long", .returns = { .members = api_freeze },
	  .help = "make a guest's disks consistent and block its writes for a short time",
	  .text = "The guest is thawed by guest thaw, when the time is over, or by the next "
		"daemon if this one ends first." },
	{ "guest-thaw", "guest thaw", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST, { "domfsthaw" },
	  .result = "how many were thawed", .returns = { .members = api_thaw },
	  .help = "let a frozen guest write again" },
	{ "guest-time", "guest time", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST, { "domtime" },
	  .arg = { { "sync", API_BOOL, false, "--sync, --now", "set the guest's clock to the "
		"host's" } },
	  .result = "the guest's time", .returns = { .members = api_time },
	  .help = "show a guest's time, or set it" },
	{ "guest-passwd", "guest passwd", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST | API_HARMS,
	  { "set-user-password" },
	  .arg = {
		{ "user", API_STRING, true, "USER", "a user of the guest" },
		{ "crypted", API_BOOL, false, "--crypted, --encrypted",
		  "the given password is already hashed" },
		{ "password", API_STRING, false, NULL, "the new password; required" },
	  },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "set the password of a user in a guest",
	  .text = "The password is read from the terminal, or from the first line of standard "
		"input." },
	{ "guest-command", "guest command", API_ROLE_OWNER, API_VM, API_NEEDS_GUEST,
	  { "qemu-agent-command" },
	  .arg = {
		{ "command", API_JSON, true, "JSON", "as in {\"execute\": \"guest-get-vcpus\"}" },
		TIMEOUT("how long the agent may take, 3 seconds by default"),
	  },
	  .result = "what the agent returned",
	  .help = "send any command to a guest agent" },
	{ "job-list", "jobs", API_ROLE_VIEW, API_NO_TARGET, 0, { "job list", "domjobinfo" },
	  .result = "one row per job, oldest first", .returns = { .columns = api_job_row },
	  .help = "list operations in progress" },
	{ "job-cancel", "job cancel", API_ROLE_OWNER, API_NO_TARGET, API_HARMS,
	  { "jobs cancel", "domjobabort" },
	  .arg = { { "job", API_INT, true, "JOB", "its number, as shown by jobs" } },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "cancel a job, and undo what it has done so far",
	  .text = "Users may cancel jobs that they began, and those of VMs that they own." },
	{ "vm-qmp", "qmp", API_ROLE_ROOT, API_VM, API_NEEDS_GUEST, { "qemu-monitor-command" },
	  .arg = {
		{ "command", API_JSON, true, "JSON", "as in {\"execute\": \"query-status\"}" },
		{ "with-file", API_STRING, false, "--with-file PATH", "show QEMU this file or block device of the "
		  "host, under the same path, before the command" },
		{ "writable", API_BOOL, false, "--writable", "and let it write to it" },
		{ "without-file", API_STRING, false, "--without-file PATH", "take such a file away after the "
		  "command" },
		TIMEOUT("how long QEMU may take, 30 seconds by default"),
	  },
	  .result = "what QEMU returned",
	  .help = "send a command to a VM's QEMU, bypassing all checks",
	  .text = "The daemon learns of the effects only through QEMU's events. QEMU sees no file of the host "
		"but the VM's own. --with-file adds one, after the checks of a disk at a start; if the command "
		"fails, it is taken away again, else it stays until --without-file, with a command such as "
		"blockdev-del, or until the VM is off. It is locked only if QEMU locks it." },

	{ "net-list", "net list", API_ROLE_VIEW, API_NO_TARGET, 0, { "net-list" },
	  .result = "one row per network", .returns = { .columns = api_network_row },
	  .help = "list networks" },
	{ "net-show", "net show", API_ROLE_VIEW, API_NETWORK, 0, { "net-info", "net-dumpxml" },
	  .result = "everything known about the network", .returns = { .members = api_network },
	  .help = "show everything about a network: bridge, addresses, attached VMs" },
	{ "net-leases", "net leases", API_ROLE_VIEW, API_NETWORK, 0, { "net-dhcp-leases" },
	  .result = "one row per address", .returns = { .columns = api_lease_row },
	  .help = "list the addresses that a network has leased" },
	{ "net-start", "net start", API_ROLE_OPERATOR, API_NETWORKS, 0, { "net-start" },
	  .result = "the state, up", .returns = { .members = api_state },
	  .help = "bring up networks; the first VM that needs one does so too" },
	{ "net-stop", "net stop", API_ROLE_OPERATOR, API_NETWORKS, API_HARMS, { "net-destroy" },
	  .arg = {
		{ "force", API_BOOL, false, "--force", "also while VMs are attached",
		  .harms = true },
		DRY_RUN("only show what would be removed, and whether it would be refused"),
	  },
	  .result = "the state, down; with dry-run the current state, whether it would be "
		"refused, and one row per thing that would be removed",
	  .returns = { .members = api_state },
	  .other = { .with = "dry-run", .members = api_net_stop_dry, .columns = api_net_stop_row,
		.rows = "parts" },
	  .help = "take networks down: removes what vmkeep created for them, and nothing else" },

	{ "store-list", "store list", API_ROLE_VIEW, API_NO_TARGET, API_PROGRAMS, { "pool-list" },
	  .result = "one row per store, the image directory first",
	  .returns = { .columns = api_store_row },
	  .help = "list the directories of images, and how full their file systems are",
	  .text = "A store that does not answer within 5 seconds, such as a file server that "
		"is down, or within 30 if a program is asked, costs only its own row." },

	{ "image-list", "image list", API_ROLE_VIEW, API_NO_TARGET, API_PROGRAMS,
	  .arg = {
		{ "image", API_NAME, false, "NAME", "only this one, in any store" },
	  },
	  .result = "one row per image", .returns = { .columns = api_image_row },
	  .help = "list the images that new VMs can be based on",
	  .text = "These are the files images/NAME.qcow2 of all stores, and the images of the catalogue "
		"that are in none; create --image NAME makes a VM of one. A store that cannot be read is "
		"left out: store list shows why." },

	{ "image-fetch", "image fetch", API_ROLE_OPERATOR, API_NO_TARGET, API_JOB,
	  .arg = {
		{ "image", API_NAME, true, "NAME", "the name that it gets here" },
		{ "url", API_STRING, false, "URL", "https:// only; as the catalogue says if not given" },
		{ "digest", API_STRING, false, "--digest DIGEST", "sha256:HEX or sha512:HEX, as published "
		  "with the image; required with a URL, unless that ends with #sha256=HEX" },
		{ "store", API_NAME, false, "--store STORE", "default if not given" },
	  },
	  .result = "the image", .returns = { .members = api_fetched },
	  .help = "fetch a qcow2 image from an https server into a store",
	  .text = "Without a URL, the catalogue says where the image comes from, and whose word is taken "
		"for its digest: see THE CATALOGUE in vmkeepd(8). "
		"It becomes images/NAME.qcow2 of the store, if it has the digest and is a qcow2 image "
		"that refers to no other file; nothing is replaced. What was fetched is kept when the "
		"connection breaks, the server sends less than 1 KiB/s for too long, or the job is "
		"cancelled, and the next fetch of the same digest continues with it. Of what would leave less than "
		"1 GiB, or a twentieth of the file system if that is less, nothing is kept. curl runs in a jail: "
		"it sees the host's network, certificates and the partial file. "
		"Redirects lead to https only. Certificates, a proxy and the time for a slow server are set in "
		"[Images] of vmkeep.conf: see CONFIGURATION in vmkeepd(8)." },

	{ "image-rm", "image rm", API_ROLE_OPERATOR, API_NO_TARGET, API_JOB | API_HARMS,
	  .arg = {
		{ "image", API_NAME, true, "NAME", "as listed" },
		{ "store", API_NAME, false, "--store STORE", "default if not given" },
	  },
	  .result = "where it is now", .returns = { .members = api_image_gone },
	  .help = "move an image that no VM uses to the trash of its store",
	  .text = "The command that brings it back is printed; after seven days it is removed. "
		"Refused while a VM's file or saved state names the image, while create or run make a VM with it, "
		"while another image in any "
		"store is based on it, and if a store or another VM's file cannot be read." },

	{ "image-prune", "image prune", API_ROLE_OPERATOR, API_NO_TARGET,
	  API_JOB | API_HARMS | API_ASKS,
	  .arg = {
		{ "all", API_BOOL, false, "--all", "all that is in the trash, however new",
		  .harms = true },
		DRY_RUN("only show what would be removed"),
	  },
	  .result = "one row per file", .returns = { .columns = api_pruned_row },
	  .other = { .with = "dry-run", .columns = api_pruned_row },
	  .help = "remove abandoned downloads, and what is old in the trash of all stores",
	  .text = "Asks first; without a terminal it needs --yes. Abandoned are partial files that no "
		"job is writing: the next image fetch would have continued with them. Old is what has "
		"been in the trash for seven days, which the daemon removes by itself once a day. There "
		"is no way back." },

	{ "host-check", "host check", API_ROLE_VIEW, API_NO_TARGET, API_PROGRAMS,
	  { "virt-host-validate" },
	  .result = "one row per check", .returns = { .columns = api_host_row },
	  .help = "check whether this host can run guests, with a fix for each problem",
	  .text = "Checks virtualisation, QEMU and its helpers, firmware, cgroups, memory, disk "
		"space, clocks, and interference with our networks by other programs: firewalls "
		"that would drop guests' packets, holders of ports 53 and 67, a libvirt "
		"network. KVM is tested by booting 512 bytes, which takes a few seconds if it "
		"does not work. Exits with 1 if a check fails." },
	{ "vms-shutdown", "shutdown-all", API_ROLE_OPERATOR, API_NO_TARGET, API_JOB | API_HARMS,
	  .arg = {
		TIMEOUT("for all VMs together, instead of [Shutdown] TimeoutSec= in "
		"vmkeep.conf, whose default is 5 minutes"),
		DRY_RUN("only show the order, how each VM would be stopped and the time it "
		"would get"),
	  },
	  .result = "one row per VM that ran; with dry-run, which is no job, one row per VM "
		"that is up, in shutdown order, and the time needed",
	  .returns = { .columns = api_shutdown_row },
	  .other = { .with = "dry-run", .members = api_shutdown_dry, .columns = api_shutdown_dry_row,
		.rows = "vms" },
	  .help = "shut down all VMs like the host's own shutdown, then the networks",
	  .text = "VMs that depend on others by After= or Requires= are stopped first, all "
		"others at once. A VM that is not down after its TimeoutStopSec=, or its share "
		"of the remaining time, is killed and named. The share is the whole "
		"TimeoutStopSec= if that and those of the VMs that wait for it fit; check warns "
		"if they do not. VMs whose start at boot is still pending are not started. Exits "
		"with 8 if a guest had to be killed." },
	{ "reload", "reload", API_ROLE_OPERATOR, API_NO_TARGET, 0, { "daemon-reload" },
	  .arg = { DRY_RUN("read the files without applying them, and only show what would "
		"change") },
	  .result = "one row per problem; with dry-run one row per thing that would change, and "
		"the problems",
	  .returns = { .columns = api_problem_row },
	  .other = { .with = "dry-run", .members = api_reload_dry, .columns = api_reload_row,
		.rows = "changes" },
	  .help = "read all configuration files again; running guests are not touched",
	  .text = "A file that no longer parses keeps its previous meaning until it is fixed. "
		"Deleted bridges and firewall rules of networks are restored. The file of a VM or "
		"network is read again before each answer about it anyway; this reads all files, "
		"and /etc/group. The dry run compares running VMs with their "
		"configuration at start, as diff does." },
	{ "reexec", "reexec", API_ROLE_ROOT, API_NO_TARGET, 0, { "daemon-reexec" },
	  .arg = {
		TIMEOUT("how long to wait for running jobs, 30 seconds by default"),
		{ "force", API_BOOL, false, "--force", "do not wait for users: cancel running jobs "
		  "where that is possible, and begin no new ones until then" },
	  },
	  .result = "the successor", .returns = { .members = api_reexec },
	  .help = "replace the daemon with the installed program; guests are not affected",
	  .text = "For upgrades. Waits for running jobs first, and refuses a program that does "
		"not run. A command in a guest, or in a throw-away VM, is a job that can take for "
		"ever: --force ends it. Connected clients are disconnected after their replies; new ones wait "
		"until the new daemon answers." },
	{ "query-version", "version", API_ROLE_NONE, API_NO_TARGET, 0,
	  .result = "the daemon's version",
	  .returns = { .members = api_version, .shown = api_versions },
	  .help = "show the versions of client and daemon" },
	{ "query-schema", "schema", API_ROLE_NONE, API_NO_TARGET, 0,
	  .arg = {
		{ "verb", API_STRING, false, "VERB",
		  "only the JSON schema of what --json prints for this verb" },
	  },
	  .result = "verbs, events and classes, each with all that the manual says about it",
	  .help = "print this protocol, as JSON" },
	{ "debug-loop", NULL, API_ROLE_VIEW, API_NO_TARGET, 0,
	  .result = "the longest iteration of its event loop", .returns = { .members = api_loop },
	  .help = "show how long the daemon was busy at a time, for tests; may change" },
	{ "qmp_capabilities", NULL, API_ROLE_NONE, API_NO_TARGET, 0,
	  .arg = { { "enable", API_JSON, false, NULL, "there is nothing to enable" } },
	  .result = "an empty object", .returns = { .members = api_nothing },
	  .help = "accepted, so that QMP clients work; not required" },
};
/* clang-format on */
const size_t api_verbs_n = ARRAY_SIZE(api_verbs);
