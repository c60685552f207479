# SPDX-License-Identifier: MIT
"""`set` and `unset` change only the line in force. An invalid change, one that the caller may not make, and one to a
file that has changed since it was read are refused and leave the files alone. Wherever vmkeepd or its child is killed,
each file is the old one or the new one."""
import json
import os
import signal
import subprocess
import threading

import pytest

import vmk
from steps import SOURCE, Steps
from test_dry_runs import unchanged
from walk import walk

FILE = """# web1, for the shop
[VM]
Memory=16M  
  Networks = none

# the disk
[Disk root]
Path=a.raw
"""


def path(world, name="a.vm"):
    return os.path.join(world.config, name)


def text(world, name="a.vm"):
    return vmk.read_text(path(world, name))


def shop(world, more=""):
    world.image("a.raw")
    world.write("a.vm", FILE + more)


def leftovers(world):
    return [name for name in os.listdir(world.config) if name.startswith(".")]


# --- changes


def test_one_line_changes(daemon):
    shop(daemon)
    os.chmod(path(daemon), 0o640)
    assert daemon.ok("set", "a", "VM.Memory=32M") == "a: %s:3: Memory=32M (was 16M)\n" % path(daemon)
    assert text(daemon) == FILE.replace("Memory=16M  ", "Memory=32M")
    assert os.stat(path(daemon)).st_mode & 0o777 == 0o640
    assert "Memory=32M" in daemon.ok("cat", "a", "--effective")
    assert daemon.ok("set", "a", "VM.Memory=32M") == "a: %s:3: Memory=32M already\n" % path(daemon)
    assert daemon.json("set", "a", "VM.CPUs=2", "NIC.lan.Link=down") == [
        {"vm": "a", "file": path(daemon), "line": 5, "section": "VM", "id": None, "key": "CPUs", "change": "added",
         "value": "2", "was": "1", "section_added": False, "applies": None, "conflict": None},
        {"vm": "a", "file": path(daemon), "line": 12, "section": "NIC", "id": "lan", "key": "Link", "change": "added",
         "value": "down", "was": "up", "section_added": True, "applies": None, "conflict": None}]
    assert text(daemon).endswith("Path=a.raw\n\n[NIC lan]\nLink=down\n")
    assert daemon.ok("unset", "a", "VM.CPUs", "VM.Machine") == (
        "a: %s:5: CPUs removed (was 2); now 1\na: [VM] Machine=q35 already\n" % path(daemon))
    assert daemon.ok("set", "a", "VM.Owner+=alice,bob", "VM.Owner-=bob").splitlines()[-1].endswith(
        "Owner=alice (was alice, bob); applies now")
    assert leftovers(daemon) == []


def test_tags(daemon):
    """Words that are shown, also of a VM that runs and has not been restarted."""
    daemon.image("a.raw")
    daemon.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n[NIC lan]\n")
    assert daemon.ok("set", "a", "NIC.lan.Address=10.0.0.7", "VM.Tags+=web") == (
        "a: %s:7: Address=10.0.0.7 (new)\na: %s:3: Tags=web (new); applies now\n" % (path(daemon), path(daemon)))
    daemon.ok("unset", "a", "NIC.lan.Address")
    daemon.micro("b")
    assert "TAGS" in daemon.ok("list") and daemon.ok("list").splitlines()[1].split()[-1] == "web"
    daemon.up("b")
    assert daemon.info("b")["tags"] == [] and "tags:" not in daemon.ok("info", "b")
    daemon.ok("set", "b", "VM.Tags+=web", "VM.Tags+=db prod")
    assert daemon.info("b")["tags"] == ["web", "db", "prod"] and daemon.ok("diff", "b") == ""
    assert "tags:        web, db, prod\n" in daemon.ok("info", "b")
    daemon.ok("set", "b", "VM.Tags-=web", "VM.Tags-=prod")
    assert {row["name"]: row["tags"] for row in daemon.rows("list")} == {"a": ["web"], "b": ["db"]}
    assert "Tags: 'a!' is not a word of letters" in daemon.fails(2, "set", "a", "VM.Tags+=a!")


