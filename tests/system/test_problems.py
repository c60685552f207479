# SPDX-License-Identifier: MIT
"""list --problems: a line for everything that needs attention, nothing for what was requested, and the exit codes of
Nagios."""
import os

import pytest


NO_RESTART = "[Lifecycle]\nRestart=no\n"
ONCE = "[Lifecycle]\nRestartSec=0\nStartLimitBurst=1\n"
BACKOFF = "[Lifecycle]\nRestartSec=10min\n"
FINE = (0, "OK: no problems\n")


def problems(world, *argv, **how):
    result = world.vmkeep("list", "--problems", *argv, **how)
    return result.code, result.out


def crash(world, name):
    world.kill(world.info(name)["pid"])


def failed(world):
    world.micro("a", "deaf", extra=ONCE)
    world.ok("start", "a")
    crash(world, "a")
    world.wait_state("a", "failed")
    return 2, "CRITICAL a: failed: restart limit"


def backoff(world):
    world.micro("a", "deaf", extra=BACKOFF)
    world.ok("start", "a")
    crash(world, "a")
    world.wait_state("a", "backoff")
    return 2, "CRITICAL a: down: crashed: signal 9 (SIGKILL); restarting in "


def down(world):
    world.micro("a", "deaf", extra=NO_RESTART)
    world.ok("start", "a")
    crash(world, "a")
    world.wait_state("a", "stopped")
    return 2, "CRITICAL a: down: crashed: signal 9 (SIGKILL)"


def ended_from_outside(world):
    world.micro("a", "deaf")
    world.ok("start", "a")
    world.kill(world.info("a")["pid"], "TERM")
    world.wait_state("a", "stopped")
    return 2, "CRITICAL a: down: host-signal"


def start_failed(world):
    world.micro("a", extra="[QEMU]\nArgs=-nonsense\n" + NO_RESTART)
    world.fails(7, "start", "a")
    return 1, "WARNING a: down: start failed: -nonsense: invalid option"


def start_failed_by_the_host(world):
    world.micro("a", extra="[QEMU]\nArgs=-m 4T\n" + NO_RESTART)
    world.fails(7, "start", "a")
    return 1, "WARNING a: down: start failed: cannot set up guest memory"


def panicked(world):
    world.micro("a", "panic", extra="[QEMU]\nArgs=-device pvpanic\n[Lifecycle]\nOnPanic=pause\n")
    world.ok("start", "a")
    world.wait_state("a", "paused")
    return 2, "CRITICAL a: paused: guest-panicked"


def broken(world):
    world.write("a.vm", "[VM]\nMemry=1G\n")
    return 2, "CRITICAL a: invalid: a.vm:2: Memry: unknown key in [VM]"


def badly_named(world):
    world.write("-a.vm", "")
    return 2, "CRITICAL file -a.vm: %s/-a.vm: the name must be letters" % world.config


def broken_daemon_conf(world):
    world.write("vmkeep.conf", "[Daemon]\nNonsense=1\n")
    return 2, "CRITICAL file vmkeep.conf: %s/vmkeep.conf:" % world.config


def broken_network(world):
    world.write("lab.network", "[Network]\nNonsense=1\n")
    return 2, "CRITICAL network lab: invalid: %s/lab.network:2: Nonsense: unknown key" % world.config


def dead_link(world):
    os.symlink("/nowhere/a.vm", os.path.join(world.config, "a.vm"))
    return 2, "CRITICAL a: invalid: a.vm: links to '/nowhere/a.vm', which is not there"


def dead_network(world):
    os.symlink("/nowhere", os.path.join(world.config, "lab.network"))
    return 2, "CRITICAL network lab: invalid: %s/lab.network: links to '/nowhere', which is not there" % world.config


def misspelt(world):
    world.write("Cap.VM", "[VM]\n")
    return 1, "WARNING file Cap.VM: %s/Cap.VM: is ignored, for its name does not end in .vm" % world.config


def drop_in_of_a_network(world):
    world.write("default.network.d/dns.conf", "[DNS]\nEnable=no\n")
    return 1, "WARNING file default.network.d: %s/default.network.d: is ignored, for only VMs have drop-ins" % world.config


def missing(world):
    world.micro("a", "deaf")
    world.ok("start", "a")
    os.unlink(os.path.join(world.config, "a.vm"))
    return 1, "WARNING a: file missing"


def warned(world):
    world.micro("a", "deaf", extra="[QEMU]\nArgs=-global nonsense.x=1\n")
    world.ok("start", "a")
    return 1, "WARNING a: QEMU warned at its start: global nonsense.x has invalid class name"


def silent(world):
    world.micro("a", "deaf")
    world.ok("start", "a")
    world.kill(world.info("a")["pid"], "STOP")
    world.eventually(lambda: world.rows("list")[0]["health"], lambda health: health != "ok", timeout=30)
    return 1, "WARNING a: unresponsive for "


