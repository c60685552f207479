# SPDX-License-Identifier: MIT
"""Whatever files of a network are lost, and even if its bridge is renamed: it keeps working, with one dnsmasq, one
bridge, one table and the same addresses, and a stop removes all of it."""
import json
import os
import shutil

import pytest

import vmk
from test_network import link, micro_with_nic
from test_walks import DAMAGES
from walk import walk

FILES = """run/networks/door run/networks/default.json run/networks/default.d/dnsmasq.pid
    run/networks/default.d/dnsmasq.conf run/networks/default.d/resolv.conf run/networks/default.d/hosts/a:lan
    state/networks/default.json state/networks/default.leases""".split()
FOLDERS = ["run/networks", "run/networks/default.d", "run/networks/default.d/hosts", "state/networks"]


def dnsmasqs(world):
    return sorted(pid for pid, line in world.processes().items() if line.startswith(("dnsmasq ", "/usr/sbin/dnsmasq ")))


def tables(world):
    return [line.split()[2] for line in world.exec("nft", "list", "tables", "inet").splitlines()]


def up(world):
    micro_with_nic(world, "a")
    world.ok("start", "a")
    assert len(dnsmasqs(world)) == 1


def look(world):
    bridges = [one["ifname"] for one in json.loads(world.exec("ip", "-json", "link", "show", "type", "bridge"))]
    row, = world.rows("net", "list")
    return {"bridges": bridges, "tables": sorted(tables(world)), "subnet": row["subnet"], "health": row["health"],
            "address": world.rows("ip", "a")[0]["address"], "state": row["state"],
            "taps": link(world, "vk0").get("master"), "dnsmasqs": len(dnsmasqs(world)),
            "known": [row["dnsmasq"]] == dnsmasqs(world)}


def same(world, before):
    world.eventually(lambda: look(world), lambda now: now == before, timeout=10)
    assert list(world.states().values()) == ["running"]


def whole(world):
    """Its files exist, also as seen by dnsmasq."""
    top = world.inner(world.run) + "/networks/"
    assert json.loads(vmk.read_text(top + "default.json"))["network"] == "default"
    pid, = dnsmasqs(world)
    assert vmk.read_text(top + "default.d/hosts/a:lan")
    assert world.exec("cat", "/proc/%d/root%s/networks/default.d/hosts/a:lan" % (pid, world.run))


def ends(world):
    """A stop leaves nothing behind."""
    world.ok("kill", "a")
    world.ok("net", "stop", "default")
    assert world.links() == {"lo"} and not tables(world)
    world.eventually(lambda: dnsmasqs(world), lambda found: not found)
    for folder, _, names in os.walk(world.state):
        for name in names:
            if ".damaged" in name:
                os.unlink(os.path.join(folder, name))


def hurt(world, what, damage=None):
    path = os.path.join(world.inner(world.base), what)
    if damage:
        DAMAGES[damage](path)
    else:  # in one step, because the daemon creates it again
        os.rename(path, world.inner(world.base) + "/lost")
        shutil.rmtree(world.inner(world.base) + "/lost")


@walk("file, damage", FILES, DAMAGES, some=4)
@pytest.mark.parametrize("daemon_is", ["down", "up"])
def test_file(daemon, file, damage, daemon_is):
    up(daemon)
    before = look(daemon)
    if daemon_is == "down":
        daemon.kill_daemon()
    hurt(daemon, file, damage)
    if daemon_is == "down":
        daemon.start()
    else:
        daemon.ok("reload")
    same(daemon, before)
    whole(daemon)
    if daemon_is == "up":  # the running daemon need not read the file, but the next one does
        daemon.kill_daemon()
        daemon.start()
        same(daemon, before)
    ends(daemon)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("daemon_is", ["down", "up"])
