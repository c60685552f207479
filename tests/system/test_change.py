# SPDX-License-Identifier: MIT
"""A change that would be a problem beside the other VMs is refused before anything is written, in the words of
`reload`; what another VM has as well is told. Other changes of a file that has such a fault already are made."""
import os
import re

import pytest

import vmk

VM = "[VM]\nMemory=16M\nNetworks=none\n%s[Disk root]\nPath=%s.raw\n%s"


def write(world, name, vm="", extra=""):
    world.write(name + ".vm", VM % (vm, name, extra))


def texts(world):
    return {name: vmk.read_text(os.path.join(world.config, name)) for name in os.listdir(world.config)
            if name.endswith(".vm")}


def editor(world, old, new):
    """An editor that replaces this in the file."""
    path = os.path.join(world.base, "editor")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nsed -i 's/%s/%s/' \"$1\"\n" % (old, new))
    os.chmod(path, 0o755)
    return {"env": {"EDITOR": path}, "input": "n\n"}


AFTER_A = ("b.vm", "[Lifecycle]\nRequires=a\n")


@pytest.mark.parametrize("change, code, said", [
    ("Lifecycle.After=a", 2, "a.vm:9: After: 'a' is this VM itself"),
    ("Lifecycle.Requires=a", 2, "a.vm:9: Requires: 'a' is this VM itself"),
    ("Lifecycle.After=b", 2, "a.vm:9: After: dependency cycle: a -> b -> a"),
    ("Lifecycle.Requires+=b", 2, "a.vm:9: Requires: dependency cycle: a -> b -> a"),
    ("Lifecycle.After=bb", 2, "a.vm:9: After: there is no VM or network 'bb'"),
    ("VM.UUID=5f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d", 3, "is VM 'b' already"),
])
def test_refused(daemon, change, code, said):
    write(daemon, "a")
    write(daemon, "b", "UUID=5f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d\n", "[Lifecycle]\nRequires=a\n")
    before = texts(daemon)
    for more in ([], ["--dry-run"]):
        assert said in daemon.fails(code, "set", "a", change, "VM.CPUs=2", *more)
    assert texts(daemon) == before and daemon.ok("reload") == "no problems\n"


def test_an_editor(daemon):
    write(daemon, "a", extra="[Lifecycle]\nAfter=default\n")
    write(daemon, "b", extra="[Lifecycle]\nRequires=a\n")
    before = texts(daemon)
    result = daemon.vmkeep("edit", "a", **editor(daemon, "After=default", "After=b"))
    assert result.code == 2 and "a.vm:7: After: dependency cycle: a -> b -> a" in result.out + result.err
    assert texts(daemon) == before


def test_a_fault_that_is_there_already(daemon):
    """It was there, and something else is changed, or it is mended."""
    write(daemon, "a", extra="[Lifecycle]\nAfter=b\nAfter=nobody\n")
    write(daemon, "b", extra="[Lifecycle]\nAfter=a\n")
    said = daemon.vmkeep("reload")
    assert said.code == 2 and "a.vm:8: After: dependency cycle: a -> b -> a" in said.out, said
    for name in "ab":
        daemon.ok("set", name, "VM.CPUs=2")
    daemon.ok("set", "b", "Lifecycle.After-=a")
    daemon.ok("set", "a", "Lifecycle.After-=nobody")
    assert daemon.ok("reload") == "no problems\n"


def test_defaults_name_it_to_all(daemon):
    """The VM that all others start after cannot start after itself; it stays valid, and reload says so."""
    write(daemon, "a")
    write(daemon, "b")
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "Lifecycle.After=a\n")
    said = daemon.vmkeep("reload")
    assert said.code == 2 and "After: dependency cycle: a -> a" in said.out, said
    assert daemon.info("a")["problems"] is None
    daemon.ok("set", "a", "VM.CPUs=2")


@pytest.mark.parametrize("change, key, said", [
    ("Disk.root.Path=b.raw", "Path", "disk 'root': VM 'b' also has "),
    ("NIC.lan.MACAddress=52:54:00:00:00:07", "MACAddress", "nic 'lan': VM 'b' also has 52:54:00:00:00:07"),
    ("NIC.lan.Address=192.168.122.7", "Address", "nic 'lan': VM 'b' also has 192.168.122.7 on network 'default'"),
    ("VSock.CID=77", "CID", "VM 'b' also has CID 77"),
])
def test_what_another_vm_has(daemon, change, key, said):
    """Both are valid, if they never run at once."""
    write(daemon, "a", extra="[NIC lan]\n")
    write(daemon, "b", extra="[NIC lan]\nMACAddress=52:54:00:00:00:07\nAddress=192.168.122.7\n[VSock]\nCID=77\n")
    for more in (["--dry-run"], []):
        rows = daemon.json("set", "a", "VM.CPUs=2", change, "VM.Description=shop", *more)
        assert [said in (row["conflict"] or "") for row in rows] == [row["key"] == key for row in rows], rows
        assert [row["conflict"] is None for row in rows] == [row["key"] != key for row in rows], rows
    assert daemon.one("set", "a", "VM.CPUs=4")["conflict"] is None, "it is known"
    daemon.ok("unset", "a", change.split("=")[0]) if key != "Path" else daemon.ok("set", "a", "Disk.root.Path=a.raw")
    assert re.search(r"\na: warning: .*" + re.escape(said), daemon.ok("set", "a", change))


def test_create(daemon):
    write(daemon, "b")
    told = daemon.ok("create", "a", "--disk", "path=b.raw", "--dry-run")
    assert "a: warning: disk 'root': VM 'b' also has " in told, told
    notes = daemon.one("create", "a", "--disk", "path=b.raw")["notes"]
    assert len(notes) == 1 and notes[0].startswith("warning: disk 'root': VM 'b' also has "), notes
    assert daemon.one("create", "c", "--disk", "path=c.raw,size=1M")["notes"] == []


FOLLOWS = "[Lifecycle]\nAfter=d\n"


@pytest.mark.parametrize("verb", ["clone", "create", "rename"])
@pytest.mark.parametrize("key", ["After", "Requires"])
def test_another_name_for_it(daemon, verb, key):
    """What waits for the new name would be waited for; nothing is written."""
    write(daemon, "a", "Template=yes\n" if verb == "create" else "", FOLLOWS)
    write(daemon, "d", "", "[Lifecycle]\n%s=c\n" % key)
    daemon.image("a.raw")
    before = texts(daemon)
    argv = {"clone": ["clone", "a", "c"], "create": ["create", "c", "--template", "a"], "rename": ["rename", "a", "c"]}[verb]
    said = daemon.fails(2, *argv)
    assert "After: dependency cycle: c -> d -> c" in said, said
    assert texts(daemon) == before and daemon.states() == {"a": "stopped", "d": "stopped"}
    daemon.ok("set", "d", "Lifecycle.%s=" % key)
    daemon.ok(*argv)
    assert daemon.ok("reload") == "no problems\n"


def test_a_fault_that_gets_another_name(daemon):
    """It was there before, and does not keep the VM from being renamed; a clone would have it as well."""
    write(daemon, "a", extra="[Lifecycle]\nAfter=nobody\n")
    assert "there is no VM or network 'nobody'" in daemon.fails(2, "clone", "a", "c")
    daemon.ok("rename", "a", "c")
