# SPDX-License-Identifier: MIT
"""`host check` finds the problems that a test creates, and the printed fix solves them."""
import json
import os
import re

import vmk

DOCKER = """table ip filter {
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
	chain INPUT {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
	}
}
"""


def checks(world, **who):
    result = world.vmkeep("--json", "host", "check", **who)
    found = json.loads(result.out)
    rows = {row["check"]: row for row in found}
    assert len(rows) == len(found)
    assert result.code == (1 if "FAIL" in {row["verdict"] for row in rows.values()} else 0), result
    return rows


def verdicts(rows, *names):
    return [rows[name]["verdict"] for name in names]


def test_every_check_answers(daemon):
    rows = checks(daemon)
    assert {row["verdict"] for row in rows.values()} <= {"PASS", "WARN", "FAIL"}
    assert all(row["text"] for row in rows.values())
    assert all(row["cure"] for row in rows.values() if row["verdict"] != "PASS"), rows
    assert verdicts(rows, "QEMU", "programs", "taps", "memory") == ["PASS"] * 4
    version = re.search(r"version (\S+)", daemon.exec("qemu-system-x86_64", "--version")).group(1)
    assert "is " + version in rows["QEMU"]["text"] and daemon.images in rows["image directory"]["text"]
    assert rows["image directory"]["verdict"] in ("PASS", "WARN") and "left in" in rows["image directory"]["text"]
    for words in (["host", "check"], ["virt-host-validate"]):
        assert "\nPASS  QEMU: /" in daemon.vmkeep(*words).out
    daemon.alone()


def test_view_may_ask(daemon):
    checks(daemon, user="alice", groups=["vmkeep-view"])
    daemon.fails(9, "host", "check", user="bob")


def test_image_directory_that_others_may_enter(world):
    """The daemon's own directory is closed; one made by the administrator is left alone, and the printed command
    closes it."""
    world.start()
    assert checks(world)["access to images"]["verdict"] == "PASS"
    world.stop_daemon()
    elsewhere = os.path.join(world.base, "my images")
    os.mkdir(elsewhere, 0o755)
    world.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nImageDir=%s\n" % elsewhere)
    world.start()
    row = checks(world)["access to images"]
    assert row["verdict"] == "WARN" and "mode 0755" in row["text"]
    assert os.stat(elsewhere).st_mode & 0o777 == 0o755
    world.exec("sh", "-c", row["cure"])
    assert os.stat(elsewhere).st_mode & 0o777 == 0o700
    assert checks(world)["access to images"]["verdict"] == "PASS"


def test_foreign_firewall(daemon):
    """net.md C4: no rule of ours can override a foreign drop; the printed command can."""
    network = ["firewall, forward", "firewall, DHCP", "bridged packets"]
    assert verdicts(checks(daemon), *network) == ["PASS"] * 3
    daemon.exec("nft", "-f", "-", input=DOCKER)
    rows = checks(daemon)
    assert verdicts(rows, *network[:2]) == ["FAIL"] * 2
    assert "chain 'FORWARD' of table ip filter" in rows[network[0]]["text"]
    daemon.exec("sh", "-c", rows[network[0]]["cure"])
    assert verdicts(checks(daemon), *network[:2]) == ["PASS", "FAIL"]
    daemon.exec("sh", "-c", rows[network[1]]["cure"])
    assert verdicts(checks(daemon), *network) == ["PASS"] * 3
    daemon.exec("nft", "flush", "ruleset")


def test_bridged_packets(daemon):
    """net.md A11: with br_netfilter, traffic between guests on one bridge passes the forward chain."""
    switch = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    daemon.exec("nft", "-f", "-", input=DOCKER)
    on = os.path.exists(daemon.inner(switch)) and vmk.read_text(daemon.inner(switch)).strip() == "1"
    row = checks(daemon)["bridged packets"]
    assert row["verdict"] == ("FAIL" if on else "PASS"), row
    if on:
        daemon.exec("sh", "-c", row["cure"].split(",")[0])
        assert checks(daemon)["bridged packets"]["verdict"] == "PASS"
    daemon.exec("nft", "flush", "ruleset")


def test_our_own_rules_are_not_foreign(daemon):
    daemon.ok("net", "start", "default")
    rows = checks(daemon)
    assert verdicts(rows, "firewall, forward", "firewall, DHCP", "bridged packets", "port 53", "port 67") == ["PASS"] * 5
    assert rows["IP forwarding"]["text"] == "on" and "libvirt" not in rows


def test_docker_has_a_chain_of_its_own(daemon):
    daemon.exec("nft", "-f", "-", input=DOCKER.replace("\tchain FORWARD", "\tchain DOCKER-USER {\n\t}\n\tchain FORWARD", 1))
    cure = checks(daemon)["firewall, forward"]["cure"]
    assert cure.startswith("iptables -I DOCKER-USER -i virbr0 -j ACCEPT; ")
    daemon.exec("nft", "flush", "ruleset")


def test_ports_and_their_holders(daemon):
    assert verdicts(checks(daemon), "port 53", "port 67") == ["PASS"] * 2
    holder = daemon.stream_of(
        "python3", "-c", "import socket,time\na=[socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for _ in '12']\n"
        "a[0].bind(('0.0.0.0',53))\na[1].bind(('0.0.0.0',67))\nprint('holds',flush=True)\ntime.sleep(999)")
    try:
        holder.until("holds")
        pid, = [pid for pid, line in daemon.processes().items() if "holds" in line]
        rows = checks(daemon)
        for port in ("port 53", "port 67"):
            assert rows[port]["verdict"] == "WARN"
            assert "python3 (pid %d) uses it" % pid in rows[port]["text"]
    finally:
        holder.end()


def test_libvirts_network_beside_us(daemon):
    daemon.exec("ip", "link", "add", "virbr0", "type", "bridge")
    assert checks(daemon)["libvirt"]["verdict"] == "WARN"
    daemon.exec("ip", "link", "del", "virbr0")
    assert "libvirt" not in checks(daemon)


def test_programs_that_are_missing(world):
    """An empty directory mounted over the administrator's programs hides nft."""
    empty = os.path.join(world.base, "nft")
    with open(empty, "w", encoding="utf-8"):
        pass
    nft = world.exec("sh", "-c", "readlink -f $(command -v nft)").strip()
    world.exec("mount", "--bind", empty, nft)
    try:
        world.start()
        rows = checks(world)
        assert rows["programs"]["verdict"] == "FAIL"
        assert rows["programs"]["text"] == "not installed: nft" and rows["programs"]["cure"] == "apt install nftables"
        assert rows["firewall, forward"]["verdict"] == "WARN"
    finally:
        world.exec("umount", "-l", nft)
        world.mounts = world.mount_points()