def test_folder(daemon, folder, daemon_is):
    """A whole directory is lost; the daemon notices by itself."""
    up(daemon)
    before = look(daemon)
    if daemon_is == "down":
        daemon.kill_daemon()
    hurt(daemon, folder)
    if daemon_is == "down":
        daemon.start()
    else:
        daemon.eventually(lambda: os.path.exists(os.path.join(daemon.inner(daemon.base), folder)), bool)
    same(daemon, before)
    whole(daemon)
    ends(daemon)


def test_lost_while_down(daemon):
    """The choices of a network that is down are saved again once it is up."""
    for name in ("lab", "up"):
        daemon.write(name + ".network", "[Network]\n")
        daemon.ok("net", "start", name)
    choice, other = ("%s/networks/%s.json" % (daemon.inner(daemon.state), name) for name in ("lab", "up"))
    before = json.loads(vmk.read_text(choice))
    daemon.ok("net", "stop", "lab")
    os.unlink(choice)
    os.unlink(other)
    daemon.eventually(lambda: os.path.exists(other), bool)  # the daemon has handled the loss, and does not look again
    assert not os.path.exists(choice)
    daemon.ok("net", "start", "lab")
    assert json.loads(vmk.read_text(choice)) == before


def test_run_and_state_of_all_networks(daemon):
    """Only the kernel's objects tell what the network is; and its file has another subnet by now."""
    daemon.write("default.network", "[Network]\nAddress=10.3.0.1/24\n")
    up(daemon)
    before, pid = look(daemon), daemon.info("a")["pid"]
    daemon.kill_daemon()
    hurt(daemon, "run/networks")
    hurt(daemon, "state/networks")
    daemon.write("default.network", "[Network]\nAddress=10.4.0.1/24\n")
    daemon.start()
    same(daemon, dict(before, health="its file has changed: net stop and net start apply it"))
    assert before["subnet"] == "10.3.0.0/24" and daemon.info("a")["pid"] == pid
    ends(daemon)


@pytest.mark.parametrize("record", ["kept", "lost"])
@pytest.mark.parametrize("daemon_is", ["down", "up"])
def test_renamed_bridge(daemon, record, daemon_is):
    up(daemon)
    before = look(daemon)
    if daemon_is == "down":
        daemon.kill_daemon()
    if record == "lost":
        hurt(daemon, "run/networks/default.json", "gone")
    daemon.exec("ip", "link", "set", "virbr0", "down")
    daemon.exec("ip", "link", "set", "virbr0", "name", "odd0")
    if daemon_is == "down":
        daemon.start()
    else:
        daemon.ok("reload")
    same(daemon, before)
    ends(daemon)


@pytest.mark.parametrize("taken", [False, True])
def test_stop_after_a_rename(daemon, taken):
    """The renamed bridge is removed, but not another one that has its old name by now."""
    daemon.ok("net", "start", "default")
    daemon.exec("ip", "link", "set", "virbr0", "down")
    daemon.exec("ip", "link", "set", "virbr0", "name", "odd0")
    if taken:
        daemon.exec("ip", "link", "add", "virbr0", "type", "bridge")
    daemon.ok("net", "stop", "default")
    assert daemon.links() == ({"lo", "virbr0"} if taken else {"lo"})
    if taken:
        daemon.exec("ip", "link", "del", "virbr0")


def test_dnsmasq_without_a_bridge(daemon):
    daemon.ok("net", "start", "default")
    daemon.kill_daemon()
    hurt(daemon, "run/networks")
    daemon.exec("ip", "link", "del", "virbr0")
    daemon.start()
    daemon.eventually(lambda: dnsmasqs(daemon), lambda found: not found)
    daemon.ok("net", "start", "default")
    daemon.ok("net", "stop", "default")


FORGED = "import sys, time; print('here', flush=True); time.sleep(3600)"


