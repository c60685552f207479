# SPDX-License-Identifier: MIT
"""Stores of Type=program: what a start asks of the program, what it may print, and that one that is missing, foreign,
slow or broken costs only the start of its own VM, with words that name it. The program here makes files, so that no
volume manager is needed; tests/system/test_stores_shipped.py has the programs that are installed."""
import errno
import json
import os
import re

import pytest

import vmk
from test_asks import typed
from test_create import OURS
from test_creators import ALICE

# Volumes are files; what was asked is in .asked, and .do replaces what a verb does.
PROGRAM = r"""#!/bin/sh
set -eu
cd "$2"
echo "$# $*" >>.asked
name=${5-}
[ ! -e ".do-$1" ] || { . "./.do-$1"; exit; }
case $1 in
path) [ -e "$name" ] || exit 3; echo "$2/$name" ;;
create) [ ! -e "$name" ] || { echo "$name exists" >&2; exit 4; }; truncate -s "$6" "$name" ;;
delete) [ -e "$name" ] || exit 3; rm "$name" ;;
usage) echo 1000000 400000 12 ;;
esac
"""
ROOT = "[VM]\nMemory=16M\nNetworks=none\n%s[Disk root]\nStore=fast\nPath=%s\n%s"


class Store:
    def __init__(self, world):
        self.world = world
        self.path = os.path.join(world.base, "fast")
        self.program = os.path.join(world.base, "bin", "volumes")
        for d in (self.path, os.path.dirname(self.program)):
            os.mkdir(world.inner(d), 0o700)
        self.write(self.program, PROGRAM, 0o755)
        self.conf()

    def write(self, path, text, mode=0o644):
        path = self.world.inner(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)

    def conf(self, more="Pool=p\n", program=None):
        self.world.write("vmkeep.conf", vmk.DEFAULTS + "[Store fast]\nType=program\nPath=%s\nProgram=%s\n%s" % (
            self.path, program or self.program, more))

    def do(self, verb, text):
        self.write(os.path.join(self.path, ".do-" + verb), text)

    def asked(self):
        path = os.path.join(self.path, ".asked")
        words = vmk.read_text(self.world.inner(path)).splitlines()
        os.unlink(self.world.inner(path))
        return words

    def volumes(self):
        return sorted(f for f in os.listdir(self.world.inner(self.path)) if f[0] != ".")

    def call(self, words):
        """As in .asked."""
        words = words.split()
        line = "%s %s p -- %s" % (words[0], self.path, " ".join(words[1:]))
        return "%d %s" % (4 + len(words) - 1, line)


@pytest.fixture
def store(daemon):
    return Store(daemon)


def vm(world, name="a", path="a-root", lines="Size=1M\n", more=""):
    world.write(name + ".vm", ROOT % (more, path, lines))


def refused(store, *words, code=1, class_of=None, name="a"):
    """The start of the VM fails, check says the same before, and nothing is made; what was said."""
    before = store.volumes()
    said = store.world.vmkeep("check", name)
    assert said.code == 2, said
    error = store.world.fails(code, "start", name)
    for text in (said.out, error):
        assert all(re.search(word, text, re.M) for word in words), (words, text)
    assert store.volumes() == before
    return error


def test_life(daemon, store):
    """Made by a start that somebody requests, told, used by QEMU, kept by its name, and found by the next daemon."""
    vm(daemon)
    assert daemon.ok("check", "a") == "no problems\n"
    assert store.asked() == [store.call("path a-root")] and store.volumes() == []
    assert daemon.ok("start", "a") == "a: disk root created, 1M\na: running\n"
    assert store.asked() == [store.call(c) for c in ("path a-root", "create a-root 1048576", "path a-root")]
    assert store.volumes() == ["a-root"]
    disk = daemon.info("a")["disks"][0]
    assert (disk["store"], disk["path"]) == ("fast", "a-root")
    daemon.ok("kill", "a")
    daemon.stop_daemon()
    daemon.start()
    assert daemon.ok("start", "a") == "a: running\n"
    assert store.asked() == [store.call("path a-root")]
    daemon.ok("kill", "a")


def test_never_twice(daemon, store):
    """One that was there and is gone is missing, and is not made again."""
    vm(daemon)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.unlink(daemon.inner(store.path + "/a-root"))
    refused(store, "disk 'root' created on .* is missing: store 'fast' has no 'a-root'", code=4)