def left_running(world):
    world.micro("a", "deaf")
    world.ok("start", "a")
    world.fails(8, "stop", "a", "--timeout", "1")
    return 1, "WARNING a: it should have stopped, but ignored the power button"


CASES = [failed, backoff, down, ended_from_outside, start_failed, start_failed_by_the_host, panicked, broken, badly_named, broken_daemon_conf,
         broken_network, dead_link, dead_network, misspelt, drop_in_of_a_network, missing, warned, silent, left_running]


RESET = (failed, down, ended_from_outside, start_failed, start_failed_by_the_host)


@pytest.mark.parametrize("make", CASES)
def test_problem(daemon, make):
    daemon.micro("fine", "deaf")
    daemon.ok("start", "fine")
    assert problems(daemon) == FINE
    code, line = make(daemon)
    got, out = problems(daemon)
    assert got == code and out.startswith(line) and len(out.splitlines()) == 1, (got, out)
    rows = daemon.vmkeep("--json", "list", "--problems")
    assert rows.code == code and '"severity": "%s"' % line.split()[0].lower() in rows.out
    if " a: " in line:
        assert problems(daemon, "a") == (code, daemon.vmkeep("list", "--problems", "a").out)
        assert problems(daemon, "fine") == FINE
        daemon.ok("reset-failed", "a") if make in RESET else None
    if make in RESET:
        assert problems(daemon) == FINE
    elif make is silent:
        daemon.kill(daemon.info("a")["pid"], "CONT")


def test_what_was_asked_for_is_no_problem(daemon):
    daemon.micro("a")
    daemon.micro("b", "deaf")
    daemon.micro("off", vm="Enable=yes\n")
    for name in "ab":
        daemon.ok("start", name)
    daemon.ok("stop", "a")
    assert problems(daemon) == FINE
    daemon.ok("pause", "b")
    assert problems(daemon) == FINE
    daemon.ok("kill", "b")
    assert problems(daemon) == FINE


def test_the_worst_comes_first(daemon):
    warned(daemon)
    daemon.write("z.vm", "[VM]\nMemry=1G\n")
    code, out = problems(daemon)
    assert code == 2 and [line.split()[0] for line in out.splitlines()] == ["CRITICAL", "WARNING"]


def test_not_started_with_the_host(world):
    world.micro("a", vm="Enable=yes\n", extra="[Lifecycle]\nRequires=nonesuch\n")
    world.start()
    world.eventually(lambda: problems(world), lambda got: got[0] == 2)
    assert problems(world)[1].startswith("CRITICAL a: not started with the host: ")
    world.ok("reset-failed", "a")
    assert problems(world) == FINE


@pytest.mark.parametrize("name, how", [("state", "full"), ("run", "full"), ("log", "full"), ("log", "read-only")])
def test_directories_that_cannot_be_written(world, name, how):
    path = {"state": world.state, "run": world.run, "log": world.log}[name]
    world.exec("mount", "-t", "tmpfs", "-o", "mode=755,size=1m", "none", path)
    world.start()
    assert problems(world) == FINE
    if how == "full":
        world.exec("sh", "-c", "cat /dev/zero >%s/x || true" % path)
    else:
        world.exec("mount", "-o", "remount,ro,bind", path)
    line = "directory %s: its file system is %s\n" % (path, how)
    assert problems(world) == ((1, "WARNING " + line) if name == "log" else (2, "CRITICAL " + line))
    world.exec(*(["rm", path + "/x"] if how == "full" else ["mount", "-o", "remount,rw,bind", path]))
    assert problems(world) == FINE
    world.stop_daemon()
    world.exec("umount", path)


def test_not_known(daemon):
    """No daemon, no right to ask, or no such VM: a check of a mistyped name must not be content."""
    daemon.micro("web1", vm="Owner=bob\n")
    assert problems(daemon, "web1") == problems(daemon, "web1", user="bob") == problems(daemon, "x*") == FINE
    assert problems(daemon, "web2") == problems(daemon, "web2", user="bob") == (3, "UNKNOWN: no such VM: web2\n")
    daemon.micro("web3")
    assert problems(daemon, "web3", user="bob") == (3, "UNKNOWN: no such VM: web3\n")
    os.unlink(os.path.join(daemon.config, "web1.vm"))
    assert problems(daemon, user="alice", groups=["vmkeep-view"]) == FINE
    code, out = problems(daemon, user="bob")
    assert code == 3 and out.startswith("UNKNOWN: permission denied: bob may not list VMs")
    daemon.kill_daemon()
    code, out = problems(daemon)
    assert code == 3 and out.startswith("UNKNOWN: vmkeepd is not running")
    daemon.start()
    assert problems(daemon) == FINE
