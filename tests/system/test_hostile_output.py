# SPDX-License-Identifier: MIT
"""What a compromised QEMU does to the files that it writes costs the host a limited number of bytes per second, and
affects nothing else: not the daemon's time, not other guests' output, not the records of users' requests."""
import os
import re
import struct
import time

import pytest

import vmk
from hostile import make, unwell
from hostile_output import BEHAVIOUR, ROUNDS_AT, TOLD

MIB = 1 << 20
TRICKS = sorted(n for n in BEHAVIOUR if n.startswith("out-") and n not in ("out-honest", "out-told", "out-typed"))
SERIALS = "[Serial console]\n[Serial second]\nType=virtio\n[Lifecycle]\nReadyWhen=notify\n"
BURST, A_SECOND = 8.5 * MIB, (1 + 1 / 16) * MIB  # consoles and notify lines, and stderr
SLACK = 2 * MIB  # records, answers, the daemon's own log


def configure(world, name, text):
    with open(os.path.join(world.config, name + ".vm"), "a", encoding="utf-8") as f:
        f.write(text)


def rounds(world, name):
    with open(os.path.join(world.images, name + ".raw"), "rb") as f:
        return struct.unpack("<Q", os.pread(f.fileno(), 8, ROUNDS_AT))[0]


def some_more(world, name, n=20):
    """Waits until the program has repeated its trick this many times."""
    seen = rounds(world, name)
    world.eventually(lambda: rounds(world, name), lambda now: now >= seen + n, timeout=30)


def written(world):
    """Bytes written by the daemon, to any file."""
    return int(re.search(r"wchar: (\d+)", vmk.read_text("/proc/%d/io" % world.daemon_pid())).group(1))


@pytest.mark.parametrize("how", TRICKS)
def test_a_trick_costs_its_own_bytes(hostile, how):
    """With this daemon, with the next one, and at the end, when the rest is read."""
    hostile.micro("good", "echo")
    console = hostile.up("good")
    make(hostile, how)
    configure(hostile, how, SERIALS)
    hostile.ok("start", how)
    for _ in range(2):
        begin, before, pid = time.monotonic(), written(hostile), hostile.daemon_pid()
        for word in ("one", "two", "three"):
            some_more(hostile, how)
            console.type(word)
            console.until(word)
            assert hostile.states() == {"good": "running", how: "running"}
        grown, allowed = written(hostile) - before, BURST + A_SECOND * (time.monotonic() - begin)
        assert grown <= allowed + SLACK, (grown, allowed)
        assert hostile.daemon_pid() == pid and hostile.info("good")["health"] == "ok"
        console.end()
        hostile.kill_daemon()
        some_more(hostile, how)
        hostile.start()
        console = hostile.console("good")
    before = written(hostile)
    hostile.ok("kill", how)
    assert hostile.info(how)["state"] == "stopped"
    assert written(hostile) - before <= BURST + SLACK
    console.type("alive")
    console.until("alive")


def test_an_answer_without_end_to_what_is_typed(hostile):
    """It is read, so that the guest does not stall, but only at a limited rate."""
    make(hostile, "out-typed")
    hostile.ok("start", "out-typed")
    console = hostile.console("out-typed")
    console.type("x")
    hostile.eventually(lambda: rounds(hostile, "out-typed"), lambda n: n > MIB, timeout=20)
    begin, before = time.monotonic(), rounds(hostile, "out-typed")
    some_more(hostile, "out-typed", 8 * MIB)
    grown = rounds(hostile, "out-typed") - before
    assert grown <= 64 * 1024 * 100 * (time.monotonic() - begin) + 2 * MIB, grown
    hostile.ok("kill", "out-typed")


def test_an_honest_neighbour_loses_nothing(hostile):
    """Its 200 KB/s are not affected by another guest's flood."""
    make(hostile, "out-flood")
    make(hostile, "out-honest")
    hostile.ok("start", "out-flood")
    hostile.ok("start", "out-honest")
    log = os.path.join(hostile.log, "out-honest", "console.log")
    hostile.eventually(lambda: os.path.exists(log) and vmk.read_text(log)[-9:], lambda end: end == "all told\n", timeout=60)
    lines = vmk.read_text(log).splitlines()
    assert [int(line[:7]) for line in lines[:-1]] == list(range(20000))


@pytest.mark.parametrize("end", ["calm", "kill"])
def test_what_was_dropped_is_told_once(hostile, end):
    """The exact number of bytes is reported once, in the console's log and in the daemon's, when the flood is over or
    the port closes. The end of the output is kept."""
    make(hostile, "out-told")
    configure(hostile, "out-told", "[Serial console]\nLogSize=64M\n")
    hostile.ok("start", "out-told")
    log, own = os.path.join(hostile.log, "out-told", "console.log"), os.path.join(hostile.base, "daemon.log")
    hostile.eventually(lambda: rounds(hostile, "out-told"), lambda n: n == 1, timeout=30)
    if end == "calm":
        hostile.eventually(lambda: vmk.read_text(log), lambda text: "final line" in text, timeout=15)
    hostile.ok("kill", "out-told")
    text = vmk.read_text(log)
    said = re.findall(r"\n--- at least (\d+) bytes before this were dropped ---\n", text)
    assert len(said) == 1
    kept = len(re.sub(r"\n--- at least .* ---\n", "", text))
    assert kept + int(said[0]) == TOLD and 8 * MIB <= kept
    assert text.endswith("final line\n")
    assert re.findall(r"console 'console': at least (\d+) bytes were dropped", vmk.read_text(own)) == said


