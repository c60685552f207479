# SPDX-License-Identifier: MIT
"""The reason why a VM is down is shown until its next start, whatever happens to the daemon: a stop, a SIGKILL, a
reexec, or a reboot of the host, after which only the state directory is left."""
import os
import re
import shutil

import pytest

import test_problems
import vmk

ONE_RUN = ("uptime", "resets", "ready", "resources")


def told(world):
    """What list, info and list --problems show, without values that change with time."""
    rows = [{k: v for k, v in row.items() if k not in ONE_RUN} for row in world.rows("list")]
    infos = {}
    for row in rows:
        info = world.info(row["name"])
        infos[row["name"]] = {k: info.get(k) for k in ("state", "reason", "want", "error", "since")}
        kept = os.path.join(world.state, "vms", row["name"], "ended.json")
        if info["pid"] or not os.path.exists(kept):  # never ran: since the daemon knows it
            del infos[row["name"]]["since"]
    code, out = test_problems.problems(world)
    return rows, infos, code, re.sub(r"[0-9]+ s\b", "N s", out)


def stop(world):
    world.stop_daemon()
    world.start()


def kill(world):
    world.kill_daemon()
    world.start()


def reexec(world):
    world.ok("reexec")


@pytest.fixture(autouse=True)
def same_boot_again(daemon):
    yield
    while vmk.BOOT_ID in daemon.mount_points():
        daemon.exec("umount", vmk.BOOT_ID)


def boot_host(world):
    """Reboots the host: no processes, an empty RUN, another boot id."""
    world.kill_daemon()
    for pid in world.processes():
        world.kill(pid)
    run = world.inner(world.run)
    for name in os.listdir(run):
        path = os.path.join(run, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    world.another_boot()
    world.start()


def powered_off(world):
    world.micro("a")
    world.ok("start", "a")
    world.ok("stop", "a")


def killed(world):
    world.micro("a", "deaf")
    world.ok("start", "a")
    world.ok("kill", "a")


def reset(world):
    test_problems.down(world)
    world.ok("reset-failed", "a")


def started_by_nobody(world):
    world.micro("a", vm="Enable=yes\n", extra="[Lifecycle]\nRequires=nonesuch\n")
    boot_host(world)
    world.eventually(lambda: test_problems.problems(world)[0], lambda code: code == 2)


def refused(world):
    """A start that fails before there is a process."""
    world.write("a.vm", "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=nowhere.raw\n")
    world.fails(4, "start", "a")


CASES = [case for case in test_problems.CASES if case.__name__ not in ("broken_daemon_conf",)] + [
    powered_off, killed, reset, started_by_nobody, refused]


@pytest.mark.parametrize("make", CASES)
def test_reason_outlives_the_daemon(daemon, make):
    make(daemon)
    daemon.eventually(lambda: all(row["state"] != "starting" for row in daemon.rows("list")), bool)
    before = told(daemon)
    for again in (stop, kill, reexec):
        again(daemon)
        if make is test_problems.silent:  # its events are processed only when it answers again
            daemon.eventually(lambda: daemon.rows("list")[0]["health"], lambda health: health != "ok", timeout=30)
        assert told(daemon) == before, again.__name__
    if make is test_problems.silent:
        daemon.kill(daemon.info("a")["pid"], "CONT")


AT_REST = [test_problems.failed, test_problems.down, test_problems.ended_from_outside, test_problems.start_failed,
           powered_off, killed, reset, started_by_nobody, refused]


@pytest.mark.parametrize("make", AT_REST)
def test_reason_outlives_the_host(daemon, make):
    make(daemon)
    before = told(daemon)
    for again in (boot_host, kill):
        again(daemon)
        if make is started_by_nobody:  # the next boot reports it again
            daemon.eventually(lambda: test_problems.problems(daemon)[0], lambda code: code == 2)
            before[1]["a"]["since"] = daemon.info("a")["since"]
        assert told(daemon) == before, again.__name__


def test_a_restart_that_the_host_prevented(daemon):
    """It was in backoff: nothing starts it after the reboot, and the reason is kept."""
    test_problems.backoff(daemon)
    boot_host(daemon)
    info = daemon.info("a")
    assert (info["state"], info["reason"]) == ("stopped", "crashed: signal 9 (SIGKILL)")
    assert test_problems.problems(daemon) == (2, "CRITICAL a: down: crashed: signal 9 (SIGKILL)\n")


def test_the_host_went_down_under_it(daemon):
    """The reason is not that of an earlier end, and is recorded once."""
    daemon.micro("a", "deaf")
    killed(daemon)
    daemon.ok("start", "a")
    boot_host(daemon)
    for _ in range(2):
        info = daemon.info("a")
        assert (info["state"], info["reason"], info["want"]) == ("stopped", "host-down", "stopped")
        kill(daemon)
    assert [row["reason"] for row in daemon.rows("history", "a") if row["event"] == "stopped"] == ["killed", "host-down"]
    daemon.ok("start", "a")
    assert daemon.info("a")["reason"] == ""


def test_a_boot_tells_its_own(daemon):
    """A VM that the last boot did not start, and that this boot need not start, is not a problem."""
    started_by_nobody(daemon)
    daemon.micro("a")
    daemon.stop_daemon()
    daemon.exec("umount", vmk.BOOT_ID)
    daemon.start()
    assert test_problems.problems(daemon) == test_problems.FINE
    assert daemon.info("a")["reason"].startswith("not started: ")


def test_a_reason_moves_with_the_name(daemon):
    test_problems.down(daemon)
    uuid = daemon.info("a")["uuid"]
    text = vmk.read_text(os.path.join(daemon.config, "a.vm"))
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.write("b.vm", text.replace("[VM]\n", "[VM]\nUUID=%s\n" % uuid, 1))
    assert daemon.info("b")["reason"] == "crashed: signal 9 (SIGKILL)"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "reason": 5}', "\0" * 4096])
def test_a_damaged_file_costs_the_reason_alone(daemon, text):
    killed(daemon)
    daemon.stop_daemon()
    path = os.path.join(daemon.state, "vms", "a", "ended.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    daemon.start()
    info = daemon.info("a")
    assert (info["state"], info["reason"]) == ("stopped", "")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    stop(daemon)
    assert daemon.info("a")["reason"] == "killed"
