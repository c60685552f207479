# SPDX-License-Identifier: MIT
"""A reboot is recorded: it survives its client and its daemon, and never shuts down a guest that would not start
again."""
import json
import os

import pytest

import vmk


def rebooting(daemon):
    """A guest that ignores its power button, during a reboot; returns its pid."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    client = daemon.client()
    client.call("vm-reboot", name="a", wait=False)
    client.close()
    info = daemon.info("a")
    assert (info["state"], info["want"]) == ("stopping", "restart")
    return info["pid"]


@pytest.mark.parametrize("end", ["kill_daemon", "stop_daemon"])
def test_outlives_its_daemon(daemon, end):
    pid = rebooting(daemon)
    getattr(daemon, end)()
    daemon.start()
    assert [row["verb"] for row in daemon.rows("jobs")] == ["vm-reboot"]
    assert daemon.info("a")["want"] == "restart"
    daemon.kill(pid)  # however it ends
    info = daemon.wait_state("a", "running", timeout=60)
    assert info["pid"] != pid and info["want"] == "running"


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_called_off(daemon, verb):
    pid = rebooting(daemon)
    client = daemon.client()
    client.call("vm-" + verb, name="a", wait=False)
    client.close()
    assert daemon.info("a")["want"] == "stopped"
    if verb == "stop":
        daemon.kill(pid)
    info = daemon.wait_state("a", "stopped", timeout=60)
    assert info["want"] == "stopped"


def typo(daemon):
    with open(os.path.join(daemon.config, "a.vm"), "a", encoding="utf-8") as f:
        f.write("Typo=1\n")


def no_file(daemon):
    os.unlink(os.path.join(daemon.config, "a.vm"))


def no_image(daemon):
    os.rename(os.path.join(daemon.images, "a.raw"), os.path.join(daemon.images, "b.raw"))


@pytest.mark.parametrize("harm", [typo, no_file, no_image])
def test_looks_first(daemon, harm):
    daemon.micro("a", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    harm(daemon)
    result = daemon.vmkeep("reboot", "a")
    assert result.code != 0 and "would not start again" in result.err and "left running" in result.err, result
    info = daemon.info("a")
    assert (info["state"], info["want"], info["pid"]) == ("running", "running", pid)


def test_history(daemon):
    daemon.micro("a", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    daemon.ok("reboot", "a")
    events = [(row["event"], row["who"] or "") for row in daemon.rows("history", "a")]
    assert any(event == "reboot" and who == "root" for event, who in events), events
    assert events[-1][0] == "running" and not any(who == "policy" for _, who in events), events


def rewrite(daemon, **members):
    """Changes the run record that a daemon left."""
    path = os.path.join(daemon.run, "vms/a/record.json")
    with open(path, encoding="utf-8") as f:
        record = json.load(f)
    record.update(members)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(record, f)


def test_start_while_a_servant_is_ended(daemon):
    """A process that was started for an operation is ended with it; a start in the meantime starts the VM."""
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\n")
    daemon.ok("start", "--paused", "a")
    pid = daemon.info("a")["pid"]
    daemon.kill_daemon()
    rewrite(daemon, serves="snapshot-revert 'x'")
    daemon.kill(pid, "STOP")  # only SIGKILL ends it, which takes the daemon a moment
    daemon.start()
    daemon.ok("start", "a")
    info = daemon.info("a")
    assert info["pid"] != pid and (info["state"], info["want"]) == ("running", "running")


@pytest.mark.parametrize("how", ["pause", "start --paused"])
@pytest.mark.parametrize("want", ["stopped", "restart"])
def test_paused_is_let_go_to_stop(daemon, how, want):
    """The daemon died after it had recorded the stop, but before QEMU got `cont`."""
    daemon.micro("a", extra="[Lifecycle]\nRestart=no\nOnStopTimeout=leave\n")
    if how == "pause":
        daemon.up("a")
        daemon.ok("pause", "a")
    else:
        daemon.ok("start", "--paused", "a")
    pid = daemon.wait_state("a", "paused")["pid"]
    daemon.kill_daemon()
    rewrite(daemon, state="stopping", stop_left=600, want_running=want == "restart",
            **({"restart": "root"} if want == "restart" else {}))
    daemon.start()
    if want == "restart":
        assert daemon.wait_state("a", "running", timeout=60)["pid"] != pid
    else:
        assert daemon.wait_state("a", "stopped", timeout=60)["reason"] == "guest-shutdown"


def test_joined(daemon):
    """Another reboot, or a start, waits for the reboot in progress."""
    pid = rebooting(daemon)
    client = daemon.client(timeout=60)
    again, up = client.send("vm-reboot", {"name": "a"}), client.send("vm-start", {"name": "a"})
    assert client.call("vm-info", name="a")["want"] == "restart"
    assert not client.answered[:-1]
    daemon.kill(pid)
    left = {again, up}
    while left:
        message = client.receive()
        if "id" in message:
            assert "error" not in message, message
            left.remove(message["id"])
    info = daemon.info("a")
    assert info["pid"] != pid and (info["state"], info["want"]) == ("running", "running")
    assert [row["event"] for row in daemon.rows("history", "a")].count("reboot") == 1


def test_kill_overtaken_by_start(daemon):
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    daemon.kill(pid, "STOP")  # only SIGKILL ends it
    client = daemon.client(timeout=60)
    both = [{"execute": verb, "id": verb, "arguments": {"name": "a"}} for verb in ("vm-kill", "vm-start")]
    client.socket.sendall("".join(json.dumps(request) + "\n" for request in both).encode())
    with pytest.raises(vmk.Error) as refused:
        client.result("vm-kill")
    assert "overtook it" in str(refused.value)
    client.result("vm-start")
    info = daemon.info("a")
    assert info["pid"] != pid and (info["state"], info["want"]) == ("running", "running")


@pytest.mark.parametrize("verb", ["stop", "reboot"])
def test_left_running_is_wanted(daemon, verb):
    daemon.micro("a", "deaf", extra="[Lifecycle]\nRestart=no\nOnStopTimeout=leave\n")
    daemon.up("a")
    pid = daemon.info("a")["pid"]
    result = daemon.vmkeep(verb, "a", "--timeout", "1")
    assert result.code != 0 and "left running" in result.err, result
    info = daemon.info("a")
    assert (info["state"], info["want"], info["pid"]) == ("running", "running", pid)


def test_a_group_of_which_one_is_broken(daemon):
    """It is left running, and named; the others are rebooted."""
    for name in ("a", "b"):
        daemon.micro(name, extra="[Lifecycle]\nRestart=no\n")
        daemon.up(name)
    before = {name: daemon.info(name)["pid"] for name in ("a", "b")}
    daemon.write("b.vm.d/10-x.conf", "[VM]\nTypo=1\n")
    result = daemon.vmkeep("reboot", "*")
    assert result.code != 0 and "b: would not start again" in result.err and "10-x.conf" in result.err, result
    after = {name: daemon.info(name) for name in ("a", "b")}
    assert {info["state"] for info in after.values()} == {"running"}
    assert after["b"]["pid"] == before["b"] and after["a"]["pid"] != before["a"]


def drop_in(daemon):
    daemon.write("a.vm.d/10-x.conf", "[VM]\nTypo=1\n")


@pytest.mark.parametrize("harm, said", [(no_file, "its file is gone"), (drop_in, None)])
def test_harmed_between_the_halves(daemon, harm, said):
    """The file was valid when the reboot began: the guest is started with its last valid content, or the error says
    what is missing."""
    pid = rebooting(daemon)
    harm(daemon)
    daemon.vmkeep("reload")
    daemon.kill(pid)
    if said is None:
        info = daemon.wait_state("a", "running", timeout=60)
        assert info["pid"] != pid
        return
    log = os.path.join(daemon.base, "daemon.log")
    daemon.eventually(lambda: vmk.read_text(log), lambda text: any(
        said in line for line in text.splitlines() if "error" in line and "vm a" in line), timeout=20)
    assert pid not in daemon.processes()
