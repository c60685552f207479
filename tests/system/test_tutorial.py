# SPDX-License-Identifier: MIT
"""The classic KVM tutorial, in virsh's words, for those who know no others."""
import json
import os

import pytest

import bootsector

# The tutorial's guest, as shown there by `virsh edit`: raw disk with cache none, IDE CD, virtio NIC with a fixed MAC,
# VNC with automatic port, Cirrus, tablet, balloon, utc, the three on_... policies.
KVM_DEMO = """\
[VM]
Memory=512M
CPUs=1
Machine=pc
UUID=7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d
[Boot]
Clock=utc
Order=cd
Order=root
[Disk root]
Path=kvm.raw
Cache=none
Bus=virtio
[CDROM cd]
Path=boot.iso
Bus=ide
[NIC lan]
Network=default
Model=virtio
MACAddress=52:54:00:12:34:56
[Serial console]
Type=serial
[Display]
Type=vnc
Listen=127.0.0.1
AllowNoPassword=yes
Video=cirrus
Tablet=yes
[Memory]
Balloon=yes
[Lifecycle]
OnPowerOff=stop
OnReboot=restart
OnPanic=restart
"""


@pytest.fixture
def seed(daemon):
    daemon.image("kvm.raw", "polite", "booted from disk\r\n")
    with open(os.path.join(daemon.images, "boot.iso"), "wb") as f:
        f.write(bytes(1 << 20))
    daemon.write("kvm-demo.vm", KVM_DEMO)
    daemon.ok("define", os.path.join(daemon.config, "kvm-demo.vm"))
    return daemon


def test_walk(seed):
    """Rows 9 and 11 to 16: the network, list, start, definition, command line, shutdown, destroy."""
    assert "kvm-demo" in seed.ok("list", "--all")
    seed.ok("start", "kvm-demo")
    seed.console("kvm-demo").until("booted from disk", 30)
    assert [row["name"] for row in seed.rows("list", "--running")] == ["kvm-demo"]
    assert "running" in seed.ok("domstate", "kvm-demo")
    assert "7f1d1d4e" in seed.ok("dominfo", "kvm-demo")
    assert "virbr0" in seed.links()
    assert "192.168.122.1" in seed.ok("net-info", "default")
    assert "default" in seed.ok("net-list")
    assert "52:54:00:12:34:56" in seed.ok("domifaddr", "kvm-demo")
    assert "Video=cirrus" in seed.ok("dumpxml", "kvm-demo")
    line = seed.processes()[seed.info("kvm-demo")["pid"]]
    for word in ("pc-i440fx-", "cirrus", "usb-tablet", "virtio-balloon", "ide-cd", "virtio-blk", "52:54:00:12:34:56",
                 "7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d"):
        assert word in line, word
    assert "cirrus" in seed.ok("domxml-to-native", "kvm-demo")
    seed.ok("suspend", "kvm-demo")
    seed.ok("resume", "kvm-demo")
    seed.ok("shutdown", "kvm-demo")
    assert "stopped" in seed.ok("domstate", "kvm-demo")
    seed.ok("start", "kvm-demo")
    seed.ok("destroy", "kvm-demo")
    assert os.path.exists(os.path.join(seed.images, "kvm.raw"))
    seed.ok("net-destroy", "default")


def test_from_nothing(daemon):
    """Rows 7 to 13, without a file that anybody wrote: virt-install's line, the CPU's models, the network, VNC, the
    installer that powers off, the start from disk, the definition and the command line."""
    with open(os.path.join(daemon.images, "x.iso"), "wb") as f:
        f.write(bootsector.cd("polite", "the installer\r\n"))
    daemon.exec("truncate", "-s", "1M", daemon.images + "/kvm.raw")  # row 3
    line = ("create --virt-type kvm --name kvm-demo --ram 512 --disk path=kvm.raw --cdrom=x.iso --network network=default "
            "--graphics vnc,listen=127.0.0.1 --noautoconsole --os-type=linux --os-variant=rhel6")
    daemon.ok(*line.split(), "--firmware", "bios", "--start", "VM.Accel=tcg", "Display.AllowNoPassword=yes")
    daemon.console("kvm-demo").until("the installer", 30)
    assert "qemu64" in daemon.exec("qemu-system-x86_64", "-cpu", "help")
    assert "192.168.122.1" in daemon.ok("net", "show", "default") and "virbr0" in daemon.links()
    assert daemon.info("kvm-demo")["nics"][0]["mac"].startswith("52:54:00:")
    script = "exec 3<>/dev/tcp/127.0.0.1/5900; head -c 12 <&3"
    assert daemon.exec("bash", "-c", script).startswith("RFB 003.")
    daemon.ok("shutdown", "kvm-demo")
    daemon.image("kvm.raw", "polite", "booted from disk\r\n")  # what the installer would have done
    assert daemon.rows("list", "--running") == []
    assert "kvm-demo" in daemon.ok("list", "--all")
    daemon.ok("start", "kvm-demo")
    daemon.console("kvm-demo").until("booted from disk", 30)
    text = daemon.ok("dumpxml", "kvm-demo")
    for word in ("Memory=512M", "Path=kvm.raw", "UUID=", "Network=default", "Type=vnc"):
        assert word in text, word
    assert "CDROM" not in text and "x.iso" not in daemon.processes()[daemon.info("kvm-demo")["pid"]]
    daemon.ok("destroy", "kvm-demo")


def test_vnc_answers(seed):
    """Rows 4 and 10: VNC on the first port from 5900."""
    seed.ok("start", "kvm-demo")
    script = "exec 3<>/dev/tcp/127.0.0.1/5900; head -c 12 <&3"
    assert seed.exec("bash", "-c", script).startswith("RFB 003.")


def test_snapshots(daemon):
    """Rows 20 and 21, with the image that they need; revert works on a running guest too."""
    daemon.micro("kvm-demo", "count", disk="qcow2")
    daemon.up("kvm-demo")
    daemon.ok("snapshot-create-as", "kvm-demo", "snap1")
    assert "snap1" in daemon.ok("snapshot-list", "kvm-demo")
    image = os.path.join(daemon.images, "kvm-demo.qcow2")
    assert "snap1" in daemon.exec("qemu-img", "snapshot", "-U", "-l", image)
    daemon.ok("snapshot-revert", "kvm-demo", "snap1")
    daemon.ok("snapshot-delete", "kvm-demo", "snap1")


def test_ten_lines_of_python(daemon):
    """Row 19: names and states, with only socket and json."""
    daemon.micro("kvm-demo", "deaf")
    daemon.ok("start", "kvm-demo")
    script = """
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect(%r)
f = s.makefile("rw")
f.readline()
f.write(json.dumps({"execute": "vm-list"}) + "\\n")
f.flush()
table = json.loads(f.readline())["return"]
print(json.dumps([row[:2] for row in table["rows"]]))
""" % daemon.socket
    assert json.loads(daemon.exec("/usr/bin/python3", "-c", script)) == [["kvm-demo", "running"]]
