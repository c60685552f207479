/* SPDX-License-Identifier: MIT */
/*
 * The members of results and the columns of tables, in wire order; api/verbs.c says which verb
 * returns what. The strings after a type are for the manual and the JSON schemas.
 */
#include "supervisor/api/result.h"

#pragma GCC diagnostic ignored \
	"-Wmissing-field-initializers" /* rows leave out members that they do not need */

/* clang-format off */
#define END { NULL }

/* --- a VM's life --- */

const struct api_field api_life[] = {
	{ "state", API_TEXT, "the state reached" },
	{ "changed", API_TRUTH, "false if it was in that state already" },
	{ "reason", API_TEXT },
	{ "notes", API_TEXTS, "what else was done, such as disks created" },
	END
};
const struct api_field api_state[] = { { "state", API_TEXT, "the current state" }, END };
const struct api_field api_state_changed[] = {
	{ "state", API_TEXT, "the current state" },
	{ "changed", API_TRUTH, "false if it was in that state already" },
	END
};
const struct api_field api_wait[] = {
	{ "state", API_TEXT, "the current state" },
	{ "address", API_TEXT, "with the condition ip" },
	END
};
const struct api_field api_ssh[] = {
	{ "state", API_TEXT, "the current state" },
	{ "address", API_TEXT },
	{ "uuid", API_TEXT },
	{ "user", API_TEXT, "of [CloudInit] User=, null if that is not set" },
	END
};
const struct api_field api_forget[] = {
	{ "disks", API_TEXTS, "paths of the disk images that it had, which stay" },
	END
};

static const struct api_field results_trashed[] = {
	{ "path", API_ID, "of the image" },
	{ "to", API_TEXT, "where it was moved" },
	{ "removed", API_TRUTH, "for good: it was a volume" },
	{ "why", API_TEXT, "it stays" },
	END
};

const struct api_field api_delete[] = {
	{ "kept", API_TEXT, "the directory with copies of its files" },
	{ "uuid", API_TEXT, "that it had; for UUID= if the files are restored" },
	{ "disks", API_TEXTS, "paths of the disk images that it had, which stay" },
	{ "images", API_LIST, "with disks: what became of each image", .of = results_trashed },
	END
};

const struct api_field api_renamed[] = {
	{ "new", API_TEXT, "its name now" },
	{ "file", API_TEXT, "the path of its file" },
	END
};

const struct api_field api_cloned[] = {
	{ "new", API_TEXT, "its name" },
	{ "file", API_TEXT, "the path of its file" },
	{ "uuid", API_TEXT, "its UUID" },
	{ "disks", API_TEXTS, "paths of the images that were made" },
	END
};

/* --- VM queries --- */

const struct api_field api_vm_row[] = {
	{ "name", API_ID },
	{ "state", API_TEXT },
	{ "reason", API_TEXT },
	{ "health", API_TEXT, "ok, or what is wrong with its QEMU or its NICs" },
	{ "want", API_TEXT, .head = "desired" },
	{ "cpus", API_NUMBER },
	{ "memory", API_BYTES },
	{ "address", API_TEXT },
	{ "uptime", API_SECONDS },
	{ "accel", API_TEXT },
	{ "enabled", API_TRUTH, "may start with the host" },
	{ "enable", API_TEXT, "no, yes, or last: if it was up when the host went down", .head = "boot" },
	{ "outdated", API_TRUTH, "its QEMU was replaced on disk since it was started", .head = "old" },
	{ "overlays", API_NUMBER, "of a template: how many VMs are based on its disks; null: it is none" },
	{ "tags", API_TEXTS, "Tags= of its file" },
	END
};

const struct api_field api_trouble_row[] = {
	{ "severity", API_TEXT, "critical, unknown or warning, in this order" },
	{ "what", API_TEXT, "vm, network, file or directory" },
	{ "name", API_ID },
	{ "problem", API_TEXT },
	END
};

