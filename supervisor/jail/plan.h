/* SPDX-License-Identifier: MIT */
/*
 * supervisor/jail/plan.h - the protocol between the daemon and vmkeep-jail
 *
 * The daemon spawns `vmkeep-jail NAME` with fd 3: one end of a stream socketpair. It sends one JSON
 * object (the plan), terminated by a newline; the fds for QEMU travel with the first byte
 * (SCM_RIGHTS, at most 250) in the order of "fds". Then the daemon only waits:
 *
 *   {"error": {"class": "Conflict", "desc": "...", "hint": "...", "step": "locks",
 *             "stays": false}}\n            a step failed; exit status 1. stays: the error does
 *                                          not pass until somebody acts, whatever its class
 *   {"kept": {"disks": [{"id": "root", "created": 1795401793}], "seen": 1795401793,
 *             "bases": [...]}}\n            the identity is safely on disk; lists only disks just
 *                                          created, when all disks were seen, and its bases
 *   {"prepared": {}}\n                      all done, exec comes next
 *   EOF after "prepared"                   exec succeeded (CLOEXEC)
 *   an error line after "prepared"         exec failed after all
 *
 * Roles "enter" and "leave" change the private root of a guest that runs, and execute nothing:
 *
 *   {"entered": {"locks": [0, 2]}}\n       the guest sees the files. With this line come descriptors
 *                                          that hold locks on files (their index), as long as anyone
 *                                          has them open. Unless the daemon then sends
 *                                          PLAN_ENTER_KEEP, the files are taken out again
 *   {"prepared": {}}\n                     follows; of "leave", it is all
 *
 * Helper programs (roles "tool", "seed", "store", "probe", "dnsmasq") inherit fds 1 and 2 from
 * vmkeep-jail.
 *
 * With a file that is a "copy", a second process answers too. When the program has succeeded, the
 * daemon sends PLAN_COPY_PLACE, and afterwards may send PLAN_COPY_DROP; shutting down or closing its
 * end keeps what has its name, and removes what does not.
 *
 *   {"progress": 12}\n                      percent of the program's work
 *   {"placed": {}}\n                        the image has its name
 *   EOF                                    it is over
 *
 * With "check", nothing is created or executed. Each file is inspected up to its first problem, and
 * all findings are reported as they are found, one line each; exit status 0:
 *
 *   {"looking": "disk 'root': /nfs/a.img"}\n   about to inspect this (it may take long)
 *   {"problem": {"severity": "error", "class", "desc", "hint", "step", "id", "key"}}\n
 *                                          of a key that applies once also "has": what the file
 *                                          has instead
 *   {"base": {"path": "/a.img", "format": "qcow2", ...}}\n
 *                                          what a base is, as in the identity
 *   {"growth": {"file": 0, "dev": 1, "grows": bytes, "room": bytes}}\n
 *                                          with "space", instead of problems: how much a file may
 *                                          still grow, and the free space on its file system
 *   {"checked": {}}\n                        everything was inspected
 *
 * Plan, version 1:
 *   version 1, name, uid (gid is the same number), argv [..], fds [numbers in QEMU, 2 is stderr]
 *   (no directories; only local stream sockets, unless the role works on the network),
 *   role: "qemu" (the default), "tool" (qemu-img: limits on time, memory and file size),
 *         "copy" (qemu-img filling a new image),
 *         "dnsmasq" (the host's network, and two capabilities for it),
 *         "seed" (xorriso, likewise; its output is fd 1 of the plan),
 *         "store" (the program of a store with volumes, as root: uid 0, and paths with /dev),
 *         "probe" (a QEMU without a guest, with our standard input),
 *         "fetch" (curl: the host's network),
 *         "relay" (vmkeep-jail's own relay.c: fds 0, 1 and 2 as in relay.h, no argv; leaves a
 *         background process and exits),
 *         "enter" (no argv; the first descriptor is a guest's mount namespace: shows it "files"),
 *         "leave" (likewise: takes "files" out again, of which only the path counts; what is not
 *         there is fine),
 *   root: directory where the private root is mounted (must exist and belong to root; the mount
 *         is not visible on the host),
 *   kvm: bool (device node needed), oom_score_adj: int,
 *   check: bool, space: bool, running: bool (the VM's own QEMU or others may hold its files),
 *   qemu: pid (with running: its own QEMU, which may still have earlier files open),
 *   io_uring: bool (a disk has AIO=io_uring: the seccomp filter allows these calls),
 *   modules: "/var/run/qemu/VERSION" (QEMU looks here first for modules to load at run time: after
 *            a package upgrade, those in /usr belong to another version and make it abort),
 *   hugepages/other device nodes: "dev": ["/dev/..."] (block devices are taken from "files"),
 *   may_create: bool (a person requested this: images with "create" are created, else they are
 *           reported as missing; in a check: suppresses that warning),
 *   identity: {dir: where identity.json lives, changed: bool, document: its new content}: written
 *           if it changed, or if an image was created or first seen today, which is then recorded
 *           in the document's disks and images; writable images are marked with its uuid,
 *           fresh: bool (this VM never ran, as far as we know, and has no UUID=: a disk marked as
 *           that of an unknown VM is refused),
 *           damaged: "identity.json.damaged-TIME" (with fresh: what is left of its identity;
 *           refused),
 *           vanished: [names of VMs whose file is gone], former: [earlier names of this VM]: an
 *           existing disk of theirs is not ignored in favor of creating a new one,
 *   group: {unit: "vmkeep-web1.scope" or "" without systemd, dirs: [directories to create and
 *           enter if systemd cannot be reached], cpu_quota: percent, cpu_weight, io_weight,
 *           tasks_max, memory_max: bytes; 0 is no limit},
 *   paths: [{path, write: bool, optional: bool}] (directories, files and sockets of the daemon or
 *          the system, bind-mounted unchanged),
 *   files: [{kind: disk|base|cdrom|kernel|firmware|nvram, what, id, path,
 *            beneath: directory that it must be in (its store's), or none,
 *            mounted: bool (that directory must be a mount point),
 *            volume_of: directory of the store that it is a volume of: a block device wherever that
 *            is, or a file beneath the directory,
 *            write: bool, has_base: bool,
 *            format: raw|qcow2|"",
 *            format_written: bool (set by the operator: use raw even if the content is qcow2),
 *            direct: bool (QEMU opens it with O_DIRECT),
 *            create: bytes, created: "2026-11-23" or "",
 *            seen: "2026-11-23" or "" (an earlier start found it: it is never created again),
 *            copy: bool (with write and beneath: is created under a temporary name, for the program
 *            to fill; see copy.c),
 *            new_volume: bool (made for this start: the identity is to record it),
 *            of a base, which follows the image that it is for:
 *            format: "" at its first use: what the header of that image states, else
 *            by_name: raw|qcow2|"" (what its name says),
 *            known: {stated, size, mtime} (what that header stated at the first use, and how it
 *            was at the last start)}]
 *
 * Defaults: false, 0, "", []. Unknown members are rejected. All paths, including argv[0], are
 * absolute and contain neither "." nor "..".
 */
#ifndef SUPERVISOR_JAIL_PLAN_H
#define SUPERVISOR_JAIL_PLAN_H

/* What the daemon says to the keeper of a "copy". */
#define PLAN_COPY_PLACE 'p'
#define PLAN_COPY_DROP	'd'

/* What it says when QEMU uses what has been brought in. */
#define PLAN_ENTER_KEEP 'k'

enum { PLAN_VERSION = 1, PLAN_FD = 3, PLAN_MAX = 1 << 20, PLAN_FDS_MAX = 250 };

#endif