def test_without_size(daemon, store):
    vm(daemon, lines="")
    refused(store, "disk 'root': store 'fast' has no volume 'a-root'", "or write Size= to have it created", code=4)


def test_not_at_boot(daemon, store):
    """check tells that the host's boot would not make it."""
    vm(daemon, more="Enable=yes\n")
    said = daemon.vmkeep("check", "a")
    assert "disk 'root' does not exist yet" in said.out and said.code == 0, said


# Each: what a verb of the program does, and the words of the start. %s: the path of the store.
BROKEN = [
    ("path", "exit 1", "volumes path a-root: it failed with status 1"),
    ("path", "echo 'the pool is \033[2J gone' >&2; echo 'no luck \033[2J' >&2; exit 1", r"path a-root: no luck \\x1b\[2J"),
    ("path", "printf 'a\\\\b' >&2; exit 1", r"path a-root: a\\b$"),
    ("path", "kill -9 $$", "path a-root: it was killed by signal 9"),
    ("path", "echo /etc/shadow", "it printed '/etc/shadow.*' in place of '%s/a-root'"),
    ("path", "echo \"$2/../fast/a-root\"", "in place of '%s/a-root'"),
    ("path", "echo \"$2/a-root\"; echo more", "in place of '%s/a-root'"),
    ("path", ":", "it printed '' in place of '%s/a-root'"),
    ("path", "head -c 1000 /dev/urandom", "in place of '%s/a-root'"),
    ("path", "yes | head -c 100000000", "in place of '%s/a-root'"),
]


@pytest.mark.parametrize("verb, text, words", BROKEN, ids=[b[1][:30] for b in BROKEN])
def test_broken(daemon, store, verb, text, words):
    daemon.micro("b", "deaf")
    vm(daemon)
    store.do(verb, text)
    refused(store, "disk 'root': store 'fast': ", words % store.path if "%s" in words else words)
    daemon.ok("start", "b")  # of another store


def elsewhere(store):
    store.write(store.world.base + "/theirs", "x" * 512)
    return store.world.base + "/theirs"


# Each: what is in the place of the volume, and the words.
OUTSIDE = [
    (lambda s, there: os.symlink(elsewhere(s), there), "%s/a-root is a symbolic link inside %s"),
    (lambda s, there: (s.write(s.path + "/b", "x" * 512), os.symlink("b", there)), "%s/a-root is a symbolic link inside %s"),
    (lambda s, there: os.link(s.world.inner(elsewhere(s)), there), "%s/a-root has 2 hard links"),
    (lambda s, there: os.symlink("/dev/null", there), "%s/a-root is a symbolic link inside"),
    (lambda s, there: os.mkdir(there), "%s/a-root is a directory"),
]


@pytest.mark.parametrize("make, words", OUTSIDE, ids=["a link out of it", "a link in it", "a second name", "a device", "a directory"])
def test_a_file_is_in_the_store(daemon, store, make, words):
    """Only a link to a block device may lead out of it, whatever the program says."""
    vm(daemon, lines="")
    store.do("path", 'echo "$2/$name"')  # it does not see all of the host itself
    make(store, daemon.inner(store.path + "/a-root"))
    refused(store, words.replace("%s", store.path), code=2)
    daemon.write("a.vm", vmk.read_text(os.path.join(daemon.config, "a.vm")).replace("[VM]\n", "[VM]\nTemplate=yes\n"))
    assert re.search(words.replace("%s", store.path), daemon.fails(2, "clone", "a", "b"))
    assert not os.path.exists(os.path.join(daemon.images, "b-root.raw"))


def test_create_fails(daemon, store):
    vm(daemon)
    store.do("create", "echo out of space >&2; exit 1")
    assert "store 'fast': volumes create a-root: out of space" in daemon.fails(1, "start", "a")


def test_create_of_one_that_exists(daemon, store):
    """Somebody else made it meanwhile: it is not taken for the VM's own by that start, and was not touched."""
    vm(daemon)
    store.do("create", "echo theirs >\"$name\"; echo \"$name exists\" >&2; exit 4")
    assert "create a-root: a-root exists" in daemon.fails(3, "start", "a")
    assert vmk.read_text(daemon.inner(store.path + "/a-root")) == "theirs\n"


