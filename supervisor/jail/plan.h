/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/plan.h - what the daemon asks of vmkeep-jail, and what comes back
 *
 * The daemon spawns `vmkeep-jail NAME` with descriptor 3: one end of a stream socketpair. On it
 * goes one JSON object (the plan), newline terminated; the descriptors for QEMU travel with its
 * first byte (SCM_RIGHTS, at most 250) in the order of "fds". Then the daemon only waits:
 *
 *   {"error": {"class": "Conflict", "desc": "...", "hint": "...", "step": "locks"}}\n
 *                                          a step failed; exit status 1
 *   {"kept": {"disks": [{"id": "root", "created": 1795401793}], "seen": 1795401793}}\n
 *                                          the identity is safely on disk; only disks just created; the
 *                                          time at which all disks were seen
 *   {"prepared": {}}\n                      all done, exec comes next
 *   EOF after "prepared"                   exec happened (CLOEXEC)
 *   an error line after "prepared"         exec failed after all
 *
 * A program that only helps (role "tool", "probe", "dnsmasq") has on 1 and 2 what vmkeep-jail was started with.
 *
 * With "check" nothing is made and nothing executed: each file is looked at as far as the first thing
 * wrong with it, and all of that comes back, one line each, as it is found; exit status 0:
 *
 *   {"looking": "disk 'root': /nfs/a.img"}\n   what takes so long, if it does
 *   {"problem": {"severity": "error", "class", "desc", "hint", "step", "id"}}\n
 *   {"growth": {"file": 0, "dev": 1, "grows": bytes, "room": bytes}}\n   with "space", in place of problems:
 *                                          what a file may still grow by, and its file system has left
 *   {"checked": {}}\n                        all was looked at
 *
 * Plan, version 1:
 *   version 1, name, uid (gid is the same number), argv [..], fds [numbers in QEMU, 2 is stderr] (no
 *   directory; of sockets local streams only, but for those that work on the network),
 *   role: "qemu" (the default), "tool" (qemu-img: limits to time, memory and what it may write),
 *         "dnsmasq" (the host's network, and two capabilities for it),
 *         "probe" (a QEMU without a guest, with our standard input),
 *         "relay" (vmkeep-jail's own relay.c: fds 0, 1 and 2 as in relay.h, no argv; it leaves a process of
 *         its own behind and ends),
 *   root: directory where the private root is mounted (exists, root's own; the host does not see it),
 *   image_dir: for paths with beneath,
 *   kvm: bool (device node wanted), oom_score_adj: int,
 *   check: bool, space: bool, running: bool (others, its own QEMU above all, may hold its files),
 *   qemu: pid (with running: its own QEMU, whose files may be others by now),
 *   io_uring: bool (a disk with AIO=io_uring: the filter lets these calls through),
 *   modules: "/var/run/qemu/VERSION" (QEMU looks there first for what it loads as it runs: once its package
 *            was upgraded, what lies in /usr is another version's, and makes it abort),
 *   hugepages/other device nodes: "dev": ["/dev/..."] (block devices are made from "files"),
 *   may_create: bool (a person wants it: images are made for "create", else they are missed; of a check:
 *           nothing is told of them),
 *   identity: {dir: where identity.json stands, changed: bool, document: what it is to hold}: written
 *           when it has changed, or an image was made or first seen on this day, which the document's
 *           disks and images then tell; images that are written are marked with its uuid,
 *           fresh: bool (this VM never ran, as far as is known, and no UUID= says who it is: a disk that
 *           is marked as that of an unknown VM is refused),
 *           damaged: "identity.json.damaged-TIME" (with fresh: what is left of its identity; refused),
 *           vanished: [names of VMs whose file is gone], former: [names that this VM had]: a disk of theirs
 *           that is there is not passed over for a new one under this VM's name,
 *   group: {unit: "vmkeep-web1.scope" or "" without systemd, dirs: [directories to make and enter where
 *           systemd cannot be reached], cpu_quota: percent, cpu_weight, io_weight, tasks_max,
 *           memory_max: bytes; 0 is no limit},
 *   paths: [{path, write: bool, optional: bool}] (directories, files and sockets of the daemon's own or
 *          the system's, shown as they stand),
 *   files: [{kind: disk|base|cdrom|kernel|firmware|nvram, what, id, path,
 *            beneath: bool, write: bool, has_base: bool,
 *            format: raw|qcow2|"",
 *            format_written: bool (by the operator: raw is meant even where qcow2 is found),
 *            create: bytes, created: "2026-11-23" or "",
 *            seen: "2026-11-23" or "" (a start of this VM found it: it is never made)}]
 *
 * Defaults: false, 0, "", []. Unknown members are refused. Paths, argv[0] among them, are
 * absolute and hold no "." and no "..".
 */
#ifndef SUPERVISOR_JAIL_PLAN_H
#define SUPERVISOR_JAIL_PLAN_H

enum { PLAN_VERSION = 1, PLAN_FD = 3, PLAN_MAX = 1 << 20, PLAN_FDS_MAX = 250 };

#endif