def test_the_line_in_force_is_where_it_is(daemon):
    """A line in a drop-in is changed there; a change of several files is made to all or to none."""
    shop(daemon)
    daemon.write("a.vm.d/10.conf", "[VM]\nMemory=24M\n")
    daemon.write("a.vm.d/20.conf", "[VM]\nCPUs=2\n")
    out = daemon.ok("set", "a", "VM.Memory=32M", "VM.CPUs=4", "VM.Description=shop")
    assert "a.vm.d/10.conf:2: Memory=32M (was 24M)" in out and "a.vm.d/20.conf:2: CPUs=4 (was 2)" in out
    assert [text(daemon, "a.vm.d/%d.conf" % n) for n in (10, 20)] == ["[VM]\nMemory=32M\n", "[VM]\nCPUs=4\n"]
    assert "Description=shop" in text(daemon)
    before = text(daemon)
    os.chmod(path(daemon, "a.vm.d/10.conf"), 0o666)
    assert "others may write it" in daemon.fails(2, "set", "a", "VM.CPUs=1", "VM.Description=x")
    assert text(daemon) == before and text(daemon, "a.vm.d/20.conf") == "[VM]\nCPUs=4\n"
    os.chmod(path(daemon, "a.vm.d/10.conf"), 0o644)
    daemon.ok("unset", "a", "VM.Memory")
    assert "Memory=" not in text(daemon) + text(daemon, "a.vm.d/10.conf")


def test_a_whole_section_goes(daemon):
    """In all files that have it; what is left must be valid."""
    shop(daemon, "\n[Disk data]\n# more\nSize=1M\n\n[NIC lan]\n")
    daemon.write("a.vm.d/10.conf", "[Disk data]\nCache=unsafe\n[VM]\nCPUs=2\n")
    assert daemon.ok("unset", "a", "Disk.data") == (
        "a: %s:1: [Disk data] removed\na: %s:10: [Disk data] removed\n" % (path(daemon, "a.vm.d/10.conf"), path(daemon)))
    assert text(daemon) == FILE + "\n[NIC lan]\n" and text(daemon, "a.vm.d/10.conf") == "[VM]\nCPUs=2\n"
    assert "nothing to boot from" in daemon.fails(2, "unset", "a", "Disk.root")
    assert "[Disk] needs an id" in daemon.fails(2, "unset", "a", "Disk.data")


def test_a_running_guest_is_told_when(daemon):
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    out = daemon.ok("set", "a", "VM.Memory=32M", "VM.Description=shop", "Disk.root.Size=1M", "Disk.new.Path=b.raw")
    assert [line.split("; ")[1] for line in out.splitlines()] == [
        "applies at the next start", "applies now", "applies only when the image is created", "applies at the next start"]
    assert daemon.info("a")["description"] == "shop"
    assert "Memory" in daemon.vmkeep("diff", "a").out


def test_what_was_requested_is_recorded(daemon):
    shop(daemon)
    daemon.ok("set", "a", "VM.Memory=32M", "VM.CPUs=2")
    daemon.ok("set", "a", "VM.Memory=32M")
    daemon.ok("set", "a", "VM.Memory=64M", "--dry-run")
    daemon.fails(2, "set", "a", "VM.Memory=1X")
    daemon.ok("unset", "a", "VM.CPUs")
    assert [(row["event"], row["reason"]) for row in daemon.rows("history", "a")] == [
        ("set", "VM.Memory=32M VM.CPUs=2"), ("set", "VM.Memory=32M"),
        ("set-failed", "%s:3: Memory: '1X' is not a size such as 512M, at least 1M, at most 64T, a multiple of 1M" % path(daemon)),
        ("unset", "VM.CPUs")]


def test_why_it_was_refused_is_recorded(daemon):
    shop(daemon, "[X-Site]\nX-Managed=ansible\n")
    for argv in (["set", "a", "VM.CPUs=2"], ["unset", "a", "VM.Memory"], ["enable", "a"], ["rename", "a", "b"],
                 ["delete", "--yes", "a"]):
        daemon.fails(3, *argv)
        row = daemon.rows("history", "a")[-1]
        assert row["event"] == argv[0] + "-failed" and "managed by 'ansible' (X-Managed=)" in row["reason"], row


def test_a_dry_run_writes_nothing(daemon):
    shop(daemon)
    with unchanged(daemon):
        out = daemon.ok("set", "a", "VM.Memory=32M", "--dry-run")
        rows = daemon.json("unset", "a", "VM.Memory", "--dry-run")
        daemon.fails(2, "set", "a", "VM.Memory=no", "--dry-run")
    assert out == "a: %s:3: Memory=32M (was 16M)\na: a dry run, nothing was written\n" % path(daemon)
    assert [(row["change"], row["value"]) for row in rows] == [("removed", "1G")]


# --- refusals