def test_create_makes_nothing(daemon, store):
    """That it says so is not enough."""
    vm(daemon)
    store.do("create", ":")
    assert "path a-root: it failed with status 3" in daemon.fails(4, "start", "a")


def test_killed_while_it_creates(daemon, store):
    """The daemon dies between the volume and its record: the next start finds the volume by its name."""
    vm(daemon)
    store.do("create", "truncate -s \"$6\" \"$name\"; echo >.made; exec sleep 1000")
    daemon.vmkeep("start", "--no-wait", "a")
    daemon.eventually(lambda: os.path.exists(daemon.inner(store.path + "/.made")), bool)
    daemon.kill_daemon()
    daemon.start()
    os.unlink(daemon.inner(store.path + "/.do-create"))
    daemon.ok("start", "a")
    assert store.volumes() == ["a-root"]
    daemon.ok("kill", "a")


@pytest.mark.parametrize("how", ["sleep 1000", "kill -STOP $$", "exec yes", "exec yes >&2", "exec cat /dev/zero"])
def test_one_that_does_not_end(daemon, store, how):
    """It costs its own VM, whose start can be cancelled, even if it prints for ever; others go on."""
    daemon.micro("b", "deaf")
    vm(daemon)
    store.do("path", "echo $$ >.pid; " + how)
    daemon.vmkeep("start", "--no-wait", "a")
    daemon.eventually(lambda: os.path.exists(daemon.inner(store.path + "/.pid")), bool)
    daemon.ok("start", "b")
    daemon.ok("kill", "a")
    assert daemon.info("a")["state"] == "stopped"


@pytest.mark.parametrize("how", ["sleep 1000 &", "(sleep 1000 & sleep 1000) &", "trap '' HUP TERM; sleep 1000 >/dev/null 2>&1 &"])
def test_what_it_leaves_behind(daemon, store, how):
    """What its program started ends with it, whether it succeeds or fails."""
    vm(daemon)
    store.do("path", 'exec 9<.held\n%s\nsleep 1000 & [ -e "$name" ] || exit 3; echo "$2/$name"' % how)
    held = daemon.inner(store.path + "/.held")
    os.mkfifo(held)
    end = os.open(held, os.O_RDWR | os.O_CLOEXEC)  # so that it can be opened
    try:
        daemon.ok("start", "a")
    finally:
        os.close(end)
    # with the last reader, there is nobody to open it for writing
    daemon.eventually(lambda: nobody_reads(held), bool)
    daemon.ok("kill", "a")


