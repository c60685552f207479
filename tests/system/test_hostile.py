# SPDX-License-Identifier: MIT
"""A program in QEMU's place does what a compromised QEMU could do: it is refused, affects nothing else, and the
daemon reports it. (The program is hostile_qemu.py; the VM's name selects its behaviour.)"""
import json
import os
import pathlib
import re
import socket

import pytest

import vmk
from hostile import OUT_MAX, make, rss, unwell

LIMIT = 16 << 20  # limit of the daemon's memory, whatever users do
JOBS_KEPT = 32  # as in supervisor/core/job.h
FLOODS = {
    "events": "floods us with unsolicited state changes",
    "strays": "floods us with unsolicited messages",
    "bytes": "floods us with bytes",
    "garbage": "broke the protocol",
    "deep": "broke the protocol",
    "huge": "broke the protocol",
}


@pytest.mark.parametrize("how", FLOODS)
def test_a_flood_costs_its_connection(hostile, how):
    """It affects neither the guest nor others; and the guest can be killed."""
    hostile.micro("good", "echo")
    console = hostile.up("good")
    make(hostile, how)
    hostile.ok("start", how)
    info = unwell(hostile, how)
    assert info["health"] == "unresponsive: hostile" and info["state"] == "running"
    assert info["unresponsive_reason"].startswith("hostile: ") and FLOODS[how] in info["unresponsive_reason"]
    assert "closed" in hostile.ok("log", how)
    row, = [r for r in hostile.rows("list") if r["name"] == how]
    assert row["health"] == "unresponsive: hostile"
    console.type("hello")
    console.until("hello")
    assert hostile.info("good")["health"] == "ok"
    hostile.ok("kill", how)
    assert hostile.info(how)["state"] == "stopped"


AGENTS = {  # exit code of `guest ping`, its message, and the message of a second one
    "agent-silent": (6, "may still complete it", "may still complete it"),
    "agent-noise": (6, "does not answer", "does not answer"),
    "agent-marks": (6, "does not answer", "does not answer"),
    "agent-endless": (1, "answer to", "."),  # the answer may be drowned, or come on a new connection
    "agent-deep": (1, "answer to", "answer to"),
    "agent-garbage": (1, "answer to", "answer to"),
    "agent-odd": (0, "answers", "answers"),
    "agent-gone": (8, "went away", "."),
}


@pytest.mark.parametrize("how", AGENTS)
def test_an_agent_costs_who_asks_it(hostile, how):
    """Only its own client: time, bytes and nesting are limited, and nothing else is affected: the guest, its
    neighbour and the daemon."""
    hostile.micro("good", "echo")
    console = hostile.up("good")
    make(hostile, how)
    hostile.ok("start", how)
    hostile.eventually(lambda: hostile.info(how).get("agent"), lambda agent: agent == "open")
    before = rss(hostile)
    code, *words = AGENTS[how]
    if code == 6:  # nothing else waits for it
        client = hostile.client(timeout=15)
        ping = client.send("guest-ping", {"name": how})
        client.before(ping, "vm-list")
        other = hostile.client()
        for _ in range(50):
            other.call("vm-list")
        other.close()
        with pytest.raises(vmk.Error, match=words.pop()):
            client.result(ping)
        client.close()
    for word in words:
        asked = hostile.stream("guest", "ping", how)
        ended = asked.wait(15)
        said = asked.text + asked.stderr()
        assert word == "." or (ended, word in said) == (code, True), (ended, said)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", said), said
    assert rss(hostile) - before < 8 << 20
    assert hostile.info(how)["health"] == "ok"
    console.type("hello")
    console.until("hello")
    hostile.ok("kill", how)


def test_results_of_jobs_are_not_kept(hostile):
    """An owner fetches 2 MiB from the guest's agent, many times, and waits for none of it."""
    make(hostile, "agent-heaps", vm="Owner=alice\n")
    hostile.ok("start", "agent-heaps")
    hostile.eventually(lambda: hostile.info("agent-heaps").get("agent"), lambda agent: agent == "open")
    alice = hostile.client(uid=vmk.USERS["alice"])
    for _ in range(JOBS_KEPT):
        alice.call("guest-exec", name="agent-heaps", command=["x"], wait=False)
        hostile.eventually(lambda: hostile.rows("jobs"), lambda rows: not rows, timeout=60)
    assert rss(hostile) < LIMIT


