# SPDX-License-Identifier: MIT
"""`cat --effective` shows what the daemon decided, and describes the same machine when used as the VM's file."""
import os
import re

import pytest

FILE = """[VM]
Memory=128M
CPUs=4
%s
[CPU]
Threads=2
[Disk root]
Path=a.raw
[Disk d]
Path=d.qcow2
Bus=scsi
[CDROM c]
Path=c.iso
[NIC lan]
"""


def keys(text):
    """{(section, key): value}; values of a repeated key are joined."""
    found, section = {}, ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            key, value = line.split("=", 1)
            found[section, key] = found.get((section, key), "") + " " * ((section, key) in found) + value
    return found


@pytest.mark.parametrize("machine", ["Machine=q35", "Machine=pc"])
def test_effective(daemon, machine):
    for name in ("a.raw", "d.qcow2", "c.iso"):
        daemon.image(name, "polite", "up\r\n")
    daemon.write("a.vm", FILE % machine)
    before = keys(daemon.ok("cat", "a", "--effective"))
    daemon.ok("start", "a")
    running = daemon.ok("cat", "a", "--effective")
    shown = keys(running)
    command = daemon.ok("cmdline", "a")
    pinned, = re.findall(r"-machine ([^,]+)", command)
    want = {("VM", "Machine"): pinned, ("VM", "Accel"): "tcg", ("CPU", "Model"): "max",
            ("VM", "UUID"): re.search(r"-uuid (\S+)", command).group(1),
            ("NIC lan", "MACAddress"): re.search(r'"mac":"([^"]+)"', command).group(1),
            ("NIC lan", "Address"): daemon.rows("ip", "a")[0]["address"],
            ("CPU", "Sockets"): "1", ("CPU", "Cores"): "2", ("Memory", "Max"): "128M", ("Memory", "Min"): "64M",
            ("Boot", "Order"): "root d c lan", ("Boot", "Firmware"): "bios", ("Disk root", "Format"): "raw",
            ("Disk d", "Format"): "qcow2", ("Disk root", "Bus"): "virtio", ("CDROM c", "Bus"): "ide" if "pc" in machine else "sata",
            ("Disk root", "Cache"): "none", ("Disk root", "AIO"): "threads", ("Disk root", "Serial"): "root"}
    assert {key: shown[key] for key in want} == want
    known = {key: value for key, value in before.items() if value != shown[key]}
    assert set(known) <= {("VM", "Machine"), ("NIC lan", "Address"), ("NIC lan", "HostName")}, known
    assert not [key for key, value in shown.items() if value == "auto" and key != ("Display", "Port")]
    daemon.ok("kill", "a")
    command = daemon.ok("cmdline", "a")
    daemon.write("a.vm", running)
    assert daemon.ok("check", "a") == "no problems\n"
    # a model written in the file must have all its features
    assert daemon.ok("cmdline", "a").replace(",enforce=on", "") == command
    assert daemon.ok("cat", "a", "--effective") == running
    daemon.ok("start", "a")
    assert daemon.ok("diff", "a") == "", "the same file"


def test_what_cannot_be_known(daemon):
    """A broken or missing file is shown as far as it is known."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    daemon.write("a.vm", "[VM]\nMemory=16M\nCPUs=x\n[Disk root]\nPath=a.raw\n")
    assert "Memory=16M" in daemon.ok("cat", "a", "--effective")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    assert "Path=a.raw" in daemon.ok("cat", "a", "--effective")
    daemon.ok("kill", "a")