static const struct api_field info_disk[] = {
	{ "disk", API_ID },
	{ "type", API_TEXT, "disk or cdrom" },
	{ "store", API_TEXT, "that a relative path is in" },
	{ "path", API_TEXT },
	{ "read_only", API_TRUTH },
	END
};
static const struct api_field info_nic[] = {
	{ "nic", API_ID },
	{ "network", API_TEXT },
	{ "mac", API_TEXT },
	{ "address", API_TEXT },
	{ "interface", API_TEXT, "on the host" },
	{ "link", API_TEXT, "up or down" },
	END
};
const struct api_field api_info[] = {
	{ "name", API_ID },
	{ "state", API_TEXT },
	{ "reason", API_TEXT },
	{ "want", API_TEXT, .head = "desired" },
	{ "health", API_TEXT, "ok, or what is wrong with its QEMU or its NICs" },
	{ "since", API_DATE, "of the state" },
	{ "pid", API_NUMBER },
	{ "description", API_TEXT },
	{ "tags", API_TEXTS, "Tags= of its file" },
	{ "uuid", API_TEXT },
	{ "cpus", API_NUMBER },
	{ "memory", API_BYTES },
	{ "machine", API_TEXT },
	{ "disks", API_LIST, .of = info_disk },
	{ "template", API_FLAG, "it cannot be started" },
	{ "overlays", API_TEXTS, "the VMs whose disks are based on its disks" },
	{ "started", API_DATE },
	{ "uptime", API_SECONDS },
	{ "accel", API_TEXT },
	{ "uid", API_NUMBER },
	{ "balloon", API_BYTES, "the guest's current memory" },
	{ "resets", API_NUMBER, "how often the guest reset itself" },
	{ "last_reset", API_DATE },
	{ "qemu_warnings", API_TEXTS, "QEMU's warnings at start" },
	{ "vnc", API_TEXT },
	{ "vnc_problem", API_TEXT },
	{ "unresponsive_since", API_DATE },
	{ "unresponsive_reason", API_TEXT },
	{ "waits_for", API_TEXT, "the QEMU command without an answer yet" },
	{ "outdated", API_FLAG, "its QEMU was replaced on disk since it was started" },
	{ "agent", API_TEXT, "open or closed" },
	{ "frozen", API_FLAG, "its file systems are frozen" },
	{ "ready", API_TRUTH, "as reported by the guest" },
	{ "status", API_TEXT, "as reported by the guest" },
	{ "cid", API_NUMBER, "its vsock(7) address" },
	{ "busy", API_TEXT, "the operation in progress" },
	{ "nics", API_LIST, .of = info_nic },
	{ "changes", API_NUMBER, "number of keys that a restart would change" },
	{ "error", API_TEXT, "why the last start failed" },
	{ "enabled", API_TRUTH, "may start with the host" },
	{ "enable", API_TEXT, "no, yes, or last: if it was up when the host went down" },
	{ "orphan", API_FLAG, "its file is gone", .head = "file missing" },
	{ "problems", API_TEXT, "of its file" },
	{ "tainted", API_TEXT, "the section that makes it differ from what is tested" },
	END
};
const struct api_field api_rule_row[] = {
	{ "rule", API_TEXT },
	{ "holds", API_TRUTH, "null: does not apply on this host" },
	{ "found", API_TEXT },
	END
};
const struct api_field api_address_row[] = {
	{ "nic", API_ID },
	{ "network", API_TEXT },
	{ "mac", API_TEXT },
	{ "address", API_TEXT },
	{ "seen", API_TRUTH, "the guest has leased it", .head = "leased" },
	END
};
const struct api_field api_serial[] = { { "serial", API_ID, "the id of the port" }, END };
const struct api_field api_history_row[] = {
	{ "time", API_DATE },
	{ "event", API_TEXT },
	{ "who", API_TEXT, "the user, and in parentheses who had logged in, as through sudo; policy: the daemon itself" },
	{ "reason", API_TEXT },
	END
};

/* --- files --- */