@pytest.mark.parametrize("word, code, said", [
    ("VM.Memory=1X", 2, "a.vm:3: Memory: '1X' is not a size"),
    ("Disk.b.Path=", 2, "a.vm:11: Path: missing"),
    ("NIC.lan.MACAddress=ff:ff:ff:ff:ff:ff", 2, "a.vm:12: MACAddress"),
    ("VM.Description=%q", 2, "unknown specifier"),
    ("VM.Description=" + "x" * 65536, 2, "line of"),
    ("Memory.Max=8M", 2, "a.vm:12: Max: less than [VM] Memory"),
    ("VM.Memry=1G", 2, "did you mean 'VM.Memory'?"),
    ("VM.Owner+=Mallory!", 2, "Owner"),
    ("VM.Description=a\nb", 2, "control character"),
    ("VM.Description=\x1b]0;x\x07", 2, "control character"),
    ("VM.Description=\xff", 2, "UTF-8"),
    ("bananas", 2, "is not a change"),
])
def test_what_would_be_invalid_is_not_written(daemon, word, code, said):
    shop(daemon)
    before = os.stat(path(daemon))
    word = word.encode("latin-1").decode("utf-8", "surrogateescape") if "\xff" in word else word
    assert said in daemon.fails(code, "set", "a", "VM.CPUs=2", word)
    assert text(daemon) == FILE
    assert os.stat(path(daemon)).st_mtime_ns == before.st_mtime_ns and leftovers(daemon) == []


@pytest.mark.parametrize("value", ["a # b", "a ; b", "\"quoted\"", "'", "100%%", "b\u00fccher \u2603", "[VM]", "a=b", "\\", "a\\n", "$(x)"])
def test_values_are_what_they_are(daemon, value):
    shop(daemon)
    daemon.ok("set", "a", "VM.Description=" + value)
    assert text(daemon) == FILE.replace("none\n", "none\n  Description=%s\n" % value)
    assert daemon.info("a")["description"] == value.replace("%%", "%")


def test_who_may_set_what(daemon):
    """Owners and operators cannot reach beyond the VM: no other images, host files or programs."""
    alice, operator, view = {"user": "alice"}, {"user": "bob", "groups": ["vmkeep"]}, {"user": "bob", "groups": ["vmkeep-view"]}
    shop(daemon)
    daemon.image("b.raw")
    for who in (alice, view, {"user": "bob"}):
        daemon.fails(9, "set", "a", "VM.CPUs=2", **who)
    daemon.ok("set", "a", "VM.Owner=alice", **operator)
    owned = text(daemon)
    daemon.ok("set", "a", "VM.CPUs=2", **alice)
    daemon.ok("unset", "a", "VM.CPUs", **alice)
    assert text(daemon) == owned
    for words in (["Disk.root.Path=b.raw"], ["Disk.more.Path=b.raw"], ["Disk.root.Base=b.raw"], ["CDROM.cd.Path=b.raw"],
                  ["VM.UUID=11111111-2222-3333-4444-555555555555"], ["VM.X-Managed=alice"],
                  ["Disk.1-root.Size=1M"], ["VM.CPUs=2", "Disk.root.Path=%n/../b.raw"]):
        assert daemon.vmkeep("set", "a", *words, **alice).code in (2, 9), words
    for words in (["QEMU.Args=-snapshot"], ["QEMU.Binary=/tmp/qemu"], ["Hooks.Failed=/tmp/x"], ["Boot.Kernel=/boot/vmlinuz"],
                  ["RNG.Source=/etc/shadow"], ["Disk.root.Path=/etc/shadow.raw"], ["CDROM.cd.Path=/dev/sda"],
                  ["VM.CPUs=2", "QEMU.Args+=-snapshot", "VM.CPUs=3"]):
        for who in (alice, operator):
            assert "only root" in daemon.fails(9, "set", "a", *words, **who), words
    assert "only root" in daemon.fails(9, "set", "a", "Disk.d.Path=b.qcow2", "Disk.d.Base=/etc/shadow", **operator)
    assert text(daemon) == owned
    daemon.ok("set", "a", "Disk.more.Path=b.raw", "VM.X-Rack=7", **operator)
    daemon.ok("set", "a", "QEMU.Args=-no-hpet", "CDROM.cd.Path=/dev/sr0")
    # an operator may not remove what only root may set
    assert "only root" in daemon.fails(9, "unset", "a", "QEMU.Args", **operator)
    daemon.ok("unset", "a", "CDROM.cd.Path", **operator)