# State changes.

@pytest.mark.parametrize("how", ["chg-toggle", "chg-slower", "chg-stops", "chg-errors", "chg-balloon", "chg-agent", "chg-status"])
def test_changes_that_nobody_asked_for_cost_the_monitor(hostile, how):
    """After about thirty, all recorded in logs, history and events, the monitor is disconnected. The guest keeps
    running."""
    make(hostile, how)
    configure(hostile, how, SERIALS)
    watcher = hostile.client()
    watcher.call("subscribe")
    hostile.ok("start", how)
    info = unwell(hostile, how)
    assert info["health"] == "unresponsive: hostile" and info["state"] in ("running", "paused")
    assert "floods us with unsolicited state changes" in info["unresponsive_reason"]
    some_more(hostile, how, 500)
    assert len(hostile.rows("history", how)) < 60
    log = [line for line in vmk.read_text(os.path.join(hostile.base, "daemon.log")).splitlines() if "vm " + how in line]
    assert len(log) < 100, len(log)
    watcher.call("vm-list")
    assert len(watcher.events) < 100
    watcher.close()
    hostile.ok("kill", how)
    assert hostile.info(how)["state"] == "stopped"


@pytest.mark.parametrize("how", ["chg-patient", "chg-short"])
def test_changes_below_the_limit_are_told_in_few_records(hostile, how):
    """Requests of users all have their own record; of the other changes, the last one has a record with their number.
    The same applies to pauses that are over before QEMU gives the reason."""
    make(hostile, how)
    hostile.ok("start", how)
    some_more(hostile, how, 45)
    hostile.ok("reset", how)
    some_more(hostile, how, 45)
    assert hostile.info(how)["health"] == "ok"
    hostile.ok("kill", how)
    rows = hostile.eventually(lambda: hostile.rows("history", how), lambda rows: rows[-1]["event"] == "stopped", timeout=15)
    assert [row["event"] for row in rows if row["who"] == "root"] == ["start", "reset", "kill"]
    assert len(rows) < 65
    more = sum(int(n) for row in rows for n in re.findall(r"(\d+) more in the preceding seconds", row["reason"]))
    assert more + len(rows) > 80


def test_hooks_are_not_flooded(hostile):
    """Four run, and one with the latest event waits; hooks of another VM are run too."""
    told, go = os.path.join(hostile.base, "told"), os.path.join(hostile.base, "go")
    path = hostile.write("hooks.d/all", "#!/bin/sh\necho $1 $2 >>%s\nuntil test -e %s; do sleep 0.1; done\n" % (told, go))
    os.chmod(path, 0o755)
    make(hostile, "chg-errors")
    hostile.micro("good", "deaf", extra="[Lifecycle]\nRestart=no\n")
    hostile.up("good")
    hostile.ok("start", "chg-errors")
    unwell(hostile, "chg-errors")
    hostile.kill(hostile.info("good")["pid"])
    hostile.wait_state("good", "stopped")
    open(go, "w", encoding="utf-8").close()
    lines = hostile.eventually(lambda: vmk.read_text(told).splitlines(), lambda lines: {"good failed", "chg-errors unresponsive"} <= set(lines), timeout=20)
    assert lines.count("chg-errors io-error") <= 5 and lines.count("chg-errors unresponsive") == 1
    hostile.ok("kill", "chg-errors")


@pytest.mark.parametrize("how", ["chg-reset", "chg-report"])
def test_what_a_guest_may_do_costs_nothing(hostile, how):
    """A guest that resets forever, or reads a broken disk, keeps its monitor, and nothing is written."""
    make(hostile, how)
    configure(hostile, how, SERIALS)
    hostile.ok("start", how)
    some_more(hostile, how, 100)
    before, seen = written(hostile), rounds(hostile, how)
    some_more(hostile, how, 400)
    info = hostile.info(how)
    assert (info["health"], info["state"]) == ("ok", "running")
    assert written(hostile) - before < 64 * (rounds(hostile, how) - seen) + (64 << 10)


def test_what_people_ask_for_does_not_count(hostile):
    """Requests of users do not count, however many there are."""
    hostile.micro("a", "deaf")
    hostile.up("a")
    client = hostile.client()
    for _ in range(60):
        client.call("vm-pause", name="a")
        client.call("vm-resume", name="a")
    client.close()
    info = hostile.info("a")
    assert (info["health"], info["state"]) == ("ok", "running")