const struct api_field api_check_row[] = {
	{ "file", API_TEXT },
	{ "line", API_NUMBER },
	{ "key", API_TEXT },
	{ "reason", API_TEXT },
	{ "severity", API_TEXT, "error or warning" },
	{ "hint", API_TEXT, "the fix" },
	{ "class", API_TEXT, "error class of a start; null for a warning" },
	END
};
const struct api_field api_problem_row[] = {
	{ "file", API_TEXT },
	{ "line", API_NUMBER },
	{ "key", API_TEXT },
	{ "reason", API_TEXT },
	END
};
const struct api_field api_plain[] = { { "text", API_TEXT }, END };
const struct api_field api_diff_row[] = {
	{ "section", API_TEXT },
	{ "id", API_TEXT },
	{ "key", API_TEXT },
	{ "running", API_TEXT },
	{ "configured", API_TEXT },
	{ "applies", API_TEXT, "guest, start, or once: only when the image is made" },
	END
};
const struct api_field api_edit_row[] = {
	{ "file", API_TEXT, "null if no line sets the key" },
	{ "line", API_NUMBER, "of a removed line, its former number" },
	{ "section", API_ID },
	{ "id", API_TEXT },
	{ "key", API_ID, "empty: the whole section" },
	{ "change", API_TEXT, "changed, added, removed or unchanged" },
	{ "value", API_TEXT, "what the line sets; if it was removed, the value now in force" },
	{ "was", API_TEXT, "the value in force before" },
	{ "section_added", API_TRUTH, "whether its section was added with the line" },
	{ "applies", API_TEXT, "live, guest, start or once as in diff; null: at the next start of a "
	  "VM that is not running" },
	{ "conflict", API_TEXT, "what another VM has as well now, as in check; null: nothing" },
	END
};
const struct api_field api_created[] = {
	{ "file", API_TEXT },
	{ "text", API_TEXT, "what it holds" },
	{ "state", API_TEXT, "of the VM; null for a dry run" },
	{ "notes", API_TEXTS, "what its start did, such as disks created, and what another VM has as well" },
	END
};
const struct api_field api_ran[] = {
	{ "name", API_ID, "of the VM that was there" },
	{ "reason", API_TEXT, "why it ended" },
	END
};
const struct api_field api_file[] = {
	{ "path", API_TEXT },
	{ "version", API_TEXT, "of the text, for vm-edit" },
	{ "text", API_TEXT, "in base64" },
	END
};
const struct api_field api_reload_dry[] = { { "problems", API_TABLE, .of = api_problem_row }, END };
const struct api_field api_reload_row[] = {
	{ "what", API_TEXT, "daemon, vm or network" },
	{ "name", API_TEXT },
	{ "change", API_TEXT, "new, changed, gone, or again: recreated" },
	{ "section", API_TEXT },
	{ "id", API_TEXT },
	{ "key", API_TEXT },
	{ "from", API_TEXT },
	{ "to", API_TEXT },
	{ "applies", API_TEXT, "live, guest or start as in diff; otherwise when, in words" },
	END
};

/* --- memory, snapshots --- */

const struct api_field api_memory[] = { { "actual", API_BYTES, "the guest's current memory" }, END };
const struct api_field api_medium[] = {
	{ "drive", API_ID },
	{ "medium", API_TEXT, "its path, as in the VM's file; unknown: the drive is empty" },
	{ "store", API_TEXT, "that a relative path is in" },
	{ "persistent", API_TRUTH, "it is in the VM's file" },
	END
};
const struct api_field api_nic[] = {
	{ "nic", API_ID },
	{ "link", API_TEXT, "up or down; unknown: it is out" },
	{ "persistent", API_TRUTH, "it is in the VM's file" },
	END
};
const struct api_field api_plugged[] = {
	{ "disk", API_ID },
	{ "persistent", API_TRUTH, "the VM's file was changed, too" },
	END
};
const struct api_field api_snapshot[] = { { "snapshot", API_ID }, END };
const struct api_field api_snapshot_row[] = {
	{ "snapshot", API_TEXT },
	{ "created", API_DATE },
	{ "memory", API_BYTES, "0: disks only" },
	{ "disks", API_TEXTS, "those that have it" },
	{ "id", API_TEXT, "if a disk has several of that name: tells them apart" },
	END
};

static const struct api_field refusal[] = {
	{ "class", API_TEXT },
	{ "desc", API_TEXT },
	{ "hint", API_TEXT },
	END
};
const struct api_field api_revert_dry[] = {
	{ "snapshot", API_TEXT },
	{ "state", API_TEXT, "the current state" },
	{ "after", API_TEXT, "the state afterwards" },
	{ "guest", API_TEXT, "what would happen to the guest" },
	{ "created", API_DATE },
	{ "memory", API_BYTES, "0: disks only" },
	{ "refused", API_OBJECT, "null: not refused; otherwise this and no disks", .of = refusal },
	END
};
const struct api_field api_revert_row[] = {
	{ "disk", API_ID },
	{ "path", API_TEXT },
	{ "created", API_DATE },
	END
};

/* --- guests --- */

