# SPDX-License-Identifier: MIT
"""What a host can do to the start of a VM, as cases for test_check_is_start.py."""
import contextlib
import os
import shutil
import struct

from starts import Case

HOLDER = "holder"  # a running VM that has what others want
HOLDER_UUID = "11111111-2222-3333-4444-555555555555"
MAC, ADDRESS, PORT, BASE_PORT = "52:54:00:00:00:50", "192.168.122.50", 5990, 5991
GATE = "[NIC lan]\n"


def prepare(world):
    """Before the first case: the holder, foreign interfaces, and two files that cases name."""
    world.micro(HOLDER, "deaf", vm="UUID=%s\n" % HOLDER_UUID, extra=(
        "[NIC lan]\nAddress=%s\nMACAddress=%s\nHostName=taken\n[Display]\nListen=127.0.0.1\nPort=%d\nAllowNoPassword=yes\n"
        % (ADDRESS, MAC, PORT)))
    world.up(HOLDER)
    world.exec("ip", "link", "add", "br7", "type", "bridge")
    world.exec("ip", "tuntap", "add", "dummy7", "mode", "tap")
    world.exec("ip", "link", "set", "br7", "up")
    world.exec("ip", "address", "add", "10.77.0.1/24", "dev", "br7")
    world.write("secret", "hunter2\n")
    os.chmod(os.path.join(world.config, "secret"), 0o600)
    world.write("empty", "")


@contextlib.contextmanager
def nothing(world, name):
    yield


def image(do):
    """Runs do(world, path) on the image, or where it would be."""
    @contextlib.contextmanager
    def before(world, name):
        do(world, os.path.join(world.images, name + ".raw"))
        yield
    return before


def qemu_img(*words):
    """Makes NAME.qcow2 with qemu-img; {} is its path, {raw} that of the raw image next to it."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.images, name + ".qcow2")
        world.exec("qemu-img", *[word.format(path, raw=path[:-5] + "raw") for word in words])
        yield
        os.unlink(path)
    return before


def written(ending, content):
    """A file with this content next to the raw image."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.images, name + ending)
        with open(path, "wb") as f:
            f.write(content)
        yield
        os.unlink(path)
    return before


def file(name, text, mode=0o644):
    """A file in the configuration directory; {vm} stands for the VM's name in both arguments."""
    @contextlib.contextmanager
    def before(world, vm):
        path = world.write(name.replace("{vm}", vm), text.replace("{vm}", vm))
        os.chmod(path, mode)
        yield
        os.unlink(path)
        if ".vm.d/" in path:
            os.rmdir(os.path.dirname(path))
    return before


def state(name, content):
    """A file in the VM's state directory, as left by a daemon; content may be a function of (world, vm)."""
    @contextlib.contextmanager
    def before(world, vm):
        folder = os.path.join(world.state, "vms", vm)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        text = content(world, vm) if callable(content) else content
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
        yield
    return before


def ran(then=nothing):
    """The VM ran before with the plain file, so it has an identity."""
    @contextlib.contextmanager
    def before(world, name):
        path = os.path.join(world.config, name + ".vm")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        world.write(name + ".vm", Case("").file(name))
        world.ok("start", name)
        world.ok("kill", name)
        world.write(name + ".vm", text)
        with then(world, name):
            yield
    return before


def identity(change, known=False):
    """Changes the identity of a VM that ran: change(document's text). known: the daemon has already read it."""
    @contextlib.contextmanager
    def then(world, name):
        file = os.path.join(world.config, name + ".vm")
        path = os.path.join(world.state, "vms", name, "identity.json")
        if not known:
            os.rename(file, file + ".bak")
            world.ok("list")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(change(text))
        if not known:
            os.rename(file + ".bak", file)
        yield
    return ran(then)


def mounted(place, *command):
    """Mounts an empty directory over this one, and runs the command."""
    @contextlib.contextmanager
    def before(world, name):
        world.exec("mount", "-t", "tmpfs", "-o", "mode=755", "none", place)
        if command:
            world.exec(*command)
        yield
        world.exec("umount", "-l", place)
    return before


