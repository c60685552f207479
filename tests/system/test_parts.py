# SPDX-License-Identifier: MIT
"""Parts of a guest besides disks and NICs: a generation ID, which tells the guest that its time went back, and
sockets to the host. Watchdogs are tested in test_life.py, with the actions when they expire."""
import json
import os

HAS_VSOCK = os.path.exists("/dev/vhost-vsock")


def generation(daemon):
    return daemon.qmp("a", "query-vm-generation-id")["guid"]


def identity(daemon):
    return os.path.join(daemon.state, "vms", "a", "identity.json")


def test_generation_id_follows_the_guests_time(daemon):
    """It stays the same across restarts; a revert assigns a new one, which is saved."""
    daemon.micro("a", "deaf", disk="qcow2")
    daemon.up("a").end()
    first = generation(daemon)
    daemon.ok("snapshot", "create", "a", "one")
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    assert generation(daemon) == first
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "revert", "a", "one", timeout=60)
    second = generation(daemon)
    assert second != first
    daemon.ok("kill", "a")
    daemon.ok("snapshot", "create", "a", "off")
    daemon.ok("snapshot", "revert", "a", "off")
    with open(identity(daemon), encoding="ascii") as f:
        third = json.load(f)["generation"]
    daemon.ok("start", "a")
    assert generation(daemon) == third and third not in (first, second)


def test_generation_id_of_a_vm_that_is_older_than_the_key(daemon):
    """The hardware of an existing VM changes only when its file asks for it."""
    daemon.micro("a", "deaf")
    daemon.up("a").end()
    daemon.ok("kill", "a")
    daemon.stop_daemon()
    with open(identity(daemon), encoding="ascii") as f:
        kept = json.load(f)
    del kept["generation"]
    with open(identity(daemon), "w", encoding="ascii") as f:
        json.dump(kept, f)
    daemon.start()
    daemon.ok("start", "a")
    assert "vmgenid" not in daemon.ok("cmdline", "a")
    daemon.ok("kill", "a")
    daemon.micro("a", "deaf", extra="[Boot]\nVMGenID=yes\n")
    daemon.ok("start", "a")
    assert len(generation(daemon)) == 36


def test_vsock(daemon):
    """It has a permanent number; on a host without the device, start and check say so."""
    daemon.micro("a", "deaf", extra="[VSock]\nCID=auto\n")
    if not HAS_VSOCK:
        assert "/dev/vhost-vsock" in daemon.fails(11, "start", "a")
        assert "vhost-vsock" in daemon.vmkeep("check", "a").out
        first = daemon.ok("cmdline", "a")
        assert '"guest-cid":' in first and daemon.ok("cmdline", "a") == first
        # also for a guest that runs now: a restart would fail
        daemon.micro("a", "deaf")
        daemon.ok("start", "a")
        daemon.micro("a", "deaf", extra="[VSock]\nCID=auto\n")
        assert "vhost-vsock" in daemon.vmkeep("check", "a").out
        assert "left running" in daemon.fails(2, "restart", "a")
        assert daemon.info("a")["state"] == "running"
        return
    daemon.ok("start", "a")
    cid = daemon.info("a")["cid"]
    assert cid > 2
    daemon.ok("kill", "a")
    daemon.ok("start", "a")
    assert daemon.info("a")["cid"] == cid
