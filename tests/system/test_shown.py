# SPDX-License-Identifier: MIT
"""Messages of the parser, QEMU and the kernel appear where people look: list, info, history, log NAME qemu."""
import os

import pytest

import vmk

ENABLE = "Enable=yes\n"


def row(world, name):
    return next(row for row in world.rows("list") if row["name"] == name)


def spoil(world, name):
    """A misspelt key in line 2; returns the expected reason."""
    path = os.path.join(world.config, name + ".vm")
    text = vmk.read_text(path)
    world.write(name + ".vm", text.replace("[VM]\n", "[VM]\nMemry=1G\n", 1))
    return "invalid: %s.vm:2: Memry: unknown key in [VM]" % name


# Broken or missing files.

def test_a_file_that_never_parsed(daemon):
    """Unknown values are null, and the first problem is the reason."""
    daemon.micro("a")
    why = spoil(daemon, "a")
    got = row(daemon, "a")
    assert got["state"] == "stopped" and got["reason"].startswith(why)
    assert [got[key] for key in ("cpus", "memory", "accel", "enabled")] == [None] * 4
    line = next(line for line in daemon.ok("list").splitlines() if line.startswith("a "))
    assert why in line and " 0 " not in line
    info = daemon.info("a")
    assert info["reason"].startswith(why) and "Memry" in info["problems"]
    assert [info[key] for key in ("cpus", "memory", "machine", "enabled")] == [None] * 4
    assert "Memry" in daemon.fails(2, "diff", "a")


def test_a_file_that_broke(daemon):
    """Of a running VM: it is reported, and the number of changes is unknown."""
    daemon.micro("a", "deaf", vm=ENABLE)
    daemon.ok("start", "a")
    assert row(daemon, "a")["enabled"] is True and daemon.info("a")["changes"] == 0
    why = spoil(daemon, "a")
    got = row(daemon, "a")
    assert got["state"] == "running" and got["reason"].startswith(why) and got["enabled"] is None
    assert got["memory"] == 16 << 20
    assert why in daemon.ok("list")
    assert daemon.info("a")["changes"] is None
    assert "Memry" in daemon.fails(2, "diff", "a")