def nobody_reads(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as e:
        return e.errno == errno.ENXIO
    return False


def ran(daemon, name="a", store=None, **how):  # pylint: disable=unused-argument
    vm(daemon, name, **how)
    daemon.ok("start", name)
    daemon.ok("kill", name)


def test_delete(daemon, store):
    """With --disks, at once and for good, which is said before it asks."""
    ran(daemon)
    there = store.path + "/a-root"
    assert daemon.ok("delete", "--dry-run", "--disks", "a") == "a: '%s' is removed for good: volumes have no trash\n" % there
    code, text = typed(daemon, b"n\n", "delete", "--disks", "a")
    assert code == 1 and "is removed for good" in text, text
    assert daemon.ok("delete", "--dry-run", "a") == "a: '%s' stays\n" % there
    assert store.volumes() == ["a-root"]
    store.asked()
    assert "a: '%s' was removed for good" % there in daemon.ok("delete", "--yes", "--disks", "a").splitlines()
    assert store.volumes() == [] and store.asked() == [store.call("delete a-root")]


def other(daemon, store):
    vm(daemon, "b", lines="")


def by_its_path(daemon, store):
    daemon.write("b.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s/a-root\nFormat=raw\n" % store.path)


# Each: what is done to a VM that ran, and why its volume stays.
KEPT = [
    (other, "VM 'b' uses it"),
    (by_its_path, "VM 'b' uses it"),
    (lambda d, s: d.ok("set", "a", "Disk.root.ReadOnly=yes"), "this VM only reads it"),
    (lambda d, s: d.ok("set", "a", "Disk.root.Path=theirs"), "this VM never ran with it"),
    (lambda d, s: os.unlink(d.inner(s.path + "/a-root")), "it cannot be looked at: No such file or directory"),
    (lambda d, s: s.do("delete", "echo 'it has \033[2J snapshots' >&2; exit 1"), r"volumes delete a-root: it has \x1b[2J snapshots"),
    (lambda d, s: s.do("delete", "exit 3"), "volumes delete a-root: it failed with status 3"),
    (lambda d, s: s.do("delete", "kill -9 $$"), "volumes delete a-root: it was killed by signal 9"),
    (lambda d, s: os.unlink(d.inner(s.program)), "run '%s': No such file or directory"),
]


@pytest.mark.parametrize("change, why", KEPT, ids=[k[1][-30:] for k in KEPT])
def test_what_is_not_deleted(daemon, store, change, why):
    """The VM is gone all the same, as with an image that cannot be moved."""
    ran(daemon)
    store.write(os.path.join(store.path, "theirs"), "x" * 512)
    change(daemon, store)
    before = store.volumes()
    said = daemon.ok("delete", "--yes", "--disks", "a")
    assert "stays: " in said and (why % store.program if "%s" in why else why) in said, said
    assert store.volumes() == before and "a" not in daemon.states()


def test_killed_while_it_deletes(daemon, store):
    """The volume may be gone then: its VM is not, and can be deleted again."""
    ran(daemon)
    store.do("delete", 'rm "$name"; exec sleep 1000')
    daemon.vmkeep("delete", "--no-wait", "--yes", "--disks", "a")
    daemon.eventually(store.volumes, lambda volumes: volumes == [])
    daemon.kill_daemon()
    daemon.start()
    assert "a" not in daemon.states() or daemon.states()["a"] == "stopped"


def test_create(daemon, store):
    """A volume is called NAME-ID without Path=, and keeps that name when its VM gets another."""
    daemon.ok("create", "a", "--memory", "16M", "--disk", "store=fast,size=1M", "--start", *OURS)
    assert store.volumes() == ["a-root"]
    assert daemon.info("a")["disks"][0]["path"] == "a-root"
    daemon.ok("kill", "a")
    daemon.ok("rename", "a", "b")
    daemon.ok("start", "b")
    assert store.volumes() == ["a-root"]
    daemon.ok("kill", "b")
    daemon.ok("delete", "--yes", "--disks", "b")
    assert store.volumes() == []


def test_clone(daemon, store):
    """The copy of a volume is an image in the default store; nothing is based on one."""
    for lines, path in (("Size=1M\n", "a-root"), ("Size=1M\n", "other")):
        ran(daemon, path=path, lines=lines)
        daemon.ok("set", "a", "VM.Template=yes")
        said = daemon.fails(3, "clone", "a", "b", "--linked")
        assert "disk 'root' is a volume: no disk can be based on it" in said and "vmkeep clone a NEW copies it" in said
        daemon.ok("clone", "a", "b")
        image = os.path.join(daemon.images, "b-root.raw")
        assert os.path.getsize(image) == 1 << 20 and "b-root" not in store.volumes()
        daemon.ok("start", "b")
        daemon.ok("kill", "b")
        daemon.ok("delete", "--yes", "--disks", "b")
        daemon.ok("delete", "--yes", "--disks", "a")


def test_a_volume_counts_until_it_is_removed(daemon, store):
    """There is no trash for it."""
    store.conf("Pool=p\n[Quota alice]\nDisk=2M\n")
    daemon.ok("create", "a", "--memory", "16M", "--disk", "store=fast,size=2M", "--start", "VM.Owner=alice", *OURS)
    daemon.ok("kill", "a")
    new = ["create", "b", "--disk", "2M", "--dry-run", *OURS]
    assert "Disk=2M in [Quota alice]" in daemon.fails(11, *new, **ALICE)
    daemon.ok("delete", "--yes", "--disks", "a", **ALICE)
    assert store.volumes() == []
    daemon.ok(*new, **ALICE)


def test_no_snapshots(daemon, store):
    """Whether it runs or not, with words that name the store."""
    ran(daemon)
    for _ in range(2):
        said = daemon.fails(2, "snapshot", "create", "a", "s")
        assert "disk 'root' is a volume of store 'fast': there are no snapshots of volumes" in said
        assert daemon.rows("snapshot", "list", "a") == []
        daemon.ok("start", "a")
    daemon.ok("kill", "a")


# The program itself: what is done to it, and the words.
FILES = [
    (lambda p: os.unlink(p), "run '%s': No such file or directory", 4),
    (lambda p: os.chmod(p, 0o644), "run '%s': it is not executable", 2),
    (lambda p: os.chmod(p, 0o777), "run '%s': it is writable by users other than root", 2),
    (lambda p: os.chown(p, 4711, 4711), "run '%s': it is not owned by root", 2),
    (lambda p: os.chmod(os.path.dirname(p), 0o777), "run '%s': its directory is writable by users other than root", 2),
]


@pytest.mark.parametrize("change, words, code", FILES, ids=[f[1] for f in FILES])
def test_program_itself(daemon, store, change, words, code):
    vm(daemon)
    change(daemon.inner(store.program))
    refused(store, "store 'fast': volumes path a-root: " + words % store.program, code=code)


def test_what_it_may(daemon, store):
    """Root, but without the rights that would lead out of its own root, network and mounts."""
    vm(daemon)
    store.do("path", r"""
        {
        id -u; grep CapEff /proc/self/status; grep -c . /proc/net/dev; cat /etc/shadow; ls "$HOME"
        mount -t tmpfs none /sys; echo 1 >/proc/self/oom_score_adj; touch /usr/x; unshare -m true; /usr/sbin/chroot / true
        ls /home /root
        } >.seen 2>&1 || :
        echo "$2/$name"; : >"$name" """)
    daemon.vmkeep("check", "a")
    seen = vmk.read_text(daemon.inner(store.path + "/.seen"))
    assert seen.startswith("0\nCapEff:\t000000000")
    for word in ("shadow: No such file", "oom_score_adj: Read-only file system", "touch.*Read-only", "unshare.*not permitted",
                 "mount.*(denied|not permitted|must be superuser)", "chroot.*not permitted", "/root.*No such file"):
        assert re.search(word, seen), word + "\n" + seen


def test_store_list(daemon, store):
    assert daemon.json("store", "list")[1] == {
        "name": "fast", "type": "program", "path": store.path, "state": "ok", "size": 1000000, "free": 400000, "used": 60,
        "images": 0, "trash": None, "metadata": 12}
    assert store.asked() == ["4 usage %s p --" % store.path]
    for text in ("exit 1", "echo x", "echo 1 2", "echo 100 50 101", "echo 100 50 -1", "echo 100 50 1 2", "echo 0 0", "echo -1 5", "echo 100 50 4294967296",
                 "echo 18446744073709551615 5", "echo 99999999999999999999 5", "echo 100 +50", "echo 100 50 1x", "printf '100\\00050'"):
        store.do("usage", text)
        row = daemon.json("store", "list")[1]
        assert (row["state"], row["size"], row["metadata"]) == ("failing", None, None), text


def host(daemon):
    rows = json.loads(daemon.vmkeep("--json", "host", "check").out)
    return [r for r in rows if r["check"] == "store fast"][0]


def test_host_check(daemon, store):
    for text, verdict in (("echo 100 16 84", "PASS"), ("echo 100 15", "WARN"), ("echo 100 90 85", "WARN"), ("exit 1", "WARN")):
        store.do("usage", text)
        assert host(daemon)["verdict"] == verdict, text


CONF = [
    ("Type=program\nPath=/dev/v\n", "Program: missing in"),
    ("Type=program\nPath=/dev/v\nProgram=zfs\nRequireMount=yes\n", "RequireMount: has no effect with Type=program"),
    ("Path=/dev/v\nProgram=zfs\n", "Program: needs Type=program"),
    ("Path=/dev/v\nPool=zfs\n", "Pool: needs Type=program"),
    ("Type=program\nPath=/dev/v\nProgram=a/b\n", "is not lvmthin, zfs or an absolute path"),
    ("Type=program\nPath=/dev/v\nProgram=zfs\nPool=-x\n", "Pool: '-x' is not"),
]


@pytest.mark.parametrize("text, words", CONF)
def test_configuration(daemon, text, words):
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Store fast]\n" + text)
    assert words in daemon.vmkeep("check").out


NAMES = ["a/b", "-a", "a b", "a;b", "a+b", "a@b", "a" * 101]


@pytest.mark.parametrize("name", NAMES)
def test_names(daemon, store, name):
    vm(daemon, path=name)
    assert "store 'fast' has volumes: name one" in daemon.vmkeep("check", "a").out
    assert not os.path.exists(daemon.inner(store.path + "/.asked"))
