# SPDX-License-Identifier: MIT
"""The output of `cmdline` can be pasted into a shell: a stopped VM boots, and a running one and its daemon are not
affected."""
import os

import pytest

import vmk

UEFI = "/usr/share/qemu/firmware"
BOOTS = "[VM]\nMemory=16M\nNetworks=none\n"
# name: (keys besides the disk, words on the command line, words in the comments)
VMS = {
    "plain": (BOOTS, [], ["writes to the same disks", "first serial port share", "-display gtk"]),
    "nics": ("[VM]\nMemory=16M\n[NIC a]\n[NIC b]\nModel=e1000\n", ['"type":"user"'], ["user-mode network"]),
    "display": (BOOTS + "[Display]\nListen=127.0.0.1\nPort=5900\nPassword=a.password\nKeymap=de\nVideo=virtio\n", ["-k de"], []),
    "headless": (BOOTS + "[Display]\nType=none\n[Agent]\nEnable=no\n", [], ["first serial port share"]),
    "serials": (BOOTS + "[Serial console]\n[Serial two]\nLog=no\n[Serial three]\nType=virtio\n",
                ["null,id=char-two", "null,id=char-three"], ["not connected"]),
    "notify": (BOOTS + "[Lifecycle]\nReadyWhen=notify\n", ["null,id=notify", "null,id=agent"], ["not connected"]),
    "watchdog": (BOOTS + "[Watchdog]\nModel=i6300esb\n[RNG]\nSource=none\n", ["i6300esb"], []),
    "pc": ("[VM]\nMemory=16M\nMachine=pc\nNetworks=none\n[Watchdog]\nModel=none\n", ["pc-i440fx"], []),
    "auto": ("[VM]\nMemory=16M\nAccel=auto\nNetworks=none\n", ["-accel "], []),
}


def sockets(world, name):
    """The sockets in the VM's run directory, with inode and permissions."""
    place = world.inner(os.path.join(world.run, "vms", name))
    return {entry: (st.st_ino, st.st_mode, st.st_size if entry.endswith(".sock") else 0)
            for entry in os.listdir(place) for st in [os.lstat(os.path.join(place, entry))]}


def paste(world, name):
    """Runs the printed text in a shell on a terminal."""
    text = world.ok("cmdline", name)
    path = os.path.join(world.base, "pasted.%s" % name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    stream = vmk.Stream(world.inside(["sh", path]), terminal=True)
    world.streams.append(stream)
    return stream


def leave(stream, banner="up"):
    """The guest boots, its monitor answers on the same terminal, and Ctrl-A X ends it."""
    if banner:
        stream.until(banner, 60)
    stream.type("\x01c")
    stream.until(r"\(qemu\) ", 30)
    stream.type("info status\r")
    stream.until("VM status: running", 30)
    stream.type("\x01x")
    assert stream.wait(30) == 0, stream.text


@pytest.mark.parametrize("name", VMS)
def test_stopped(daemon, name):
    keys, words, comments = VMS[name]
    os.chmod(daemon.write("a.password", "secret\n"), 0o600)
    disk = "it's \"a\", $disk;.raw" if name == "plain" else "d.raw"
    daemon.image(disk, "polite", "up\r\n")
    daemon.write("a.vm", keys + "[Disk root]\nPath=%s\n" % disk)
    text = daemon.ok("cmdline", "a")
    command = text[text.index("\n/"):]
    for word in words:
        assert word in command, text
    for word in comments:
        assert word in text[:-len(command)], text
    assert daemon.run not in command and daemon.state + "/vms" not in command, text
    leave(paste(daemon, "a"))
    assert not os.path.exists(os.path.join(daemon.run, "vms", "a"))
    daemon.up("a")  # afterwards it starts as usual
    daemon.ok("kill", "a")


def test_running(daemon):
    """QEMU's lock refuses it; no socket of the daemon is replaced, and the daemon still reaches the guest."""
    daemon.micro("a", "echo", vm="Description=it's a\n", extra="[Serial console]\n[Serial two]\n")
    console = daemon.up("a")
    before = sockets(daemon, "a")
    assert {"qmp.sock", "agent.sock", "serial-console.sock"} <= set(before)
    assert "this fails until it stops" in daemon.ok("cmdline", "a")
    pasted = paste(daemon, "a")
    assert pasted.wait(30) == 1 and 'Failed to get "write" lock' in pasted.text, pasted.text
    assert sockets(daemon, "a") == before
    console.type("still here")
    console.until("still here")
    daemon.kill_daemon()
    daemon.start()
    assert daemon.info("a")["health"] == "ok"
    after = sockets(daemon, "a")
    # the guest's sockets are created by its QEMU; the display's listener is recreated by each daemon
    assert after.pop("vnc.sock")[1:] == before.pop("vnc.sock")[1:] and after == before
    assert daemon.qmp("a", "query-status")["status"] == "running"
    again = daemon.console("a")
    again.type("and now")
    again.until("and now")
    daemon.ok("kill", "a")


def test_start_beside_it(daemon):
    """While the pasted command runs, the VM does not start; the error says what holds the disk."""
    daemon.micro("a")
    pasted = paste(daemon, "a")
    pasted.until("up", 60)
    error = daemon.fails(3, "start", "a")
    assert "qemu-system" in error and "a.raw" in error, error
    leave(pasted, None)
    daemon.up("a")
    daemon.ok("kill", "a")


def test_shared_base(daemon):
    """Readers can share a base, but nothing may write it while it is read."""
    base = daemon.image("base.raw", "polite", "up\r\n")
    for name in "ab":
        daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw",
                    os.path.join(daemon.images, name + ".qcow2"))
        daemon.write(name + ".vm", BOOTS + "[Disk root]\nPath=%s.qcow2\nBase=base.raw\n" % name)
    daemon.up("a")
    leave(paste(daemon, "b"))
    daemon.write("w.vm", BOOTS + "[Disk root]\nPath=base.raw\n")
    refused = paste(daemon, "w")
    assert refused.wait(30) == 1 and 'lock' in refused.text, refused.text
    daemon.ok("kill", "a")
    writer = paste(daemon, "w")
    writer.until("up", 60)
    refused = paste(daemon, "b")
    assert refused.wait(30) == 1 and 'lock' in refused.text, refused.text
    leave(writer, None)