def test_what_jobs_wait_with_is_counted(hostile):
    """An operator queues large commands for a silent agent, and waits for none of them: they count as what this user
    holds until the jobs end, so that more are refused or cost the connection."""
    make(hostile, "agent-silent")
    hostile.ok("start", "agent-silent")
    hostile.eventually(lambda: hostile.info("agent-silent").get("agent"), lambda agent: agent == "open")

    def queue():
        bob = hostile.client(uid=vmk.USERS["bob"], groups=[vmk.GROUPS["vmkeep"]])
        try:
            bob.call("guest-exec", name="agent-silent", command=["x" * 900000], wait=False)
        except (OSError, EOFError, vmk.Error) as e:
            return str(e)
        finally:
            bob.close()
        return "queued"
    said = [queue() for _ in range(16)]
    assert 1 <= said.count("queued") <= (2 << 20) // 900000, said
    assert rss(hostile) < LIMIT
    hostile.eventually(lambda: hostile.rows("jobs"), lambda rows: not rows, timeout=60)
    assert queue() == "queued"


def test_what_is_no_monitor_does_not_start(hostile):
    make(hostile, "silent")
    said = hostile.fails(7, "start", "silent")
    assert "broke the protocol" in said
    info = hostile.info("silent")
    assert info["pid"] is None and info["state"] in ("stopped", "backoff", "failed")


