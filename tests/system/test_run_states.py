# SPDX-License-Identifier: MIT
"""A guest that stops by itself has a reason, and one that cannot continue has ended: after an internal error of KVM
or QEMU only a reset helps."""
import json
import os
import re

import pytest

import vmk
from hostile import make
from hostile_states import STATES

CRASHED = "crashed: KVM internal error. Suberror: 1, emulation failure"


def lifecycle(world, name, text):
    make(world, name)
    with open(os.path.join(world.config, name + ".vm"), "a", encoding="utf-8") as f:
        f.write(text)


def history(world, name):
    return [(row["event"], row["reason"]) for row in world.rows("history", name)]


def test_internal_error_is_a_crash(hostile):
    """Reported with KVM's text by info, history and hook, and never as a pause by a user."""
    told = os.path.join(hostile.base, "told")
    hook = os.path.join(hostile.base, "hook")
    with open(hook, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\necho \"$3\" >>%s\n" % told)
    os.chmod(hook, 0o755)
    lifecycle(hostile, "is-internal-error", "[Lifecycle]\nRestart=no\n[Hooks]\nFailed=%s\n" % hook)
    hostile.vmkeep("start", "is-internal-error")
    info = hostile.wait_state("is-internal-error", "stopped")
    assert info["reason"] == CRASHED
    rows = history(hostile, "is-internal-error")
    assert rows[-1] == ("stopped", CRASHED) and "paused" not in [event for event, _ in rows]
    hostile.eventually(lambda: os.path.exists(told) and vmk.read_text(told), lambda text: text == CRASHED + "\n")
    assert "Code=0f 22 c0" in hostile.ok("log", "is-internal-error", "qemu")


@pytest.mark.skipif(vmk.ACCEL != "kvm", reason="TCG emulates every instruction; check-release runs this")
def test_kvm_gives_a_guest_up(daemon):
    daemon.micro("a", "internal", extra="[Lifecycle]\nRestart=no\n")
    daemon.ok("start", "a")
    assert daemon.wait_state("a", "stopped", timeout=60)["reason"] == CRASHED


def test_internal_error_restarts(hostile):
    lifecycle(hostile, "is-internal-error", "[Lifecycle]\nRestart=on-failure\nRestartSec=0\nStartLimitBurst=3\n")
    hostile.vmkeep("start", "is-internal-error")
    reason = hostile.wait_state("is-internal-error", "failed", timeout=60)["reason"]
    assert reason.endswith("last: " + CRASHED)
    events = [event for event, why in history(hostile, "is-internal-error") if CRASHED in why]
    assert events == ["crashed", "crashed", "failed"]


@pytest.mark.parametrize("verb", ["stop", "pause"])
def test_internal_error_meets_a_verb(hostile, verb):
    """The verb reports neither "ignored the power button" nor "paused"."""
    name = "is-when-" + {"stop": "stopped", "pause": "paused"}[verb]
    lifecycle(hostile, name, "[Lifecycle]\nRestart=no\n")
    hostile.ok("start", name)
    said = str(hostile.vmkeep(verb, name))
    assert hostile.wait_state(name, "stopped")["reason"] == CRASHED
    assert "ignored" not in said


def test_io_error_during_a_stop(hostile):
    """The guest did not ignore the button: it is paused."""
    name = "is-io-error-when-stopped"
    make(hostile, name)
    hostile.ok("start", name)
    said = hostile.fails(8, "stop", "--timeout", "1s", name)
    assert "nospace on root" in said and "ignored" not in said
    assert hostile.wait_state(name, "paused")["reason"].startswith("io-error: nospace")


def test_internal_error_without_a_daemon(hostile):
    lifecycle(hostile, "is-when-alone", "[Lifecycle]\nRestart=no\n")
    hostile.ok("start", "is-when-alone")
    hostile.kill_daemon()
    hostile.start()
    assert hostile.wait_state("is-when-alone", "stopped")["reason"] == CRASHED


ENDED = {"guest-panicked": "guest-panicked", "shutdown": "guest-shutdown", "watchdog": "watchdog"}
WHY = {"debug": "debug: a debugger stopped the guest", "inmigrate": "inmigrate: ", "postmigrate": "postmigrate: ",
       "of-the-future": "of-the-future", "suspended": ""}


@pytest.mark.parametrize("status", [s for s in STATES if s != "internal-error"])
def test_others(hostile, status):
    """A guest that has ended is cleaned up; a paused one has a reason and can be resumed."""
    name = "is-" + status
    lifecycle(hostile, name, "[Lifecycle]\nOnPanic=stop\nOnWatchdog=stop\n")
    hostile.vmkeep("start", name)
    if status in ENDED:
        assert hostile.wait_state(name, "stopped")["reason"] == ENDED[status]
    elif status == "suspended":
        assert hostile.wait_state(name, "running")["reason"] == ""
    else:
        assert hostile.wait_state(name, "paused")["reason"].startswith(WHY.get(status, status))
        hostile.kill_daemon()
        hostile.start()
        if status not in ("save-vm", "finish-migrate"):  # these states do not outlive their job
            assert hostile.wait_state(name, "paused")["reason"].startswith(WHY.get(status, status))
        hostile.ok("resume", name)
        assert hostile.info(name)["state"] == "running"


def settled(world, name):
    """The VM's state once all pending answers have arrived."""
    world.ok("qmp", name, '{"execute": "query-status"}')
    return world.info(name)["state"]


def test_resumed_while_asked(hostile):
    """The devices' reason for a pause comes too late if the guest has been resumed in the meantime."""
    make(hostile, "is-resumed-in-between")
    hostile.ok("start", "is-resumed-in-between")
    hostile.wait_state("is-resumed-in-between", "paused")
    hostile.kill_daemon()
    hostile.start()
    hostile.wait_state("is-resumed-in-between", "running")
    assert settled(hostile, "is-resumed-in-between") == "running"


def test_a_late_watchdog(hostile):
    make(hostile, "is-bitten-before")
    hostile.ok("start", "is-bitten-before")
    assert settled(hostile, "is-bitten-before") == "running"
    assert [event for event, _ in history(hostile, "is-bitten-before")] == ["start", "running", "qmp"]


def test_the_table_is_whole(daemon):
    """Each run state of this QEMU has a row in run_state.c."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    schema = daemon.one("qmp", "a", json.dumps({"execute": "query-qmp-schema"}))["return"]
    states = next(row["values"] for row in schema if row["meta-type"] == "enum" and "internal-error" in row["values"])
    table = vmk.read_text(os.path.join(vmk.ROOT, "supervisor", "vm", "run_state.c"))
    assert set(states) <= set(re.findall(r'^\t\{ "([a-z-]+)",', table, re.M))
