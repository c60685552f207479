# SPDX-License-Identifier: MIT
"""Predictions: the host's shutdown against its time limit, by check and by --dry-run. A dry run changes nothing,
neither on disk nor in the kernel, and requires the same role as the action."""
import contextlib
import hashlib
import json
import os

import pytest

import vmk

STOP = "[Lifecycle]\nTimeoutStopSec=%s\n"


def everything(world, look=True):
    """Everything that a dry run could change. look: also through the daemon's verbs, which read files again."""
    found = {}
    for top in (world.config, world.state, world.log, world.inner(world.run)):
        for folder, folders, names in os.walk(top):
            for name in folders + names:
                path = os.path.join(folder, name)
                if name == "console.log" or "/out" in path:  # written by the guest
                    continue
                if "/run/networks/" in path and not name.endswith(".json"):  # earlier operations may write it
                    continue
                about = os.lstat(path)
                with contextlib.suppress(OSError):  # sockets
                    with open(path, "rb") as f:
                        found[path, "holds"] = hashlib.sha256(f.read()).hexdigest()
                found[path] = (about.st_mode, about.st_uid)
                if "/run/networks" not in path:
                    found[path] += (about.st_ino, about.st_size, about.st_mtime_ns)
    found["links"] = [(link["ifname"], link.get("address"), link.get("master"), link.get("ifalias"), link["mtu"],
                       [a["local"] for a in link["addr_info"] if a["family"] == "inet"])
                      for link in json.loads(world.exec("ip", "-json", "address"))]
    found["rules"] = world.exec("nft", "list", "ruleset")
    found["processes"] = {pid: line for pid, line in world.processes().items() if "vmkeepd" not in line}
    found["jobs"] = world.rows("jobs")
    if look:
        found["list"] = [{k: v for k, v in row.items() if k != "uptime"} for row in world.rows("list")]
    found["forwards"] = world.exec("cat", "/proc/sys/net/ipv4/ip_forward")
    return found


@contextlib.contextmanager
def unchanged(world, look=True):
    run = world.inner(world.run)
    world.eventually(lambda: os.path.exists(os.path.join(run, "boot")), bool)  # earlier operations have finished
    if os.path.exists(os.path.join(run, "gone")):
        world.eventually(lambda: os.listdir(os.path.join(run, "gone")), lambda left: not left)  # and are swept up
    # a child durably writes the network's choices once more
    world.eventually(world.processes,
                     lambda found: not [line for line in found.values() if "/exe --" in line])
    before = everything(world, look)
    yield
    after = everything(world, look)
    assert after == before, {key: (before.get(key), after.get(key)) for key in set(before) | set(after)
                             if before.get(key) != after.get(key)}


# --- check, and the time limit of the host's shutdown


def budget_rows(world, *argv, code=0):
    result = world.vmkeep("--json", "check", *argv)
    assert result.code == code, result
    return [row for row in json.loads(result.out) if row["reason"].find("when the host shuts down") >= 0]


def at(world, rows):
    return [(os.path.relpath(row["file"], world.config), row["line"], row["key"], row["severity"]) for row in rows]


def test_check_compares_stop_times_with_the_budget(daemon):
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=4min\n")
    daemon.micro("db")
    daemon.micro("web", extra=STOP % "50" + "After=db\n")
    assert budget_rows(daemon) == budget_rows(daemon, "web") == []
    daemon.micro("web", extra=STOP % "70" + "After=db\n")
    daemon.micro("slow", extra=STOP % "10min")
    chain, slow = ("web.vm", 8, "After", "warning"), ("slow.vm", 7, "TimeoutStopSec", "warning")
    rows = budget_rows(daemon)
    assert sorted(at(daemon, rows)) == sorted([chain, slow])
    told, = (row for row in rows if row["key"] == "After")
    assert "web -> db may take 250s" in told["reason"] and "TimeoutSec=250s" in told["hint"], told
    assert at(daemon, budget_rows(daemon, "web")) == at(daemon, budget_rows(daemon, "db")) == [chain]
    assert at(daemon, budget_rows(daemon, "slow")) == [slow]
    # the hint's fix works, and a running daemon reads it by itself
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=10min\n")
    assert budget_rows(daemon) == []
    # the default counts like a written value, and is reported once
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=71\n")
    daemon.micro("other")
    assert ("vmkeep.conf", 4, "TimeoutSec", "warning") in at(daemon, budget_rows(daemon))
    assert [row["reason"].find("db, other") >= 0 for row in budget_rows(daemon)].count(True) == 1