def test_a_file_that_is_gone(daemon):
    daemon.micro("a", "deaf", vm=ENABLE)
    daemon.ok("start", "a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    got = row(daemon, "a")
    assert (got["state"], got["reason"], got["enabled"]) == ("running", "file missing", False)
    assert "file missing" in daemon.ok("list")
    assert daemon.info("a")["reason"] == "file missing"
    assert "gone" in daemon.fails(4, "diff", "a")
    for words in (["check", "a"], ["check"]):
        assert "the file of VM 'a' is gone; the guest keeps running" in daemon.ok(*words)


def reason(world, name):
    return row(world, name)["reason"]


def test_files_elsewhere(daemon):
    """Links and drop-ins, whose changes do not affect the directory itself."""
    shared = os.path.join(daemon.base, "shared")
    os.mkdir(shared)
    daemon.micro("a")
    os.rename(os.path.join(daemon.config, "a.vm"), shared + "/a.vm")
    os.symlink(shared + "/a.vm", os.path.join(daemon.config, "a.vm"))
    daemon.micro("b")
    os.mkdir(os.path.join(daemon.config, "b.vm.d"))
    os.symlink("c.vm", os.path.join(daemon.config, "c.vm"))
    assert (reason(daemon, "a"), reason(daemon, "b")) == ("", "")
    assert reason(daemon, "c") == "invalid: c.vm: Too many levels of symbolic links"
    daemon.write("b.vm.d/x.conf", "[VM]\nMemry=1G\n")
    os.rename(shared + "/a.vm", shared + "/x.vm")
    assert reason(daemon, "b").startswith("invalid: b.vm.d/x.conf:2: Memry: unknown key")
    dead = "a.vm: links to '%s/a.vm', which is not there" % shared
    assert reason(daemon, "a") == "invalid: " + dead
    assert dead in daemon.fails(2, "start", "a")
    daemon.write("b.vm.d/x.conf", "[VM]\nMemory=32M\n")
    os.rename(shared + "/x.vm", shared + "/a.vm")
    assert (reason(daemon, "a"), row(daemon, "b")["memory"]) == ("", 32 << 20)
    os.symlink("/nowhere", os.path.join(daemon.config, "b.vm.d", "y.conf"))
    assert reason(daemon, "b") == "invalid: b.vm.d/y.conf: links to '/nowhere', which is not there"


def test_the_directory_may_be_replaced(daemon):
    """Moved away, replaced by another one, and mounted over."""
    daemon.micro("a", "deaf")
    daemon.micro("b")
    daemon.ok("start", "a")
    away = daemon.config + ".away"
    os.rename(daemon.config, away)
    assert reason(daemon, "a") == "file missing" and len(daemon.rows("list")) == 1
    os.rename(away, daemon.config)
    assert reason(daemon, "a") == "" and len(daemon.rows("list")) == 2
    daemon.exec("cp", "-a", daemon.config, away)
    daemon.exec("rm", "-r", daemon.config)
    os.rename(away, daemon.config)
    spoil(daemon, "a")
    assert "Memry" in reason(daemon, "a") and len(daemon.rows("list")) == 2
    daemon.exec("mount", "-t", "tmpfs", "-o", "mode=755", "none", daemon.config)
    assert reason(daemon, "a") == "file missing" and len(daemon.rows("list")) == 1
    daemon.exec("umount", daemon.config)
    assert "Memry" in reason(daemon, "a") and len(daemon.rows("list")) == 2


def test_the_file_of_a_network(daemon):
    """Its errors are reported, even if it was valid before."""
    def health():
        return next(row["health"] for row in daemon.rows("net", "list") if row["name"] == "lab")
    os.symlink("/nowhere", os.path.join(daemon.config, "lab.network"))
    assert health() == "invalid: lab.network: links to '/nowhere', which is not there"
    os.unlink(os.path.join(daemon.config, "lab.network"))
    daemon.write("lab.network", "[Network]\nBridge=lab0\nAddress=10.7.0.1/24\n")
    assert health() == "ok"
    daemon.ok("net", "start", "lab")
    daemon.write("lab.network", "[Network]\nBridg=lab0\n")
    for state in ("up", "down"):
        assert health().startswith("invalid: lab.network:2: Bridg: unknown key"), state
        assert daemon.one("net", "show", "lab")["health"] == health()
        lines = daemon.vmkeep("list", "--problems").out.splitlines()
        assert len(lines) == 1 and "Bridg" in lines[0], lines
        daemon.ok("net", "stop", "lab")


def test_several_problems_are_counted(daemon):
    daemon.micro("a")
    daemon.write("a.vm", "[VM]\nMemry=1G\nCPU=1\nNetworks=none\n")
    assert "and 1 more)" in row(daemon, "a")["reason"] or "and 2 more)" in row(daemon, "a")["reason"]


def test_missed_at_boot(world):
    """The history of an enabled VM with a broken file says so, and hooks are run."""
    world.micro("a", vm=ENABLE)
    world.micro("b", vm=ENABLE, extra="[Lifecycle]\nRequires=a\n")
    world.micro("c")
    spoil(world, "a")
    spoil(world, "c")
    told = os.path.join(world.base, "told")
    world.write("hooks.d/x", "#!/bin/sh\necho $1 $2 >>%s\n" % told)
    os.chmod(os.path.join(world.config, "hooks.d/x"), 0o755)
    world.start()
    world.eventually(lambda: vmk.read_text(told) if os.path.exists(told) else "",
                     lambda text: sorted(text.splitlines()) == ["a not-started", "b not-started"])
    last = world.rows("history", "a")[-1]
    assert (last["event"], last["who"]) == ("not-started", "Enable=yes") and "Memry" in last["reason"]
    assert world.rows("history", "c") == []
    assert "not started: 'a'" in row(world, "b")["reason"]


def test_an_error_is_about_its_vm(daemon):
    """An error does not mention other files in the directory, however wrong they are."""
    daemon.write("-x.vm", "")
    daemon.write("b c.vm", "")
    daemon.micro("web")
    daemon.write("Web.vm", vmk.read_text(os.path.join(daemon.config, "web.vm")))
    for name in ("Web", "web"):
        for verb in ("start", "kill", "info"):
            err = daemon.fails(2, verb, name)
            assert "clashes with" in err and "-x.vm" not in err and "b c" not in err, err


# Requests and users.

def asked(world, name):
    return [(row["event"], row["who"], row["reason"]) for row in world.rows("history", name)]


def test_who_asked_for_what(daemon):
    """Each request has a record with the user's name, without arguments that may be secret."""
    daemon.micro("a", "deaf", extra="[Memory]\nMin=16M\n")
    daemon.ok("start", "a")
    daemon.ok("pause", "a")
    daemon.ok("resume", "a")
    daemon.ok("reset", "a")
    daemon.vmkeep("set-memory", "a", "16M")
    daemon.qmp("a", "query-status")
    daemon.vmkeep("qmp", "a", '{"execute": "qom-get", "arguments": {"path": "/secret", "property": "x"}}')
    daemon.vmkeep("guest", "exec", "a", "--", "/bin/login", "--password=secret")
    daemon.vmkeep("guest", "time", "a")
    daemon.vmkeep("guest", "time", "a", "--sync")
    daemon.vmkeep("guest", "passwd", "a", "bob", input="secret\n")
    daemon.vmkeep("guest", "freeze", "a")
    daemon.ok("kill", "a")
    got = [row for row in asked(daemon, "a") if row[1] and not row[0].endswith("-failed")]
    assert [row[0] for row in got] == [
        "start", "paused", "resumed", "reset", "set-memory", "qmp", "qmp", "guest-exec", "guest-time",
        "guest-passwd", "guest-freeze", "kill"], got
    assert {row[1] for row in got} == {"root"}
    why = {row[0]: row[2] for row in got}
    assert (why["set-memory"], why["qmp"], why["guest-exec"], why["guest-time"], why["guest-passwd"]) == (
        "16M", "qom-get", "/bin/login", "sync", "bob")
    assert "secret" not in str(asked(daemon, "a"))


LOGIN = 'echo "$0" >/proc/self/loginuid && exec "$@"'  # as a login and sudo or su do


def test_who_had_logged_in(daemon):
    """The login name of a user who is root through sudo, known from the kernel, is shown and permits nothing."""
    def as_login(login, *argv):
        done = vmk.subprocess.run(daemon.inside(["sh", "-c", LOGIN, login] + list(argv)), capture_output=True, text=True,
                                  timeout=30 * vmk.SLOW, check=False)
        if "loginuid" in done.stderr:
            pytest.skip("no login can be made here: " + done.stderr)
        return done
    vmkeep = [daemon.program("vmkeep"), "--run", daemon.run]
    daemon.micro("a", "deaf")
    alice, bob = vmk.USERS["alice"], vmk.USERS["bob"]
    assert as_login(alice, *vmkeep, "start", "a").returncode == 0
    assert as_login(0, *vmkeep, "pause", "a").returncode == 0
    assert as_login(4711, *vmkeep, "kill", "a").returncode == 0
    drop = ["setpriv", "--reuid=%d" % bob, "--regid=%d" % bob, "--clear-groups", "--", daemon.program("vmkeep", "bob")]
    for login in (0, bob):
        refused = as_login(login, *drop, *vmkeep[1:], "start", "a")
        assert refused.returncode == 9 and "permission denied: bob may not start 'a'" in refused.stderr, refused
    assert [(event, who) for event, who, _ in asked(daemon, "a") if who] == [
        ("start", "root (alice)"), ("paused", "root"), ("kill", "root (uid 4711)")]
    assert "vm a: vm-start by root (alice) (pid " in vmk.read_text(os.path.join(daemon.base, "daemon.log"))


def test_what_failed_is_told(daemon):
    """Once, after the request, with its error, even if no client waits for the answer. What the state already says is
    not repeated."""
    daemon.micro("a", "deaf", disk="qcow2")
    daemon.ok("snapshot", "create", "a", "s1")
    daemon.fails(3, "snapshot", "create", "a", "s1")
    client = daemon.client()
    client.call("subscribe")
    client.call("snapshot-delete", name="a", snapshot="s2", wait=False)
    client.event("JOB_DONE")
    client.close()
    daemon.fails(5, "pause", "a")
    daemon.vmkeep("snapshot", "revert", "a", "s2", "--dry-run")
    spoil(daemon, "a")
    daemon.fails(2, "start", "a", user="bob", groups=["vmkeep"])
    assert [(row[0], row[1], row[2].rpartition("/")[2]) for row in asked(daemon, "a")] == [
        ("snapshot-create", "root", "s1"),
        ("snapshot-create", "root", "s1"),
        ("snapshot-create-failed", "root", "snapshot 's1' already exists on disk 'root'"),
        ("snapshot-delete", "root", "s2"),
        ("snapshot-delete-failed", "root", "there is no snapshot 's2'"),
        ("pause-failed", "root", "is not running"),
        ("start-failed", "bob", "a.vm:2: Memry: unknown key in [VM], did you mean 'Memory'?")]


def test_a_state_tells_by_itself(daemon):
    daemon.micro("a", "deaf", extra="[QEMU]\nArgs=-nonsense\n" + "[Lifecycle]\nRestart=no\n")
    daemon.fails(7, "start", "a")
    assert [row[:2] for row in asked(daemon, "a")] == [("start", "root"), ("stopped", "")]
    daemon.micro("b", "deaf")
    daemon.ok("start", "b")
    daemon.fails(8, "stop", "b", "--timeout", "1")
    assert [row[:2] for row in asked(daemon, "b")] == [
        ("start", "root"), ("running", ""), ("stop", "root"), ("stop-timeout", "")]


def test_refusals_name_the_user(daemon):
    daemon.micro("a", "deaf")
    for who, groups, argv, text, hint in (
            ("alice", [], ["list"], "alice may not list VMs", "join group vmkeep-view"),
            ("bob", ["vmkeep-view"], ["start", "a"], "bob may not start 'a'", "Owner= in the VM's file"),
            ("bob", ["vmkeep-view"], ["reload"], "bob may not reload", "join group vmkeep"),
            ("bob", ["vmkeep"], ["qmp", "a", "stop"], "bob may not qmp 'a'", "sudo")):
        err = daemon.fails(9, *argv, user=who, groups=groups)
        assert err.startswith("vmkeep: permission denied: %s\nhint: " % text) and hint in err, err
    daemon.ok("start", "a", user="bob", groups=["vmkeep"])
    assert asked(daemon, "a")[0][:2] == ("start", "bob")


def test_not_running_says_why(daemon):
    daemon.micro("a", extra="[QEMU]\nArgs=-nonsense\n[Lifecycle]\nRestart=no\n")
    assert daemon.fails(5, "pause", "a") == "vmkeep: a: is not running\nhint: vmkeep start a\n"
    daemon.fails(7, "start", "a")
    err = daemon.fails(5, "pause", "a")
    assert err.startswith("vmkeep: a: is not running (last start failed: ") and "hint: vmkeep check a" in err, err
    assert daemon.fails(4, "pause", "aa").startswith("vmkeep: no such VM: aa\n")


# QEMU's output.

WARNS = "[QEMU]\nArgs=-global nonsense.x=1\n"
WARNING = "global nonsense.x has invalid class name"


def test_warnings_of_a_start(daemon):
    """By start, info and history, and by the next daemon; the log has them while the guest runs."""
    daemon.micro("a", "deaf", extra=WARNS)
    out = daemon.ok("start", "a")
    assert WARNING in out and len(out.splitlines()) == 2, out
    assert daemon.info("a")["qemu_warnings"] == [WARNING]
    assert [row["reason"] for row in daemon.rows("history", "a") if row["event"] == "qemu-warning"] == [
        "QEMU warns: " + WARNING]
    log = daemon.ok("log", "a", "qemu").splitlines()
    assert log[0].startswith("--- ") and log[0].endswith(": start") and WARNING in log[1] and len(log) == 2, log
    daemon.kill_daemon()
    daemon.start()
    daemon.wait_state("a", "running")
    assert daemon.info("a")["qemu_warnings"] == [WARNING]
    assert daemon.ok("log", "a", "qemu").splitlines() == log
    daemon.ok("kill", "a")
    log = daemon.ok("log", "a", "qemu").splitlines()
    assert len(log) == 3 and log[2].startswith("--- ") and log[2].endswith(": killed"), log


def test_qemus_log_is_followed(daemon):
    """Across starts, and from before the first one."""
    daemon.micro("a", "deaf", extra=WARNS)
    follower = daemon.stream("log", "a", "qemu", "-f")
    for _ in range(2):
        daemon.ok("start", "a")
        follower.until(WARNING)
        daemon.ok("kill", "a")
        follower.until(": killed")


# Failures caused by the walls around QEMU.

@pytest.mark.parametrize("args, hint", [
    ("-drive file=/etc/hostname,format=raw,if=none", "QEMU sees only the host's files that the VM's other sections name"),
    ("-daemonize", "a system call that the guests' filter refuses"),
    ("-nonsense", "correct Args= in [QEMU]"),
])
def test_raw_options_fail(daemon, args, hint):
    daemon.micro("a", extra="[QEMU]\nArgs=%s\n[Lifecycle]\nRestart=no\n" % args)
    said = daemon.fails(7, "start", "a")
    assert hint in said.split("hint: ")[1], said


# Timeouts: the error says what was waited for, and what was done.

def test_timeouts(daemon):
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    assert "not stopped within 1 s: still running, and left as it is" in daemon.fails(6, "wait", "a", "stopped", "--timeout", "1")
    daemon.micro("lan", "deaf", vm="Networks=default\n")
    daemon.ok("start", "lan")
    mac = daemon.one("net", "show", "default")["nics"][0]["mac"]
    err = daemon.fails(6, "wait", "lan", "ip", "--timeout", "1")
    assert "no lease for %s (NIC 'lan') within 1 s; the guest is left running" % mac in err, err


def test_results_are_sentences(daemon):
    daemon.micro("a", "deaf", disk="qcow2")
    assert daemon.ok("snapshot", "create", "a", "s1") == "a: snapshot s1 created\n"
    assert daemon.ok("snapshot", "delete", "a", "s1") == "a: snapshot s1 deleted\n"


def memory_rows(daemon):
    info = [line.split(":", 1) for line in daemon.ok("info", "a").splitlines() if ":" in line]
    head, row = [line.split() for line in daemon.ok("list").splitlines()[:2]]
    return {key: value.strip() for key, value in info if key in ("memory", "balloon")}, row[head.index("MEMORY")]


def test_memory_is_one_row(daemon):
    """The guest's current memory and its memory at start, in the units of list; programs get both numbers."""
    daemon.linux("a", "guest.net=none", vm="Networks=none\n")
    assert memory_rows(daemon) == ({"memory": "128M"}, "128M")
    daemon.ok("start", "a")
    daemon.console("a").until("ready after .*\n", 60)
    rows, listed = memory_rows(daemon)
    assert rows == {"memory": "128M"} and listed == "128M", rows
    daemon.ok("set-memory", "a", "96M", timeout=60)
    for again in (lambda: None, lambda: (daemon.kill_daemon(), daemon.start())):
        again()
        daemon.eventually(lambda: daemon.info("a").get("balloon"), bool)
        rows, listed = memory_rows(daemon)
        assert rows == {"memory": "%s of 128M" % listed} and listed in ("96M", "97M"), (rows, listed)
        info = daemon.info("a")
        assert info["memory"] == 128 << 20 and abs(info["balloon"] - (96 << 20)) < 2 << 20, info


def test_nothing_is_left_of_a_vm_that_never_ran(daemon):
    """Failed starts leave a history and logs: check names them once the VM's file is gone, and forget removes them."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    daemon.write("dup.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=a.raw\n")
    daemon.fails(3, "start", "dup")
    daemon.ok("kill", "a")
    os.unlink(os.path.join(daemon.config, "dup.vm"))
    for name in ("dup", "a"):
        assert os.path.isdir(os.path.join(daemon.log, name))
    assert "vmkeep forget dup" in daemon.ok("check")
    daemon.ok("forget", "dup")
    assert not [top for top in (os.path.join(daemon.state, "vms"), daemon.log, daemon.inner(daemon.run) + "/vms")
                if "dup" in os.listdir(top)]
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.ok("forget", "a")
    assert os.listdir(daemon.log) == ["a"]  # the guest's output is kept


def test_a_description_applies_at_once(daemon):
    """As its row says: of a running VM, too."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    daemon.micro("a", "deaf", vm="Description=the shop\n")
    assert daemon.info("a")["description"] == "the shop"
