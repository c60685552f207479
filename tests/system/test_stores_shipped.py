# SPDX-License-Identifier: MIT
"""The programs of stores that are installed, lvmthin and zfs: all nine verbs, which commands each runs, and what it prints.

lvs, zfs and the others are a script here that notes its arguments and prints what the true one would, in the format of
lvs(8) and zfs-list(8); that of lvs is as seen on a true thin pool, which tests/service/release has."""
import os
import subprocess

import pytest

import vmk

STORES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "stores")
# LIST: field NAME=VALUE of the volumes, one a line, for lvs; names, one a line, for zfs.
FAKE = r"""#!/bin/sh
name=${0##*/}
echo "$name" "$@" >>"$FAKE/calls"
[ ! -e "$FAKE/fails-$name" ] || { cat "$FAKE/fails-$name" >&2; [ "$name" != lvcreate ] || exit 3; exit 5; }
case $name in
lvs)
	field= filter=
	while [ $# -gt 0 ]; do
		case $1 in
		-o) field=$2; shift ;;
		-S) filter=$2; shift ;;
		esac
		shift
	done
	case $field in
	lv_size,data_percent,metadata_percent) echo "  107374182400 12.34 5.67 " ;;
	*)
		while read -r volume size active open; do
			case $filter in
			*'lv_name="'"$volume"'"'*) ;;
			*'lv_name=~'*) case $volume in *+*) ;; *) continue ;; esac ;;
			*lv_name=*) continue ;;
			esac
			case $field in
			lv_name) echo "  $volume" ;;
			lv_size) echo "  $size" ;;
			lv_active) echo "  $active" ;;
			lv_device_open) echo "  $open" ;;
			esac
		done <"$FAKE/volumes"
		;;
	esac
	;;
zfs)
	case "$*" in
	list*) cat "$FAKE/volumes" ;;
	get*volsize*) echo 1073741824 ;;
	*used*) echo 600 ;;
	*available*) echo 400 ;;
	esac
	;;
esac
"""
CONFIG = "--config activation{monitoring=0} --yes"
LVM = "web1-root 1073741824 active\nweb1-root+before 1073741824\nbusy 1073741824 active open\nbusy+s 1\nasleep 1\n"
LVM_CUT = "a 1 active\na+s+kept 1\n"  # a revert was cut off after its merge
ZFS = "tank/vms/web1-root\ntank/vms/web1-root@before\ntank/vms@daily\ntank/vms/sub/x\n"

# Each: program, volumes, the call, status, what it prints, the commands that change something.
CASES = [
    ("lvmthin", LVM, "path web1-root", 0, "/dev/vg0/web1-root\n", []),
    ("lvmthin", LVM, "path root", 3, "", []),
    ("lvmthin", LVM, "path asleep", 1, "", []),
    ("lvmthin", LVM, "create new 4294967296", 0, "", ["lvcreate %s -V 4294967296b -T vg0/thin -n new" % CONFIG]),
    ("lvmthin", LVM, "create web1-root 4294967296", 4, "", []),
    ("lvmthin", LVM, "delete asleep", 1, "", []),
    ("lvmthin", LVM_CUT.replace("a+s+kept", "b"), "delete a", 0, "", ["lvremove %s vg0/a" % CONFIG]),
    ("lvmthin", LVM, "delete none", 3, "", []),
    ("lvmthin", LVM, "grow web1-root 2147483648", 0, "", ["lvextend %s -L 2147483648b vg0/web1-root" % CONFIG]),
    ("lvmthin", LVM, "grow web1-root 1073741824", 0, "", []),
    ("lvmthin", LVM, "grow web1-root 512", 0, "", []),
    ("lvmthin", LVM, "list", 0, "web1-root\nweb1-root@before\nbusy\nbusy@s\nasleep\n", []),
    ("lvmthin", "", "list", 0, "", []),
    ("lvmthin", LVM, "snapshot web1-root after", 0, "", ["lvcreate %s --type thin -n web1-root+after vg0/web1-root" % CONFIG]),
    ("lvmthin", LVM, "snapshot web1-root before", 4, "", []),
    ("lvmthin", LVM, "revert web1-root before", 0, "", [
        "lvcreate %s --type thin -n web1-root+before+kept vg0/web1-root+before" % CONFIG,
        "lvconvert %s --merge vg0/web1-root+before" % CONFIG,
        "lvrename %s vg0 web1-root+before+kept web1-root+before" % CONFIG]),
    ("lvmthin", LVM, "revert web1-root none", 3, "", []),
    ("lvmthin", LVM, "revert busy s", 1, "", []),
    ("lvmthin", LVM_CUT, "revert a s", 3, "", ["lvrename %s vg0 a+s+kept a+s" % CONFIG]),
    ("lvmthin", LVM, "drop web1-root before", 0, "", ["lvremove %s vg0/web1-root+before" % CONFIG]),
    ("lvmthin", LVM, "drop web1-root none", 3, "", []),
    ("lvmthin", LVM, "usage", 0, "107374182400 94124206188 5\n", []),
    ("lvmthin", LVM, "dance", 2, "", []),
    ("zfs", ZFS, "path web1-root", 0, "/dev/zvol/tank/vms/web1-root\n", []),
    ("zfs", ZFS, "path none", 3, "", []),
    ("zfs", ZFS, "path web1", 3, "", []),
    ("zfs", ZFS, "create new 4294967297", 0, "", ["zfs create -s -V 4296015872 tank/vms/new"]),
    ("zfs", ZFS, "create web1-root 4294967296", 4, "", []),
    ("zfs", ZFS, "delete web1-root", 0, "", ["zfs destroy tank/vms/web1-root"]),
    ("zfs", ZFS, "delete x", 3, "", []),
    ("zfs", ZFS, "grow web1-root 1073741825", 0, "", ["zfs set volsize=1074790400 tank/vms/web1-root"]),
    ("zfs", ZFS, "grow web1-root 1", 0, "", []),
    ("zfs", ZFS, "list", 0, "web1-root\nweb1-root@before\n", []),
    ("zfs", "", "list", 0, "", []),
    ("zfs", ZFS, "snapshot web1-root after", 0, "", ["zfs snapshot tank/vms/web1-root@after"]),
    ("zfs", ZFS, "snapshot web1-root before", 4, "", []),
    ("zfs", ZFS, "revert web1-root before", 0, "", ["zfs rollback tank/vms/web1-root@before"]),
    ("zfs", ZFS, "revert web1-root none", 3, "", []),
    ("zfs", ZFS, "drop web1-root before", 0, "", ["zfs destroy tank/vms/web1-root@before"]),
    ("zfs", ZFS, "drop web1-root none", 3, "", []),
    ("zfs", ZFS, "usage", 0, "1000 400\n", []),
    ("zfs", ZFS, "dance", 2, "", []),
]
PATHS = {"lvmthin": ("/dev/vg0", "thin"), "zfs": ("/dev/zvol/tank/vms", "")}