def program(text, ready):
    """Another program of the host, in Python, that runs until the case ends; it has printed `ready`."""
    @contextlib.contextmanager
    def before(world, name):
        stream = world.stream_of("/usr/bin/python3", "-c", text.replace("{images}", world.images).replace("{vm}", name)
                                 + "\nprint('%s', flush=True)\nimport time\ntime.sleep(999)" % ready)
        stream.until(ready)
        yield
        stream.end()
    return before


def hidden(path):
    """Moves the path away until the case ends."""
    @contextlib.contextmanager
    def before(world, name):
        world.exec("mv", path, path + ".away")
        yield
        world.exec("mv", path + ".away", path)
    return before


def covered(path, text="", mode=0o644):
    """Covers the path with another file until the case ends."""
    @contextlib.contextmanager
    def before(world, name):
        cover = os.path.join(world.base, "cover")
        with open(cover, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(cover, mode)
        world.exec("mount", "--bind", cover, path)
        yield
        world.exec("umount", "-l", path)
    return before


@contextlib.contextmanager
def read_only(world, name):
    """Makes the image directory read-only."""
    world.exec("mount", "--bind", world.images, world.images)
    world.exec("mount", "-o", "remount,bind,ro", world.images)
    yield
    world.exec("umount", "-l", world.images)


@contextlib.contextmanager
def moved(world, name):
    """Moves the image directory away."""
    os.rename(world.images, world.images + ".away")
    yield
    os.rename(world.images + ".away", world.images)


@contextlib.contextmanager
def no_space(world, name):
    """Fills the image directory."""
    world.exec("mount", "-t", "tmpfs", "-o", "size=1M,mode=755", "none", world.images)
    world.exec("sh", "-c", "dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null || :" % world.images)
    yield
    world.exec("umount", "-l", world.images)


def node(path, major, minor):
    @contextlib.contextmanager
    def before(world, name):
        world.exec("mknod", path, "c", major, minor)
        yield
        world.exec("rm", path)
    return before


def network(name, text, then=nothing):
    """A .network file; the network is taken down afterwards."""
    @contextlib.contextmanager
    def before(world, vm):
        path = world.write(name + ".network", text)
        with then(world, vm):
            yield
        world.vmkeep("net", "stop", "--force", name)
        os.unlink(path)
    return before


def up_and(name, text):
    """Brings the network up, then changes its file to this."""
    @contextlib.contextmanager
    def then(world, vm):
        world.ok("net", "start", name)
        world.write(name + ".network", text)
        yield
    return then


def copy(files):
    """A second VM file next to the VM's; {vm} in its text is the first VM's name."""
    @contextlib.contextmanager
    def before(world, name):
        path = world.write(name + "x.vm", files.replace("{vm}", name))
        yield
        os.unlink(path)
    return before


def mark(uuid):
    return image(lambda world, path: os.setxattr(path, "trusted.vmkeep", uuid.encode()))


def qcow2(**change):
    """A version 3 header, with zeros after it."""
    fields = dict(magic=b"QFI\xfb", version=3, backing=0, backing_size=0, bits=16, size=1 << 20, crypt=0, l1=1,
                  l1_at=0x30000, refs=0x10000, ref_clusters=1, snapshots=0, snapshots_at=0, bad=0, compatible=0,
                  clear=0, order=4, length=104)
    fields.update(change)
    return struct.pack(">4sIQIIQIIQQIIQQQQII", *fields.values()).ljust(1 << 20, b"\0")


def put(image, at, data):
    return image[:at] + data + image[at + len(data):]


def disk(path, more=""):
    return "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\n%s" % (path, more)


def cd(ending, content):
    return Case("CD %s of %d bytes, %r" % (ending, len(content), content[72:84]), before=written(ending, content),
                text="[VM]\nMemory=16M\nNetworks=none\n[CDROM cd]\nPath={vm}%s\n" % ending)


def inside(title, content, more=""):
    """A defect of an image that only QEMU detects."""
    return Case("qcow2 " + title, text=disk("{vm}.qcow2", more), before=written(".qcow2", content))


def nic(*words, net="default"):
    return [("NIC lan", "Network=" + net)] + [("NIC lan", word) for word in words]


LISTENER = "import socket\ns=socket.create_server(('127.0.0.1', %d))" % BASE_PORT
LOCKER = "import fcntl\nf=open('{images}/{vm}.raw','r+b')\nfcntl.lockf(f, fcntl.LOCK_EX)"
LEASE = "import fcntl\nf=open('{images}/{vm}.raw','rb')\nfcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_RDLCK)"
LAB = "[Network]\nMode=nat\nBridge=lab0\nAddress=10.30.0.1/24\n"
SMALL = "[Network]\nMode=nat\nBridge=sml0\nAddress=10.31.0.1/30\n[DHCPServer]\nRange=10.31.0.2-10.31.0.2\n"
OVMF = "/usr/share/OVMF/OVMF_%s_4M.fd"
BITMAPS = (b"\x23\x85\x28\x75\0\0\0\x18\0\0\0\1\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0\0")
NOWHERE = "99999999-8888-7777-6666-555555555555"


def made(world, name):
    return "{\"version\": 1, \"snapshot\": \"one\", \"disk\": \"root\"}"


def hosts():
    tcp = [("Display", "Listen=127.0.0.1"), ("Display", "Port=%d" % BASE_PORT)]
    return [
        # the VM itself
        Case("revert unfinished", before=state("revert.json", made)),
        Case("revert's mark damaged", before=state("revert.json", "{")),
        Case("file writable by others", before=file("{vm}.vm.d/x.conf", "[VM]\nCPUs=1\n", 0o666)),
        Case("drop-in broken", before=file("{vm}.vm.d/x.conf", "[VM]\nCPU=1\n")),
        Case("drop-in fine", before=file("{vm}.vm.d/x.conf", "[VM]\nCPUs=2\n")),
        Case("two mistakes", [("VM", "CPUs=0"), ("VM", "Colour=red")]),
        Case("no file text", text=""),
        Case("nothing to boot", text="[VM]\nNetworks=none\n"),
        Case("not UTF-8", [("VM", "Description=\udcff")]),
        # memory
        Case("memory of 60T", [("VM", "Memory=60T")]),
        Case("memory of 60T with Max", [("VM", "Memory=16M"), ("Memory", "Max=60T")]),
        # QEMU and its machine
        Case("QEMU outside /usr", [("QEMU", "Binary=/opt/qemu")], mounted(
            "/opt", "cp", "/usr/bin/qemu-system-x86_64", "/opt/qemu")),
        Case("QEMU is a directory", [("QEMU", "Binary=/usr/bin")]),
        Case("machine unknown", [("VM", "Machine=pc-q35-99.0")]),
        Case("machine kept and gone", before=identity(lambda text: text.replace("pc-q35-7.2", "pc-q35-99.0"))),
        Case("KVM missing", [("VM", "Accel=kvm")]),
        Case("KVM missing, auto", [("VM", "Accel=auto")]),
        Case("more vCPUs than pc has", [("VM", "CPUs=256"), ("VM", "Machine=pc")]),
        # QEMU 10's q35 takes thousands, which are slow to start
        Case("more vCPUs than q35 has", [("VM", "CPUs=289"), ("VM", "Machine=pc-q35-7.2")]),
        Case("30 disks on pc", [("VM", "Machine=pc")] + [("Disk d%d" % i, "Path={vm}.raw\nReadOnly=yes") for i in range(30)]),
        Case("30 NICs on pc", [("VM", "Machine=pc")] + [("NIC n%d" % i, "Network=default") for i in range(30)]),
        Case("32 NICs on q35", [("NIC n%d" % i, "Network=default") for i in range(32)]),
        Case("watchdog itco", [("Watchdog", "Model=itco")]),
        Case("line of 8 KiB", [("Boot", "Kernel=/etc/hostname")] + [("Boot", "Append=" + "a" * 8000)] * 20),
        # identity
        Case("another's UUID", [("VM", "UUID=" + HOLDER_UUID)]),
        Case("UUID changed", [("VM", "UUID=" + NOWHERE)], ran()),
        Case("ran before", before=ran()),
        Case("identity damaged", before=identity(lambda text: text[:40])),
        Case("identity damaged, UUID left", before=identity(lambda text: text.replace("{", "", 1))),
        Case("identity empty", before=identity(lambda text: "")),
        Case("identity damaged behind the daemon's back", before=identity(lambda text: text[:40], known=True)),
        Case("identity of a later version", before=identity(lambda text: text.replace('"version": 1', '"version": 99'))),
        Case("image of a lost VM", before=mark(NOWHERE)),
        Case("image of a lost VM, by UUID", [("VM", "UUID=" + NOWHERE)], mark(NOWHERE)),
        Case("image of another VM", before=mark(HOLDER_UUID)),
        Case("new VM with a new one's UUID", [("VM", "UUID=" + NOWHERE)], copy(disk("{vm}x.raw").replace(
            "[VM]", "[VM]\nUUID=" + NOWHERE))),
        Case("copy of a VM's file", before=copy(disk("{vm}.raw"))),
        # firmware
        Case("UEFI", [("Boot", "Firmware=uefi")]),
        Case("secure boot", [("Boot", "SecureBoot=yes")]),
        Case("UEFI missing", [("Boot", "Firmware=uefi")], mounted("/usr/share/qemu/firmware")),
        Case("UEFI code empty", [("Boot", "Firmware=uefi")], covered(OVMF % "CODE")),
        Case("UEFI code of an odd length", [("Boot", "Firmware=uefi")], covered(OVMF % "CODE", "x" * 5000)),
        Case("UEFI code too large", [("Boot", "Firmware=uefi")], covered(OVMF % "CODE", "x" * (9 << 20))),
        Case("UEFI variables empty", [("Boot", "Firmware=uefi")], covered(OVMF % "VARS")),
        Case("UEFI without qemu-img", [("Boot", "Firmware=uefi")], covered("/usr/bin/qemu-img")),
        Case("UEFI on pc", [("Boot", "Firmware=uefi"), ("VM", "Machine=pc")]),
        # networks
        Case("no such network", nic(net="nowhere")),
        Case("network's file broken", nic(net="lab"), network("lab", "[Network]\nMode=bridged\n")),
        Case("network fine", nic(net="lab"), network("lab", LAB)),
        Case("network overlaps with a host's", nic(net="lab"), network("lab", LAB.replace("10.30", "10.77"))),
        Case("network overlaps with ours", nic(net="lab"), network("lab", LAB.replace("10.30.0.1", "192.168.122.9"))),
        Case("network's bridge is another's", nic(net="lab"), network("lab", LAB.replace("lab0", "dummy7"))),
        Case("network's bridge is a foreign bridge", nic(net="lab"), network("lab", LAB.replace("lab0", "br7"))),
        Case("network's bridge is default's", nic(net="lab"), network("lab", LAB.replace("lab0", "virbr0"))),
        Case("network's bridge cannot have that name", nic(net="lab"), network("lab", LAB.replace("lab0", "all"))),
        Case("network on no addresses for hosts", nic(net="lab"), network("lab", LAB.replace("10.30", "224.0"))),
        Case("network broken while up", nic(net="lab"), network("lab", LAB, up_and("lab", "[Network]\nMde=nat\n"))),
        Case("network changed while up", nic(net="lab"), network("lab", LAB, up_and("lab", LAB.replace("10.30", "10.32")))),
        Case("pool full", nic("MACAddress=52:54:00:00:00:77", net="small"), network("small", SMALL, copy(
            disk(HOLDER + ".raw", "ReadOnly=yes\n[NIC lan]\nNetwork=small\n")))),
        Case("two on one address", nic(net="small") + [("NIC wan", "Network=small")], network("small", SMALL)),
        Case("no bridge", [("NIC lan", "Bridge=nowhere0")]),
        Case("no bridge but an interface", [("NIC lan", "Bridge=dummy7")]),
        Case("a bridge", [("NIC lan", "Bridge=br7")]),
        Case("a bridge of vmkeep's", [("NIC lan", "Bridge=virbr0")]),
        # addresses
        Case("address taken", nic("Address=" + ADDRESS)),
        Case("address the host's", nic("Address=192.168.122.1")),
        Case("address the network's", nic("Address=192.168.122.0")),
        Case("address broadcast", nic("Address=192.168.122.255")),
        Case("address elsewhere", nic("Address=10.1.2.3")),
        Case("address outside the pool", nic("Address=10.31.0.3", net="small"), network("small", SMALL)),
        Case("address fine", nic("Address=192.168.122.77")),
        Case("address of two", nic("Address=192.168.122.78"), copy(disk(HOLDER + ".raw", "ReadOnly=yes\n[NIC lan]\n"
             "Address=192.168.122.78\n"))),
        Case("MAC taken", nic("MACAddress=" + MAC)),
        Case("MAC taken, on a bridge", [("NIC lan", "Bridge=br7"), ("NIC lan", "MACAddress=" + MAC)]),
        Case("name taken", nic("HostName=taken")),
        Case("name taken in capitals", nic("HostName=Taken")),
        # screen and other parts
        Case("port held", tcp + [("Display", "AllowNoPassword=yes")], program(LISTENER, "listens")),
        Case("port of another VM", [("Display", "Listen=127.0.0.1"), ("Display", "Port=%d" % PORT),
                                    ("Display", "AllowNoPassword=yes")]),
        Case("port fine", tcp + [("Display", "AllowNoPassword=yes")]),
        Case("listens elsewhere", [("Display", "Listen=10.99.99.99"), ("Display", "AllowNoPassword=yes")]),
        Case("listens elsewhere, port given", [("Display", "Listen=10.99.99.99"), ("Display", "Port=5992"),
                                               ("Display", "AllowNoPassword=yes")]),
        Case("password there", tcp + [("Display", "Password=secret")]),
        Case("password missing", tcp + [("Display", "Password=nowhere")]),
        Case("password empty", tcp + [("Display", "Password=empty")]),
        Case("password is a directory", tcp + [("Display", "Password={vm}.vm.d")], file("{vm}.vm.d/x.conf", "[VM]\nCPUs=1\n")),
        Case("password of 12 characters", tcp + [("Display", "Password=long")], file("long", "123456789012\n", 0o600)),
        Case("listens on a link-local address", [("Display", "Listen=fe80::1"), ("Display", "AllowNoPassword=yes")]),
        Case("RNG's source a directory", [("RNG", "Source=/dev")]),
        Case("RNG's source a file", [("RNG", "Source=/etc/hostname")]),
        Case("RNG's source without a driver", [("RNG", "Source=/dev/nodriver")], node("/dev/nodriver", 250, 77)),
        Case("RNG's source that is there anyway", [("RNG", "Source=/dev/null")]),
        Case("no vsock", [("VSock", "CID=auto")]),
        Case("limit", [("Limits", "CPUQuota=50%")]),
        Case("limits", [("Limits", "TasksMax=100"), ("Limits", "MemoryMax=2G"), ("Limits", "IOWeight=10")]),
        Case("no tun", nic(), hidden("/dev/net/tun")),
        # images
        Case("image missing", before=image(lambda world, path: os.unlink(path))),
        Case("image's folder missing", text=disk("nowhere/x.raw")),
        Case("image is a folder", before=image(lambda world, path: (os.unlink(path), os.mkdir(path)))),
        Case("image is a FIFO", before=image(lambda world, path: (os.unlink(path), os.mkfifo(path)))),
        Case("image is a link", before=image(lambda world, path: (os.rename(path, path + "x"), os.symlink(path + "x", path)))),
        Case("image has two names", before=image(lambda world, path: os.link(path, path + ".too"))),
        Case("image read-only", before=image(lambda world, path: os.chmod(path, 0o400))),
        Case("image read-only, read only", [("Disk root", "ReadOnly=yes")], image(lambda world, path: os.chmod(path, 0o400))),
        Case("image unreadable", [("Disk root", "ReadOnly=yes")], image(lambda world, path: os.chmod(path, 0))),
        Case("image empty", before=image(lambda world, path: os.truncate(path, 0))),
        Case("image of few sectors", before=image(lambda world, path: os.truncate(path, 1536))),
        Case("image of few bytes", before=image(lambda world, path: os.truncate(path, 1000))),
        Case("image of few bytes, read only", [("Disk root", "ReadOnly=yes")], image(
            lambda world, path: os.truncate(path, 1000))),
        Case("image of few bytes, cached", [("Disk root", "Cache=writethrough")], image(
            lambda world, path: os.truncate(path, 1000))),
        Case("image of few bytes, a hole", before=image(lambda world, path: (
            os.truncate(path, 0), os.truncate(path, 1000)))),
        Case("image of few sectors to be made", text=disk("{vm}-new.raw", "Size=1536\n")),
        Case("image of another VM, running", text=disk(HOLDER + ".raw")),
        Case("image of another VM, both read", text=disk(HOLDER + ".raw", "ReadOnly=yes\n")),
        Case("image locked", before=program(LOCKER, "locked")),
        Case("image leased", before=program(LEASE, "leased")),
        Case("image twice", text=disk("{vm}.raw", "[Disk two]\nPath=../images/{vm}.raw\n")),
        Case("image twice, whole path", text=disk("{vm}.raw", "[CDROM two]\nPath={vm}.raw\n")),
        Case("image elsewhere", text=disk("/etc/hostname", "Format=raw\nCache=writeback\n")),
        Case("image to be made", text=disk("{vm}-new.qcow2", "Size=1M\n")),
        Case("image to be made elsewhere", text=disk("nowhere/{vm}.qcow2", "Size=1M\n")),
        Case("image to be made without qemu-img", text=disk("{vm}-new.qcow2", "Size=1M\n"), before=covered("/usr/bin/qemu-img")),
        Case("image to be made on what is read-only", text=disk("{vm}-new.qcow2", "Size=1M\n"), before=read_only),
        Case("image to be made where no space is", text=disk("{vm}-new.qcow2", "Size=1M\n"), before=no_space),
        Case("image on what is read-only", before=read_only),
        Case("image on what is read-only, read only", [("Disk root", "ReadOnly=yes")], read_only),
        Case("image directory missing", before=moved),
        Case("image's size changed", [("Disk root", "Size=1G")]),
        Case("image made and gone", [("Disk root", "Size=1G")], ran(image(lambda world, path: os.unlink(path)))),
        Case("raw that is qcow2", before=image(lambda world, path: open(path, "wb").write(qcow2()))),
        Case("raw that is qcow2, written", [("Disk root", "Format=raw")],
             image(lambda world, path: open(path, "wb").write(qcow2()))),
        Case("qcow2", text=disk("{vm}.qcow2"), before=qemu_img("convert", "-O", "qcow2", "{raw}", "{}")),
        Case("qcow2 missing", text=disk("{vm}.qcow2")),
        Case("qcow2 empty", text=disk("{vm}.qcow2"), before=written(".qcow2", b"")),
        Case("qcow2 that is none", text=disk("{vm}.qcow2"), before=written(".qcow2", b"x" * 4096)),
        Case("qcow2 of version 1", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(version=1))),
        Case("qcow2 of version 4", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(version=4))),
        Case("qcow2 corrupt", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bad=2))),
        Case("qcow2 with a data file", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bad=4))),
        Case("qcow2 of the future", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bad=1 << 40))),
        Case("qcow2 with tables beyond its end", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(l1_at=1 << 40))),
        Case("qcow2 of clusters of 4G", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(bits=32))),
        Case("qcow2 encrypted", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2(crypt=1))),
        Case("qcow2 cut short", text=disk("{vm}.qcow2"), before=written(".qcow2", qcow2()[:90])),
        Case("VMDK", text=disk("{vm}.img"), before=qemu_img("convert", "-O", "vmdk", "{raw}", "{}")),
        Case("VMDK as qcow2", text=disk("{vm}.qcow2"), before=qemu_img("convert", "-O", "vmdk", "{raw}", "{}")),
        Case("VMDK as raw", text=disk("{vm}.qcow2", "Format=raw\n"), before=qemu_img("convert", "-O", "vmdk", "{raw}", "{}")),
        Case("gzip as raw", text=disk("{vm}.img"), before=written(".img", b"\x1f\x8b\x08" + bytes(5000))),
        Case("HTML as raw", text=disk("{vm}.img"), before=written(".img", b"<!DOCTYPE html><html>Not found</html>\n" * 200)),
        Case("overlay", text=disk("{vm}.qcow2", "Base={vm}.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay without Base=", text=disk("{vm}.qcow2"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay, base missing", text=disk("{vm}.qcow2", "Base=nowhere.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay, base in use", text=disk("{vm}.qcow2", "Base=holder.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("overlay, base's format", text=disk("{vm}.qcow2", "Base={vm}.raw\n"),
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}", "64K")),
        Case("Base= of a plain image", text=disk("{vm}.qcow2", "Base={vm}.raw\n"),
             before=qemu_img("convert", "-O", "qcow2", "{raw}", "{}")),
        Case("Base= and Size=", text=disk("{vm}-o.qcow2", "Base={vm}.raw\nSize=1M\n")),
        inside("of an unknown compression", put(qcow2(length=112), 104, b"\7")),
        inside("of a compression without its bit", put(qcow2(length=112), 104, b"\1")),
        inside("with an extension without an end", put(qcow2(), 104, b"\x12\x34\x56\x78\xff\0\0\0")),
        inside("with bitmaps cut short", put(qcow2(), 104, b"\x23\x85\x28\x75\0\0\0\4\0\0\0\1")),
        inside("with bitmaps of nothing", put(qcow2(clear=1), 104, BITMAPS)),
        inside("with snapshots of nothing", put(qcow2(snapshots=1, snapshots_at=0x40000), 0x40000, b"\xff" * 200)),
        inside("with a base's name too long", qcow2(backing=0x200, backing_size=5000), "Base={vm}.raw\n"),
        inside("as QEMU wants it", qcow2()),
        cd(".qcow2", b""),
        cd(".qcow2", b"x" * 4096),
        cd(".qcow2", qcow2()),
        cd(".qcow2", qcow2()[:90]),
        cd(".qcow2", qcow2(crypt=1)),
        cd(".qcow2", qcow2(bad=1 << 40)),
        cd(".qcow2", qcow2(bad=2)),
        cd(".qcow2", qcow2(bad=4)),
        cd(".iso", b""),
        cd(".iso", b"a"),
        cd(".iso", qcow2()),
        Case("CD on a base", text="[VM]\nMemory=16M\nNetworks=none\n[CDROM cd]\nPath={vm}.qcow2\n",
             before=qemu_img("create", "-f", "qcow2", "-b", "{raw}", "-F", "raw", "{}")),
        Case("zeroes that cannot be discarded", [("Disk root", "DetectZeroes=unmap"), ("Disk root", "Discard=ignore")]),
        Case("CD missing", [("CDROM cd", "Path=nowhere.iso")]),
        Case("CD there", [("CDROM cd", "Path=/etc/hostname"), ("CDROM cd", "Format=raw")]),
        Case("kernel missing", [("Boot", "Kernel=/nowhere/vmlinuz")]),
        Case("kernel that is none", [("Boot", "Kernel=/etc/hostname")]),
        Case("initrd missing", [("Boot", "Kernel=/etc/hostname"), ("Boot", "Initrd=/nowhere/initrd")]),
        Case("RNG's source missing", [("RNG", "Source=/dev/nowhere")]),
        Case("aio native", [("Disk root", "AIO=native"), ("Disk root", "Cache=none")]),
        Case("aio native on tmpfs", text=disk("{vm}/x.raw", "AIO=native\nCache=none\n")),
        Case("Requires= of nobody", [("Lifecycle", "Requires=nobody")]),
        Case("Requires= itself", [("Lifecycle", "Requires={vm}")]),
    ]


def forget(world, name):
    """Removes everything of the VM afterwards, so that the next case has a fresh host."""
    shutil.rmtree(os.path.join(world.state, "vms", name), ignore_errors=True)
    for folder, _, names in os.walk(world.images):
        for left in names:
            if left.startswith(name):
                os.unlink(os.path.join(folder, left))