def test_a_managed_file_needs_force(daemon):
    shop(daemon, "X-Managed=ansible\n")
    before = text(daemon)
    for argv in (["set", "a", "VM.CPUs=2"], ["unset", "a", "VM.Memory"], ["set", "a", "Disk.root.X-Managed="]):
        assert "managed by 'ansible'" in daemon.fails(3, *argv)
    assert text(daemon) == before
    daemon.ok("set", "a", "VM.CPUs=2", "--force")
    assert "CPUs=2" in text(daemon)
    daemon.ok("set", "a", "Disk.root.X-Managed=", "--force")
    daemon.ok("set", "a", "VM.CPUs=1")


def test_start_with_the_host(daemon):
    """enable and disable take several names and patterns, as start does; list shows the change at once."""
    for name in ("a", "b", "c"):
        daemon.micro(name)
    out = daemon.ok("enable", "a", "b")
    assert out == "".join("%s: %s:4: Enable=yes (new, was no); applies now\n" % (n, path(daemon, n + ".vm")) for n in "ab")
    assert {row["name"]: row["enabled"] for row in daemon.rows("list")} == {"a": True, "b": True, "c": False}
    assert daemon.vmkeep("enable", "nobody", "c").code == 4
    assert daemon.ok("enable", "b", "--last") == "b: %s:4: Enable=last (was yes); applies now\n" % path(daemon, "b.vm")
    assert [row["enable"] for row in daemon.rows("list")] == ["yes", "last", "yes"]
    assert daemon.ok("disable", "?").count("Enable=no (was ") == 3
    assert daemon.ok("disable", "a") == "a: %s:4: Enable=no already\n" % path(daemon)
    assert {row["enabled"] for row in daemon.rows("list")} == {False}
    assert [row["event"] for row in daemon.rows("history", "a")] == ["enable", "disable", "disable"]
    daemon.write("a.vm", FILE + "X-Managed=puppet\n")
    daemon.fails(3, "enable", "a")
    daemon.ok("enable", "a", "--force")
    daemon.fails(9, "enable", "a", user="alice", groups=["vmkeep-view"])


def test_a_file_with_errors_can_be_repaired(daemon):
    daemon.image("a.raw")
    daemon.write("a.vm", FILE.replace("16M", "1X"))
    assert "'1X' is not a size" in daemon.fails(2, "set", "a", "VM.CPUs=2")
    daemon.ok("set", "a", "VM.Memory=16M")
    daemon.ok("start", "a")


# --- unusual files


def as_link(world):
    os.rename(path(world), path(world, "real"))
    os.symlink("real", path(world))


def as_link_of_others(world):
    folder = os.path.join(world.base, "open")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    os.rename(path(world), os.path.join(folder, "a.vm"))
    os.symlink(os.path.join(folder, "a.vm"), path(world))


def as_fifo(world):
    os.unlink(path(world))
    os.mkfifo(path(world))


def as_hard_link(world):
    os.link(path(world), path(world, "copy"))


def as_others(world):
    os.chmod(path(world), 0o666)


def as_read_only(world):
    world.exec("mount", "--bind", world.config, world.config)
    world.exec("mount", "-o", "remount,bind,ro", world.config)


def as_full(world):
    world.exec("mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", world.config)
    with open(world.inner(path(world)), "w", encoding="utf-8") as f:
        f.write(FILE)
    world.exec("sh", "-c", "cat /dev/zero >%s/.fill; test $? = 1" % world.config)


@pytest.mark.parametrize("make, code, said", [
    (as_link, 0, ""), (as_link_of_others, 9, "links to"), (as_fifo, 2, "not a regular file"), (as_hard_link, 3, "a hard link"),
    (as_others, 2, "others may write it"), (as_read_only, 11, "Read-only file system"), (as_full, 11, "No space left on device")])
def test_what_stands_in_its_place(daemon, make, code, said):
    shop(daemon)
    daemon.ok("list")
    make(daemon)
    done = daemon.vmkeep("set", "a", "VM.CPUs=2")
    assert done.code == code and said in done.err, done
    if make is not as_fifo:
        now = vmk.read_text(daemon.inner(path(daemon)) if make in (as_full, as_read_only) else path(daemon))
        assert now == (FILE if code else FILE.replace("none\n", "none\n  CPUs=2\n"))
    assert not [name for name in os.listdir(daemon.inner(daemon.config)) if name.startswith(".~")]
    if make is as_link:
        assert os.readlink(path(daemon)) == "real"
    if make in (as_full, as_read_only):
        daemon.exec("umount", daemon.config)