def test_check_of_the_files_themselves(world):
    """Without a daemon: vmkeep.conf against all VMs next to it, and a VM against vmkeep.conf."""
    world.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=4min\n")
    world.micro("db")
    world.micro("web", extra=STOP % "70" + "After=db\n")
    for name in ("vmkeep.conf", "web.vm"):
        assert at(world, budget_rows(world, os.path.join(world.config, name))) == [("web.vm", 8, "After", "warning")]
    world.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=250\n")
    for name in ("vmkeep.conf", "web.vm"):
        assert "no problems" in world.ok("check", os.path.join(world.config, name))


# --- shutdown-all --dry-run


def test_the_way_down_is_told(daemon):
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Shutdown]\nTimeoutSec=5min\n")
    daemon.micro("db", extra=STOP % "50")
    daemon.micro("app", extra=STOP % "1min" + "After=db\n")
    daemon.micro("zero", extra=STOP % "infinity" + "Requires=app\n")
    daemon.micro("deaf", "deaf", extra=STOP % "10")
    daemon.micro("off", extra="[Lifecycle]\nAfter=db\n")
    assert "no VM runs" in daemon.ok("shutdown-all", "--dry-run")
    daemon.ok("net", "start", "default")
    for name in ("db", "app", "zero", "deaf"):
        daemon.up(name)
    with unchanged(daemon):
        plan = daemon.json("shutdown-all", "--dry-run")
        text = daemon.ok("shutdown-all", "--dry-run", "--timeout", "2min")
    rows = plan["vms"]
    assert [(row["step"], row["name"], row["how"]) for row in rows] == [
        (1, "deaf", "power button"), (1, "zero", "power button"), (2, "app", "power button"), (3, "db", "power button")]
    assert {row["name"]: (row["timeout"], row["stop_timeout"]) for row in rows} == {
        "deaf": (10, 10), "zero": (190, None), "app": (60, 60), "db": (50, 50)}
    assert (plan["budget"], plan["sum"], plan["fits"], plan["networks"]) == (300, None, False, ["default"])
    assert plan["chain"] == "zero -> app -> db"
    assert "it does not fit" in text and "then networks: default" in text, text
    # and the shutdown does just that
    result = daemon.vmkeep("--json", "shutdown-all", "--timeout", "8", timeout=60)
    assert {row["name"]: row["result"] for row in json.loads(result.out)} == {
        "db": "stopped", "app": "stopped", "zero": "stopped", "deaf": "killed"}, result


def test_a_chain_that_fits_has_its_time(daemon):
    """Half of the limit for each of two would be too short for the first one."""
    daemon.micro("db", extra=STOP % "50")
    daemon.micro("web", extra=STOP % "240" + "After=db\n")
    daemon.ok("start", "db", "web")
    plan = daemon.json("shutdown-all", "--dry-run")
    assert [row["timeout"] for row in plan["vms"]] == [240, 50]
    assert (plan["sum"], plan["fits"], plan["chain"]) == (290, True, "web -> db")
    assert budget_rows(daemon) == []
    daemon.ok("kill", "*")


def test_those_that_are_not_waited_for(world):
    world.write("vmkeep.conf", vmk.DEFAULTS)
    world.micro("broken", extra="[Lifecycle]\nRestartSec=1h\n")
    world.micro("ended", "off", extra="[Lifecycle]\nOnPowerOff=pause\n")
    world.start()
    world.crash("broken", "backoff")
    world.ok("start", "ended")
    world.wait_state("ended", "paused")
    with unchanged(world):
        plan = world.json("shutdown-all", "--dry-run")
    assert {row["name"]: (row["how"], row["timeout"]) for row in plan["vms"]} == {
        "broken": ("will not be restarted", None), "ended": ("has powered off: its QEMU ends", None)}
    assert (plan["sum"], plan["fits"]) == (0, True)