const struct api_field api_ping[] = { { "agent", API_TEXT, "answers" }, END };
static const struct api_field guest_address[] = {
	{ "interface", API_TEXT },
	{ "mac", API_TEXT },
	{ "address", API_TEXT },
	{ "prefix", API_NUMBER },
	END
};
const struct api_field api_guest_info[] = {
	{ "version", API_TEXT, "of the agent" },
	{ "hostname", API_TEXT },
	{ "os", API_TEXT },
	{ "kernel", API_TEXT },
	{ "arch", API_TEXT },
	{ "timezone", API_TEXT },
	{ "users", API_TEXTS, "logged in" },
	{ "addresses", API_LIST, .of = guest_address },
	END
};
const struct api_field api_exec[] = {
	{ "exit", API_NUMBER, "its exit status" },
	{ "signal", API_NUMBER, "or the signal that ended it" },
	{ "out-data", API_TEXT, "its standard output, as base64", .as = "out_base64" },
	{ "err-data", API_TEXT, "likewise its standard error", .as = "err_base64" },
	{ "truncated", API_FLAG, "the agent dropped some of it" },
	END
};
const struct api_field api_fs_row[] = {
	{ "mountpoint", API_TEXT },
	{ "type", API_TEXT },
	{ "device", API_TEXT },
	{ "size", API_BYTES },
	{ "used", API_BYTES },
	END
};
const struct api_field api_trim_row[] = {
	{ "path", API_TEXT },
	{ "bytes", API_BYTES, "discarded" },
	{ "error", API_TEXT },
	END
};
const struct api_field api_freeze[] = {
	{ "frozen", API_NUMBER, "how many file systems" },
	{ "seconds", API_SECONDS, "until they are thawed at the latest" },
	END
};
const struct api_field api_thaw[] = { { "thawed", API_NUMBER, "how many file systems" }, END };
const struct api_field api_time[] = {
	{ "time", API_DATE, "the guest's" },
	{ "skew", API_FRACTION, "seconds by which it is ahead of the host's" },
	END
};

/* --- jobs, networks --- */

const struct api_field api_job_row[] = {
	{ "job", API_NUMBER },
	{ "verb", API_TEXT },
	{ "name", API_TEXT },
	{ "percent", API_NUMBER },
	{ "text", API_TEXT },
	{ "age", API_SECONDS },
	{ "who", API_TEXT },
	END
};
const struct api_field api_network_row[] = {
	{ "name", API_ID },
	{ "state", API_TEXT },
	{ "mode", API_TEXT },
	{ "bridge", API_TEXT },
	{ "subnet", API_TEXT },
	{ "nics", API_NUMBER, "how many are attached" },
	{ "dnsmasq", API_NUMBER, "its pid" },
	{ "health", API_TEXT },
	END
};

static const struct api_field network_dhcp[] = {
	{ "first", API_TEXT },
	{ "last", API_TEXT },
	{ "lease_seconds", API_SECONDS, .head = "lease time" },
	{ "domain", API_TEXT },
	END
};
static const struct api_field network_dns[] = {
	{ "enabled", API_TRUTH },
	{ "forward", API_TEXTS },
	END
};
static const struct api_field network_nic[] = {
	{ "vm", API_ID },
	{ "nic", API_ID },
	{ "name", API_TEXT, "the guest's on this network", .as = "hostname" },
	{ "mac", API_TEXT },
	{ "address", API_TEXT },
	{ "tap", API_TEXT },
	{ "attached", API_TRUTH },
	{ "seen", API_TRUTH, "the guest has leased its address", .head = "leased" },
	END
};
const struct api_field api_network[] = {
	{ "name", API_ID },
	{ "state", API_TEXT },
	{ "health", API_TEXT },
	{ "mode", API_TEXT },
	{ "bridge", API_TEXT },
	{ "address", API_TEXT },
	{ "subnet", API_TEXT },
	{ "dhcp", API_OBJECT, .of = network_dhcp },
	{ "dns", API_OBJECT, .of = network_dns },
	{ "file", API_TEXT },
	{ "mtu", API_NUMBER },
	{ "mac", API_TEXT },
	{ "table", API_TEXT, "of the firewall" },
	{ "dnsmasq", API_NUMBER, "its pid" },
	{ "nics", API_LIST, .of = network_nic },
	END
};
const struct api_field api_lease_row[] = {
	{ "address", API_TEXT },
	{ "mac", API_TEXT },
	{ "vm", API_TEXT },
	{ "nic", API_TEXT },
	{ "name", API_TEXT, .as = "hostname" },
	{ "expires", API_DATE },
	{ "seen", API_TRUTH, "the guest has leased it", .head = "leased" },
	END
};
const struct api_field api_net_stop_dry[] = {
	{ "state", API_TEXT, "the current state" },
	{ "refused", API_OBJECT, "null: not refused", .of = refusal },
	END
};
const struct api_field api_net_stop_row[] = {
	{ "what", API_TEXT, "nic, lease, dnsmasq, rules, bridge or ip_forward" },
	{ "name", API_TEXT },
	{ "vm", API_TEXT },
	{ "nic", API_TEXT },
	{ "address", API_TEXT },
	END
};

/* --- stores --- */