def test_changes_at_the_same_time_are_all_made(daemon):
    """Concurrent changes are made one after another, each to the result of the one before."""
    shop(daemon)
    clients = [daemon.client(timeout=60) for _ in range(8)]
    for n, client in enumerate(clients):
        for k in range(4):
            client.send("vm-set", {"name": "a", "changes": ["VM.Owner+=u%d" % (4 * n + k)]})
    for client in clients:
        for serial in range(1, 5):
            client.result(serial)
        client.close()
    owners = [line.split("=")[1] for line in text(daemon).splitlines() if "Owner" in line]
    assert sorted(owners) == sorted("u%d" % n for n in range(32))
    assert daemon.ok("check", "a") and leftovers(daemon) == []


def test_somebody_else_writes_at_the_same_time(daemon):
    """While another program keeps replacing the file, `set` succeeds or reports a conflict, and the file
    stays whole."""
    shop(daemon)
    ends = threading.Event()

    def save():
        n = 0
        while not ends.is_set():
            n += 1
            with open(path(daemon, "a.vm~"), "w", encoding="utf-8") as f:
                f.write(FILE + "# edited %d\n" % n)
            os.rename(path(daemon, "a.vm~"), path(daemon))
    editor = threading.Thread(target=save)
    editor.start()
    try:
        codes = {daemon.vmkeep("set", "a", "VM.CPUs=%d" % n).code for n in range(2, 12)}
    finally:
        ends.set()
        editor.join()
    assert codes <= {0, 3}
    assert text(daemon).startswith("# web1") and leftovers(daemon) == []


def test_no_more_than_so_many(daemon):
    shop(daemon)
    assert "more than 64" in daemon.fails(2, "set", "a", *["VM.CPUs=%d" % n for n in range(1, 66)])


def test_a_daemon_that_ends_meanwhile(world):
    """A daemon that ends during changes exits cleanly and leaves a whole file; one that is replaced completes them."""
    shop(world)
    known = set()
    for n in range(2, 8):
        world.start()
        client = world.client()
        for k in range(4):
            client.send("vm-set", {"name": "a", "changes": ["VM.CPUs=%d" % n, "VM.Description=%d" % k]})
        client.receive()
        known |= {text(world)}
        world.stop_daemon()
        client.close()
    assert all(one.startswith("# web1") and one.endswith("Path=a.raw\n") for one in known)
    world.start()
    client = world.client(timeout=60)
    serials = [client.send("vm-set", {"name": "a", "changes": ["VM.CPUs=%d" % n]}) for n in range(2, 6)]
    world.ok("reexec", timeout=60)
    assert [client.result(serial)["rows"][0][6] for serial in serials] == ["2", "3", "4", "5"]
    client.close()
    assert "CPUs=5" in text(world)


# --- kills


@walk("step", range(1, 30), some=8)
def test_the_child_is_killed(world, step):
    """With the child killed at each of its steps, on two files, each is the old one or the new one, and the next
    child removes the temporary files."""
    library = os.path.join(world.base, "steps.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    old, new = {}, {}
    for name in ("a.vm", "b.vm"):
        old[name], new[name] = "[VM]\nMemory=16M\n# %s\n" % name, "[VM]\nMemory=32M\n# %s\n" % name
        world.write(name, old[name])

    def run(before, **env):
        given = "".join("%s\n%d %d\n%s%s" % (path(world, n), len(before[n]), len(new[n]), before[n], new[n]) for n in old)
        return subprocess.run([world.program("vmkeepd"), "--replace", "2", str(len(given))], input=given, text=True,
                              env=dict(os.environ, **env), check=False, timeout=60 * vmk.SLOW).returncode

    code = run(old, LD_PRELOAD=library, STEPS_OF="vmkeepd", STEPS_N=str(step))
    assert code in (0, -signal.SIGKILL)
    now = {name: text(world, name) for name in old}
    assert all(now[name] in (old[name], new[name]) for name in old)
    assert code or now == new
    assert run(now) == 0
    assert {name: text(world, name) for name in old} == new and leftovers(world) == []


@walk("step", range(1, 60), some=8)
def test_the_daemon_is_killed(world, step):
    shop(world)
    steps = Steps(world)
    world.start(env=steps.env)
    world.ok("list")
    steps.arm(step)
    done = world.vmkeep("set", "a", "VM.CPUs=2")
    cut = steps.over()
    assert text(world) in (FILE, FILE.replace("none\n", "none\n  CPUs=2\n"))
    assert cut or done.code == 0
    if done.code == 0:
        assert "CPUs=2" in text(world)
    world.start()
    world.ok("set", "a", "VM.CPUs=3")
    assert "CPUs=3" in text(world) and leftovers(world) == []
    assert json.loads(world.vmkeep("--json", "check", "a").out) == []