@pytest.mark.skipif(not os.path.isdir(UEFI), reason="no UEFI firmware is installed")
@pytest.mark.parametrize("secure", ["no", "yes"])
def test_uefi(daemon, secure):
    """Before the first start there are no variables; afterwards they are read, and never written."""
    daemon.image("a.raw", "deaf")
    daemon.write("a.vm", "[VM]\nMemory=256M\nNetworks=none\n[Boot]\nFirmware=uefi\nSecureBoot=%s\n"
                 "[Disk root]\nPath=a.raw\n" % secure)
    nvram = os.path.join(daemon.state, "vms", "a", "nvram.qcow2")
    leave(paste(daemon, "a"), None)
    assert not os.path.exists(nvram)
    daemon.ok("start", "a")
    pasted = paste(daemon, "a")
    assert pasted.wait(30) == 1 and "lock" in pasted.text, pasted.text
    daemon.ok("kill", "a")
    with open(nvram, "rb") as f:
        before = f.read()
    assert "UEFI variables are discarded" in daemon.ok("cmdline", "a")
    leave(paste(daemon, "a"), None)
    with open(nvram, "rb") as f:
        assert f.read() == before


@pytest.mark.skipif(not os.path.exists("/dev/vhost-vsock"), reason="no /dev/vhost-vsock")
def test_vsock(daemon):
    daemon.micro("a", extra="[VSock]\nCID=auto\n")
    assert "vhostfd" not in daemon.ok("cmdline", "a")
    leave(paste(daemon, "a"))


def test_kernel(daemon, linux):
    """A guest without a disk, with quotes on its kernel's command line."""
    daemon.write("a.vm", "[VM]\nMemory=128M\nNetworks=none\n[Boot]\nKernel=%s\nInitrd=%s\nAppend=console=ttyS0 quiet panic=-1 "
                 "guest.net=none greet=\"it's\"\n" % tuple(os.path.join(vmk.GUEST, f) for f in ("vmlinuz", "initrd")))
    text = daemon.ok("cmdline", "a")
    assert "same disks" not in text, text
    guest = paste(daemon, "a")
    guest.until("ready after", 120)
    guest.type("cat /proc/cmdline\n")
    guest.until("greet=\"it's\"", 30)
    guest.type("poweroff -f\n")
    assert guest.wait(60) == 0, guest.text