def test_lies_are_only_words(hostile):
    """Wrong types and odd bytes in every reply and event: all verbs complete, and no terminal is harmed."""
    make(hostile, "lies")
    hostile.vmkeep("start", "lies")
    hostile.eventually(lambda: hostile.info("lies"), lambda info: info["state"] in ("paused", "running"))
    client = hostile.client(timeout=15)  # a false success makes the verb wait for its 10 s
    for verb, arguments in [("vm-resume", {}), ("vm-info", {}), ("vm-list", None), ("vm-reset", {}),
                            ("vm-qmp", {"command": "query-status"})]:
        try:
            client.call(verb, **({"name": "lies", **arguments} if arguments is not None else {}))
        except vmk.Error:
            pass
    client.close()
    for words in (["list"], ["info", "lies"], ["log", "lies", "--qemu"]):
        result = hostile.vmkeep(*words)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", result.out + result.err), result
    assert {row["name"] for row in hostile.rows("list")} == {"lies"}
    record = json.loads(vmk.read_text(hostile.inner(hostile.run) + "/vms/lies/record.json"))
    assert record["pid"] == hostile.info("lies")["pid"]
    log = vmk.read_text(os.path.join(hostile.base, "daemon.log"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", log)
    hostile.kill_daemon()
    hostile.start()
    assert hostile.info("lies")["pid"] == record["pid"]


def test_connection_that_drops_mid_command(hostile):
    """F44: a command whose reply is lost is not repeated; instead QEMU's state is queried."""
    make(hostile, "drops")
    hostile.ok("start", "drops")
    console = hostile.console("drops")
    result = hostile.vmkeep("pause", "drops")
    assert hostile.wait_state("drops", "paused")["health"] == "ok"
    assert result.code == 10 and "'stop' was not answered" in result.err, result
    console.until('"stops": 1')
    hostile.ok("kill", "drops")
    assert '"stops": 2' not in hostile.ok("log", "drops")


def used(world, name):
    st = os.statvfs(world.inner(world.run) + "/vms/%s/out" % name)
    return (st.f_blocks - st.f_bfree) * st.f_frsize, st.f_blocks * st.f_frsize


@pytest.mark.parametrize("away", [False, True], ids=["daemon", "no daemon"])
def test_output_has_a_bound(hostile, away):
    """A flood on console and stderr is cut off at the limit, the program keeps running, the next daemon drains it,
    and the logs stay within their limits."""
    make(hostile, "files")
    hostile.ok("start", "files")
    if away:
        hostile.kill_daemon()
        hostile.eventually(lambda: used(hostile, "files"), lambda u: u[0] == u[1] == OUT_MAX)
        hostile.start()
    hostile.eventually(lambda: used(hostile, "files")[0], lambda n: n < OUT_MAX // 2, timeout=60)
    hostile.eventually(lambda: hostile.info("files")["health"], lambda health: health == "ok")
    hostile.eventually(lambda: hostile.vmkeep("log", "files", "qemu").out, lambda text: "final line" in text, timeout=60)
    info = hostile.info("files")
    assert (info["health"], info["state"]) == ("ok", "running")
    hostile.ok("kill", "files")
    logs = [path.read_bytes() for path in pathlib.Path(hostile.log, "files").glob("qemu.log*")]
    assert sum(map(len, logs)) <= 5 << 20
    assert any(b"final line" in text for text in logs) and any(b"were dropped" in text for text in logs)


def test_everything_else_is_refused(hostile):
    """Files, processes, networks, the daemon's records and sockets, replaced paths, privileges."""
    hostile.micro("good", "echo")
    console = hostile.up("good")
    good = hostile.info("good")
    secret = hostile.write("../secret", "nobody reads this")
    os.chmod(secret, 0o644)
    vms = hostile.run + "/vms"
    files = [secret, "/etc/passwd", "/etc/shadow", hostile.images + "/good.raw", hostile.state + "/vms/good/identity.json",
             hostile.state + "/vms/attacks/identity.json", vms + "/attacks/record.json", vms + "/good/record.json",
             vms + "/attacks/out/serial-console", hostile.log + "/good/console.log", hostile.config + "/good.vm",
             "/proc/1/environ", "/proc/self/fd/5", "/dev/kmsg", "/dev/mem"]
    sockets = [hostile.socket, vms + "/good/qmp.sock", vms + "/attacks/qmp.sock", "/run/systemd/private"]
    daemon = int(hostile.exec("pidof", "vmkeepd"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0vmkeep-test-%d" % os.getpid())
        listener.listen()
        aim = {"pids": [1, daemon, good["pid"]], "files": files, "sockets": sockets,
               "abstract": "\0vmkeep-test-%d" % os.getpid()}
        before = {p: os.stat(hostile.inner(p)) for p in files if os.path.exists(hostile.inner(p))}
        make(hostile, "attacks", json.dumps(aim).encode())
        hostile.ok("start", "attacks")
        found = json.loads(hostile.stream("console", "attacks", "--lines", "100").until(r"\{.*\}\r?\n").group())
    uid = hostile.info("attacks")["uid"]
    assert found["uid"] == [uid] * 3 and found["groups"] == [] and uid != good["uid"]
    assert set(found["read"].values()) == {"ENOENT"}
    assert set(found["write"].values()) <= {"ENOENT", "EROFS", "EACCES"}
    assert set(found["list"].values()) <= {"ENOENT", "EACCES"}
    refused = {"ENOENT", "EROFS", "EACCES", "EPERM", "EBUSY", "EXDEV", "ENOTDIR"}
    for group in ("swap", "unix"):
        assert set(found[group].values()) <= refused, (group, found[group])
    for group in ("signal", "group", "trace", "memory", "pidfd"):
        assert set(found[group].values()) <= {"EPERM", "ESRCH"}, (group, found[group])
    for group in ("trace", "memory", "pidfd"):  # these are refused without looking at the target
        assert set(found[group].values()) == {"EPERM"}, (group, found[group])
    assert set(found["nets"].values()) == {"EAFNOSUPPORT"}
    assert found["abstract"] == "EPERM"  # otherwise it would be in another network namespace
    assert set(found["become"].values()) <= {"EPERM", "EACCES"}
    # /dev/null twice, stderr, monitor, serial socket and its output, Python's own connection, the agent's
    assert {int(fd) for fd in found["descriptors"]} <= {0, 1, 2, 3, 4, 5, 6, 20}
    for path, st in before.items():
        now = os.stat(hostile.inner(path))
        if path not in (vms + "/attacks/record.json", vms + "/attacks/out/serial-console", hostile.log + "/good/console.log"):
            assert (now.st_ino, now.st_mode, now.st_uid) == (st.st_ino, st.st_mode, st.st_uid), path
    console.type("alive")
    console.until("alive")
    assert hostile.info("good")["pid"] == good["pid"]