@pytest.mark.parametrize("bridge", [True, False])
def test_a_forged_command_line(daemon, bridge):
    """A process that only claims to be our dnsmasq is neither adopted nor ended."""
    daemon.ok("net", "start", "default")
    daemon.kill_daemon()
    forged = daemon.stream_of("/usr/bin/python3", "-c", FORGED, "--conf-file=%s/networks/default.d/dnsmasq.conf" % daemon.run)
    forged.until("here")
    pid, = dnsmasqs(daemon)
    hurt(daemon, "run/networks")
    if not bridge:
        daemon.kill(pid)
        daemon.exec("ip", "link", "del", "virbr0")
    daemon.start()
    daemon.ok("net", "start", "default")
    daemon.eventually(lambda: daemon.rows("net", "list")[0], lambda row: [row["dnsmasq"]] == dnsmasqs(daemon))
    daemon.ok("net", "stop", "default")
    assert forged.process.poll() is None
    forged.end()


@pytest.mark.parametrize("how", ["immutable", "read-only"])
def test_leases_that_cannot_be_written(daemon, how):
    """The network comes up all the same, and its health says that leases are not permanent."""
    daemon.ok("net", "start", "default")
    daemon.ok("net", "stop", "default")
    folder = daemon.state + "/networks"
    if how == "immutable":
        daemon.exec("mount", "--bind", folder + "/default.leases", folder + "/default.leases")
        daemon.exec("mount", "-o", "remount,bind,ro", folder + "/default.leases")
    else:
        daemon.exec("mount", "--bind", folder, folder)
        daemon.exec("mount", "-o", "remount,bind,ro", folder)
    micro_with_nic(daemon, "a")
    daemon.ok("start", "a")
    before = look(daemon)
    assert before["state"] == "up" and "leases are kept only until the host reboots" in before["health"]
    daemon.kill_daemon()
    daemon.start()
    same(daemon, before)
    daemon.exec("umount", "-l", folder + ("/default.leases" if how == "immutable" else ""))
    daemon.kill_daemon()
    daemon.start()
    same(daemon, dict(before, health="ok"))
    ends(daemon)


def test_leases_of_another_subnet(daemon):
    daemon.ok("net", "start", "default")
    lines = "".join("%d 52:54:00:00:00:%02x %s x *\n" % (4102444800, n, ip)
                    for n, ip in enumerate(("8.8.8.8", "192.168.122.77", "192.168.122.1")))
    with open(daemon.inner(daemon.state) + "/networks/default.leases", "w", encoding="utf-8") as f:
        f.write(lines)
    daemon.eventually(lambda: [row["address"] for row in daemon.rows("net", "leases", "default")],
                      lambda found: found == ["192.168.122.77"])


def test_lost_leases_are_dnsmasqs(daemon):
    """No guest loses its address: dnsmasq still has the file open, and it is restored."""
    up(daemon)
    path = daemon.inner(daemon.state) + "/networks/default.leases"
    line = "4102444800 52:54:00:00:00:05 192.168.122.77 x *\n"
    with open(path, "w", encoding="utf-8") as f:
        f.write(line)
    pid, = dnsmasqs(daemon)
    os.unlink(path)
    daemon.eventually(lambda: dnsmasqs(daemon), lambda found: len(found) == 1 and found != [pid])
    daemon.eventually(lambda: os.path.exists(path) and vmk.read_text(path), lambda text: text and "192.168.122.77" in text)
    ends(daemon)


def test_a_changed_file_of_a_network_that_nobody_uses(daemon):
    """After a failed start, the next start uses the file as it is by then."""
    daemon.write("lab.network", "[Network]\nAddress=10.21.0.1/24\n")
    micro_with_nic(daemon, "a", "Network=lab\nAddress=10.20.0.50\n")
    said = daemon.fails(2, "start", "a")
    assert "10.20.0.50" in said and said.count("nic '") == 1, said
    daemon.write("lab.network", "[Network]\nAddress=10.20.0.1/24\n")
    daemon.ok("start", "a")
    assert daemon.rows("ip", "a")[0]["address"] == "10.20.0.50"
    daemon.write("lab.network", "[Network]\nAddress=10.22.0.1/24\n")
    daemon.ok("net", "start", "lab")
    assert "10.20.0.0/24" in [row["subnet"] for row in daemon.rows("net", "list")], "a guest is on it"