const struct api_field api_store_row[] = {
	{ "name", API_ID },
	{ "type", API_TEXT, "dir or program" },
	{ "path", API_TEXT },
	{ "state", API_TEXT, "ok, read-only, missing, not mounted, not answering or failing" },
	{ "size", API_BYTES, "of its file system or pool" },
	{ "free", API_BYTES },
	{ "used", API_NUMBER, "percent", .head = "used %" },
	{ "images", API_NUMBER, "disks and CDs of VMs in it" },
	{ "trash", API_BYTES, "of deleted disks, in .trash" },
	{ "metadata", API_NUMBER, "of a thin pool, percent that is used", .head = "metadata %" },
	END
};

const struct api_field api_image_row[] = {
	{ "name", API_ID },
	{ "state", API_TEXT, "ready: in a store; available: image fetch or create --image fetches it; "
	  "unusable: its file in the catalogue has errors" },
	{ "store", API_TEXT },
	{ "size", API_BYTES, "of the disk that a guest sees" },
	{ "used", API_BYTES, "in its store" },
	{ "vms", API_TEXTS, "whose files name it" },
	{ "user", API_TEXT, "that it is made for, by the catalogue" },
	{ "url", API_TEXT, "that it comes from" },
	{ "digest", API_TEXT, "that it has" },
	{ "proof", API_TEXT, "whose word for the digest that is: digest, of who fetched it; catalogue; "
	  "signature, of the server's checksum file; https, that file without a signature" },
	{ "fetched", API_DATE },
	{ "description", API_TEXT, "by the catalogue, or what is wrong with its file" },
	END
};

const struct api_field api_fetched[] = {
	{ "image", API_TEXT },
	{ "store", API_TEXT },
	{ "changed", API_TRUTH, "false: it was there already" },
	END
};

const struct api_field api_image_gone[] = {
	{ "image", API_TEXT },
	{ "store", API_TEXT },
	{ "path", API_TEXT, "that it had" },
	{ "to", API_TEXT, "where it was moved" },
	END
};

const struct api_field api_pruned_row[] = {
	{ "path", API_ID, "of a file; or the store that could not be searched" },
	{ "freed", API_BYTES },
	{ "why", API_TEXT, "it could not be removed" },
	END
};

/* --- the host, the daemon --- */

const struct api_field api_host_row[] = {
	{ "check", API_TEXT },
	{ "verdict", API_TEXT, "PASS, WARN or FAIL" },
	{ "text", API_TEXT, "what was found" },
	{ "cure", API_TEXT },
	END
};
const struct api_field api_shutdown_row[] = {
	{ "name", API_ID },
	{ "result", API_TEXT, "stopped, killed or left" },
	{ "reason", API_TEXT },
	{ "seconds", API_SECONDS },
	END
};
const struct api_field api_shutdown_dry[] = {
	{ "budget", API_SECONDS },
	{ "sum", API_SECONDS, "for the longest chain of VMs; null: no limit" },
	{ "fits", API_TRUTH },
	{ "chain", API_TEXT },
	{ "networks", API_TEXTS, "that would go down" },
	END
};
const struct api_field api_shutdown_dry_row[] = {
	{ "step", API_NUMBER },
	{ "name", API_ID },
	{ "state", API_TEXT },
	{ "how", API_TEXT },
	{ "timeout", API_SECONDS, "its minimum; null: not waited for" },
	{ "stop_timeout", API_SECONDS, "its TimeoutStopSec=; null: no limit" },
	END
};
const struct api_field api_reexec[] = {
	{ "version", API_TEXT, "the successor's" },
	{ "pid", API_NUMBER, "unchanged" },
	END
};
const struct api_field api_version[] = {
	{ "package", API_TEXT, "the daemon's version" },
	{ "api", API_NUMBER, "number of this protocol" },
	{ "pid", API_NUMBER },
	{ "uptime", API_SECONDS },
	{ "config", API_TEXT, "the directory of its files" },
	END
};
const struct api_field api_loop[] = {
	{ "longest_turn", API_FRACTION, "seconds, without waiting for a CPU" },
	{ "longest_turn_elapsed", API_FRACTION, "seconds" },
	END
};
static const struct api_field client[] = {
	{ "package", API_TEXT },
	{ "api", API_NUMBER },
	END
};
const struct api_field api_versions[] = {
	{ "vmkeep", API_OBJECT, .of = client },
	{ "vmkeepd", API_OBJECT, "null: not reachable", .of = api_version },
	END
};
const struct api_field api_nothing[] = { END };

/* --- instead of a result --- */

const struct api_field api_job[] = { { "job", API_NUMBER, "its number, with --no-wait" }, END };
const struct api_field api_error[] = { { "error", API_OBJECT, .of = refusal }, END };