@pytest.mark.parametrize("groups, allowed", [(("vmkeep",), True), (("vmkeep-view",), False), ((), False)])
def test_who_may_ask(daemon, groups, allowed):
    daemon.micro("a", vm="Owner=alice\n")
    daemon.ok("start", "a")
    with unchanged(daemon):
        result = daemon.vmkeep("shutdown-all", "--dry-run", user="alice", groups=groups)
    assert result.code == (0 if allowed else 9), result
    daemon.ok("kill", "a")


# --- net stop --dry-run


def test_net_stop_tells_what_would_go(daemon):
    daemon.image("a.raw")
    daemon.write("a.vm", "[VM]\nMemory=16M\n[Disk root]\nPath=a.raw\n[NIC lan]\n")
    assert daemon.one("net", "stop", "default", "--dry-run") == {
        "name": "default", "state": "down", "refused": None, "parts": []}
    daemon.ok("start", "a")
    nic, = daemon.one("net", "show", "default")["nics"]
    with unchanged(daemon):
        asked = daemon.vmkeep("--json", "net", "stop", "default", "--dry-run")
        told = daemon.vmkeep("net", "stop", "default", "--dry-run")
        forced = daemon.one("net", "stop", "default", "--dry-run", "--force")
    plan, = json.loads(asked.out)
    assert asked.code == told.code == 5 and plan["state"] == "up", asked
    assert plan["parts"] == [
        {"what": "nic", "name": nic["tap"], "vm": "a", "nic": "lan", "address": nic["address"]},
        {"what": "dnsmasq", "name": str(daemon.one("net", "show", "default")["dnsmasq"]), "vm": None, "nic": None,
         "address": None},
        {"what": "rules", "name": "vmkeep_default_virbr0", "vm": None, "nic": None, "address": None},
        {"what": "bridge", "name": "virbr0", "vm": None, "nic": None, "address": "192.168.122.1/24"},
        {"what": "ip_forward", "name": "0", "vm": None, "nic": None, "address": None}], plan
    assert forced == dict(plan, refused=None)
    # with the text of the refusal
    refusal = daemon.fails(5, "net", "stop", "default")
    assert plan["refused"]["desc"] in refusal and plan["refused"]["hint"] in refusal
    assert "would be refused: " + plan["refused"]["desc"] in told.out and nic["tap"] in told.out, told
    daemon.fails(4, "net", "stop", "other", "--dry-run")
    # another network that is up keeps forwarding on
    daemon.write("other.network", "[Network]\n")
    daemon.ok("net", "start", "other")
    assert "ip_forward" not in [row["what"] for row in daemon.one("net", "stop", "other", "--dry-run")["parts"]]
    daemon.ok("net", "stop", "default", "--force")
    assert daemon.exec("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert "ip_forward" in [row["what"] for row in daemon.one("net", "stop", "other", "--dry-run")["parts"]]


@pytest.mark.parametrize("groups, allowed", [(("vmkeep",), True), (("vmkeep-view",), False)])
def test_who_may_ask_of_a_network(daemon, groups, allowed):
    daemon.ok("net", "start", "default")
    with unchanged(daemon):
        result = daemon.vmkeep("net", "stop", "default", "--dry-run", user="alice", groups=groups)
    assert result.code == (0 if allowed else 9), result


# --- reload --dry-run


def changes(plan):
    return {(row["what"], row["name"], row["key"] or row["change"]): (row["from"], row["to"], row["applies"])
            for row in plan["changes"]}


def test_reload_tells_what_it_would_take(daemon):
    daemon.write("lab.network", "[Network]\nAddress=10.9.0.1/24\n")
    for name in ("runs", "off", "vanishes", "goes", "breaks"):
        daemon.micro(name, extra="[Lifecycle]\nOnReboot=stop\n")
    daemon.ok("start", "runs", "goes")
    daemon.ok("net", "start", "lab")
    client = daemon.client()
    client.call("subscribe")
    with unchanged(daemon, look=False):
        before = daemon.json("reload", "--dry-run")
    assert changes(before) == {("network", "lab", "again"): (None, "vmkeep_lab_vkbr-lab", "now")}, before
    assert before["problems"] == []
    daemon.micro("new")
    daemon.micro("runs", vm="CPUs=2\n", extra="[Lifecycle]\nOnReboot=stop\nAfter=off\n")
    daemon.micro("off", extra="[Lifecycle]\nOnReboot=pause\n")
    daemon.micro("breaks", extra="[Lifecycle]\nOnReboot=maybe\n")
    for name in ("vanishes", "goes"):
        os.unlink(os.path.join(daemon.config, name + ".vm"))
    daemon.write("lab.network", "[Network]\nAddress=10.9.1.1/24\n")
    daemon.write("more.network", "[Network]\n")
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nImageDir=/srv/images\n[Shutdown]\nTimeoutSec=10min\n")
    daemon.exec("ip", "link", "del", "vkbr-lab")
    with unchanged(daemon, look=False):
        asked = daemon.vmkeep("--json", "reload", "--dry-run")
        text = daemon.vmkeep("reload", "--dry-run").out
    plan = json.loads(asked.out)
    assert asked.code == 2, asked
    assert changes(plan) == {
        ("daemon", "vmkeep.conf", "ImageDir"): (None, "/srv/images", "start"),
        ("daemon", "vmkeep.conf", "TimeoutSec"): ("5min", "10min", "live"),
        ("vm", "new", "new"): (None, None, "now"),
        ("vm", "runs", "CPUs"): ("1", "2", "start"),
        ("vm", "runs", "After"): (None, "off", "live"),
        ("vm", "off", "OnReboot"): ("stop", "pause", "start"),
        ("vm", "vanishes", "gone"): (None, None, "now"),
        ("vm", "goes", "gone"): (None, None, "when it has ended"),
        ("network", "more", "new"): (None, None, "now"),
        ("network", "lab", "Address"): ("10.9.0.1/24", "10.9.1.1/24", "its next start"),
        ("network", "lab", "again"): (None, "vmkeep_lab_vkbr-lab", "now")}, plan
    assert ["vkbr-lab", "vmkeep_lab_vkbr-lab"] == [row["to"] for row in plan["changes"] if row["change"] == "again"]
    assert [(row["key"], row["line"]) for row in plan["problems"]] == [("OnReboot", 7), ("ImageDir", None)], plan
    assert "breaks.vm:7: OnReboot" in text and "10.9.1.1/24" in text, text
    # nothing was applied
    daemon.ok("version")
    assert not [event for event in client.events if event["event"] in ("VM_ADDED", "VM_REMOVED")]
    done = daemon.vmkeep("--json", "reload")
    assert json.loads(done.out) == plan["problems"], done
    client.event("VM_REMOVED", lambda data: data["name"] == "vanishes")
    client.event("VM_ADDED", lambda data: data["name"] == "new")
    client.close()
    left = changes(json.loads(daemon.vmkeep("--json", "reload", "--dry-run").out))
    assert set(left) == {("vm", "runs", "CPUs"), ("vm", "runs", "After"), ("network", "lab", "again")}, left


def test_reload_with_a_broken_vmkeep_conf(daemon):
    """The old content would stay in effect; what its [Defaults] would be is unknown, so no VM is listed as changed."""
    daemon.micro("a")
    daemon.ok("list")
    daemon.write("vmkeep.conf", "[Defaults]\nVM.Accel=tgc\n")
    asked = daemon.vmkeep("--json", "reload", "--dry-run")
    plan = json.loads(asked.out)
    assert asked.code == 2 and plan["changes"] == [] and [row["line"] for row in plan["problems"]] == [2], asked
    daemon.write("vmkeep.conf", vmk.DEFAULTS)


@pytest.mark.parametrize("groups, allowed", [(("vmkeep",), True), (("vmkeep-view",), False), ((), False)])
def test_who_may_ask_what_a_reload_would_do(daemon, groups, allowed):
    with unchanged(daemon):
        result = daemon.vmkeep("reload", "--dry-run", user="alice", groups=groups)
    assert result.code == (0 if allowed else 9), result
    assert not allowed or "nothing would change" in result.out


# --- snapshot revert --dry-run


def revert_plan(world, name, snapshot, code=0):
    result = world.vmkeep("--json", "snapshot", "revert", name, snapshot, "--dry-run", timeout=60)
    assert result.code == code, result
    plan, = json.loads(result.out)
    return plan


def test_revert_of_one_that_is_off(daemon):
    daemon.image("data.qcow2", "deaf")
    daemon.micro("a", disk="qcow2", extra="[Disk data]\nPath=data.qcow2\n")
    daemon.ok("snapshot", "create", "a", "one")
    created = daemon.rows("snapshot", "list", "a")[0]["created"]
    with unchanged(daemon):
        plan = revert_plan(daemon, "a", "one")
        told = daemon.ok("snapshot", "revert", "a", "one", "--dry-run")
    assert [(row["disk"], os.path.basename(row["path"])) for row in plan["disks"]] == [
        ("root", "a.qcow2"), ("data", "data.qcow2")]
    assert all(abs(row["created"] - created) < 60 for row in plan["disks"]), plan
    assert (plan["state"], plan["after"], plan["memory"], plan["refused"]) == ("stopped", "stopped", 0, None)
    assert "what was written to these disks since then is lost" in told and "holds disks only" in told
    assert revert_plan(daemon, "a", "two", code=4)["refused"]["desc"] == "there is no snapshot 'two'"
    assert "no snapshot 'two'" in daemon.fails(4, "snapshot", "revert", "a", "two")
    # a disk that was added later: the text of the refusal
    daemon.image("more.qcow2", "deaf")
    daemon.micro("a", disk="qcow2", extra="[Disk data]\nPath=data.qcow2\n[Disk more]\nPath=more.qcow2\n")
    with unchanged(daemon):
        plan = revert_plan(daemon, "a", "one", code=3)
    assert plan["refused"]["desc"] in daemon.fails(3, "snapshot", "revert", "a", "one")
    assert "snapshot 'one' is on disk" in plan["refused"]["desc"]


def test_revert_of_one_that_runs(daemon):
    daemon.micro("a", disk="qcow2")
    daemon.ok("snapshot", "create", "a", "disks")
    daemon.up("a")
    daemon.ok("snapshot", "create", "a", "live")
    pid = daemon.info("a")["pid"]
    with unchanged(daemon):
        plan = revert_plan(daemon, "a", "live")
        refused = revert_plan(daemon, "a", "disks", code=5)
    assert (plan["state"], plan["after"]) == ("running", "running") and plan["memory"] > 0, plan
    assert "is paused while its memory is read" in plan["guest"]
    assert "holds disks only" in refused["refused"]["desc"] and refused["disks"] == []
    assert daemon.info("a")["pid"] == pid
    daemon.ok("kill", "a")
    with unchanged(daemon):
        plan = revert_plan(daemon, "a", "live")
    assert (plan["state"], plan["after"], plan["guest"]) == ("stopped", "running", "is started, and continues from the snapshot")
    # a machine other than the one whose memory was saved
    daemon.write("a.vm", vmk.read_text(os.path.join(daemon.config, "a.vm")).replace("[VM]", "[VM]\nCPUs=2"))
    plan = revert_plan(daemon, "a", "live", code=3)
    assert "CPUs was 1 and is 2" in plan["refused"]["desc"], plan
    assert plan["refused"]["desc"] in daemon.fails(3, "snapshot", "revert", "a", "live")


@pytest.mark.parametrize("user, groups, allowed", [("alice", (), True), ("bob", (), False), ("bob", ("vmkeep-view",), False),
                                                   ("bob", ("vmkeep",), True)])
def test_who_may_ask_about_a_revert(daemon, user, groups, allowed):
    daemon.micro("a", disk="qcow2", vm="Owner=alice\n")
    daemon.ok("snapshot", "create", "a", "one")
    with unchanged(daemon):
        result = daemon.vmkeep("snapshot", "revert", "a", "one", "--dry-run", user=user, groups=groups)
    assert result.code == (0 if allowed else 9), result