def test_addresses_of_a_subnet_that_was_left(daemon):
    """Addresses that the network no longer has belong to no VM, neither leased nor reserved; a start chooses a new
    one."""
    daemon.write("lab.network", "[Network]\nAddress=10.20.0.1/24\n")
    micro_with_nic(daemon, "a", "Network=lab\n")
    daemon.ok("start", "a")
    old, = daemon.rows("net", "leases", "lab")
    assert old["address"].startswith("10.20.0.") and old["vm"] == "a"
    daemon.ok("kill", "a")
    assert daemon.rows("net", "leases", "lab") == [old]
    lease = "4102444800 %s %s a *\n" % (old["mac"], old["address"])
    path = daemon.inner(daemon.state) + "/networks/lab.leases"
    with open(path, "w", encoding="utf-8") as f:
        f.write(lease)
    daemon.eventually(lambda: daemon.rows("net", "leases", "lab")[0]["expires"], lambda at: at == 4102444800)
    daemon.ok("net", "stop", "lab")
    daemon.write("lab.network", "[Network]\nAddress=10.22.0.1/24\n")
    assert daemon.rows("net", "leases", "lab") == []
    assert [row["address"] for row in daemon.rows("ip", "a")] == [None]
    daemon.ok("net", "start", "lab")
    assert daemon.rows("net", "leases", "lab") == []
    daemon.ok("start", "a")
    new, = daemon.rows("net", "leases", "lab")
    assert new["address"].startswith("10.22.0.") and daemon.rows("ip", "a")[0]["address"] == new["address"]


def second(world):
    """Another daemon with separate directories: (stream, run directory)."""
    top = os.path.join(world.base, "second")
    folders = {name: os.path.join(top, name) for name in ("config", "state", "run", "log")}
    for folder in folders.values():
        os.makedirs(folder, exist_ok=True)
    other = world.stream_of(world.program("vmkeepd"), *(word for name, folder in folders.items()
                                                        for word in ("--" + name, folder)))
    world.eventually(lambda: world.vmkeep("--run", folders["run"], "list").code, lambda code: code == 0)
    return other, folders["run"]


def test_two_daemons_and_their_networks(daemon):
    """Each finds its own network, whatever files are lost, and neither takes the other's."""
    daemon.ok("net", "start", "default")
    other, run = second(daemon)
    daemon.ok("--run", run, "net", "start", "default")
    daemon.others = 2  # including its dnsmasq
    both = sorted(daemon.links()), tables(daemon), len(dnsmasqs(daemon))
    assert {"virbr0", "virbr1"} <= daemon.links() and both[2] == 2

    daemon.kill_daemon()
    other.end()
    shutil.rmtree(daemon.inner(daemon.run) + "/networks")
    shutil.rmtree(daemon.inner(daemon.state) + "/networks")
    shutil.rmtree(daemon.inner(run) + "/networks")
    shutil.rmtree(daemon.inner(os.path.dirname(run)) + "/state/networks")
    daemon.start()
    other, run = second(daemon)
    daemon.eventually(lambda: (sorted(daemon.links()), tables(daemon), len(dnsmasqs(daemon))), lambda now: now == both)
    assert daemon.rows("net", "list")[0]["bridge"] == "virbr0"
    assert daemon.rows("--run", run, "net", "list")[0]["bridge"] == "virbr1"
    daemon.ok("net", "stop", "default")
    assert "virbr1" in daemon.links() and "vmkeep_default_virbr1" in tables(daemon) and len(dnsmasqs(daemon)) == 1
    daemon.ok("--run", run, "net", "stop", "default")
    assert daemon.links() == {"lo"} and not tables(daemon)
    other.end()
    daemon.others = 0