def run(where, program, volumes, words):
    """The program with its commands replaced; what it ended with, and the commands that are no questions."""
    for name in ("lvs", "lvcreate", "lvremove", "lvextend", "lvconvert", "lvrename", "zfs"):
        path = os.path.join(where, name)
        if not os.path.exists(path):
            with open(path, "w", encoding="utf-8") as f:
                f.write(FAKE)
            os.chmod(path, 0o755)
    with open(os.path.join(where, "volumes"), "w", encoding="utf-8") as f:
        f.write(volumes)
    # no udev makes the links that create waits for
    sleep = os.path.join(where, "sleep")
    if not os.path.exists(sleep):
        os.symlink("/bin/true", sleep)
    verb, *names = words.split()
    done = subprocess.run([os.path.join(STORES, program), verb, *PATHS[program], "--", *names], capture_output=True, text=True,
                          check=False, env={"PATH": where + ":/usr/bin:/bin", "FAKE": str(where)})
    calls = vmk.read_text(os.path.join(where, "calls")).splitlines() if os.path.exists(os.path.join(where, "calls")) else []
    return done, [c for c in calls if not c.startswith(("lvs ", "zfs list ", "zfs get "))]


@pytest.mark.parametrize("program, volumes, words, status, out, calls", CASES, ids=["%s %s" % (c[0], c[2]) for c in CASES])
def test_calls(tmp_path, program, volumes, words, status, out, calls):
    done, changes = run(str(tmp_path), program, volumes, words)
    assert (done.returncode, done.stdout, changes) == (status, out, calls), done
    assert bool(done.stderr) == (status != 0), done


FAILS = [("lvmthin", "lvs", '  Volume group "vg0" not found', ("path a", "create a 512", "list", "usage", "delete a")),
         ("zfs", "zfs", "cannot open 'tank/vms': dataset does not exist", ("path a", "create a 512", "usage", "delete a"))]


@pytest.mark.parametrize("program, command, said, verbs", FAILS)
def test_failing_pool(tmp_path, program, command, said, verbs):
    """A pool that is gone is no pool without volumes: its error is passed on, and nothing is done."""
    (tmp_path / ("fails-" + command)).write_text(said + "\n", encoding="utf-8")
    for words in verbs:
        done, changes = run(str(tmp_path), program, "", words)
        assert done.returncode not in (0, 3, 4) and said in done.stderr and not [c for c in changes if "destroy" in c], (words, done)
        assert not [c for c in changes if "create" in c], (words, changes)


def test_status_of_lvm(tmp_path):
    """3 is ours for what does not exist; LVM ends with it when it refuses a command, as without a target in the kernel."""
    (tmp_path / "fails-lvcreate").write_text("  Required device-mapper target(s) not detected in your kernel.\n", encoding="utf-8")
    for words in ("create new 512", "snapshot web1-root after"):
        done, _ = run(str(tmp_path), "lvmthin", LVM, words)
        assert done.returncode == 1 and "not detected" in done.stderr, (words, done)
