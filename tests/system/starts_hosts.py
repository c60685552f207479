# SPDX-License-Identifier: MIT
"""What a host can do to the start of a VM, as cases for test_check_is_start.py."""
import contextlib
import os
import shutil

from starts import Case

HOLDER = "holder"  # a running VM that has what others want
HOLDER_UUID = "11111111-2222-3333-4444-555555555555"
MAC, ADDRESS, PORT, BASE_PORT = "52:54:00:00:00:50", "192.168.122.50", 5990, 5991
STATES = "{world.state}/vms"


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


def read_only(place):
    """A directory or a file, seen as such by whoever comes by its path."""
    @contextlib.contextmanager
    def before(world, name):
        path = place.format(world=world, vm=name)
        world.exec("mount", "--bind", path, path)
        world.exec("mount", "-o", "remount,bind,ro", path)
        yield
        world.exec("umount", "-l", path)
    return before


def full(place, limit="size=1M"):
    """An empty directory in place of this one, in which nothing can be written."""
    @contextlib.contextmanager
    def before(world, name):
        path = place.format(world=world, vm=name)
        world.exec("mount", "-t", "tmpfs", "-o", limit + ",mode=755", "none", path)
        world.exec("sh", "-c", "dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null || :" % path)
        yield
        world.exec("umount", "-l", path)
    return before


@contextlib.contextmanager
def no_forwarding(world, vm):
    """It is off, and cannot be turned on, as in some containers."""
    world.exec("sysctl", "-qw", "net.ipv4.ip_forward=0")
    with read_only("/proc/sys/net/ipv4/ip_forward")(world, vm):
        yield
    world.exec("sysctl", "-qw", "net.ipv4.ip_forward=1")


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


def disk(path, more=""):
    return "[VM]\nMemory=16M\nNetworks=none\n[Disk root]\nPath=%s\n%s" % (path, more)


def nic(*words, net="default"):
    return [("NIC lan", "Network=" + net)] + [("NIC lan", word) for word in words]


LISTENER = "import socket\ns=socket.create_server(('127.0.0.1', %d))" % BASE_PORT
LAB = "[Network]\nMode=nat\nBridge=lab0\nAddress=10.30.0.1/24\n"
SMALL = "[Network]\nMode=nat\nBridge=sml0\nAddress=10.31.0.1/30\n[DHCPServer]\nRange=10.31.0.2-10.31.0.2\n"
OVMF = "/usr/share/OVMF/OVMF_%s_4M.fd"
QEMU_IMG, BROKEN = "/usr/bin/qemu-img", "#!/bin/sh\necho cannot go on >&2\nexit 3\n"
NFT, DNSMASQ = "/usr/sbin/nft", "/usr/sbin/dnsmasq"
XORRISO, SEED = "/usr/bin/xorriso", [("CloudInit", "User=anna")]
NOWHERE = "99999999-8888-7777-6666-555555555555"


def made(world, name):
    return "{\"version\": 1, \"snapshot\": \"one\", \"disk\": \"root\"}"


BRIDGED = [("NIC lan", "Bridge=br7"), ("NIC lan", "Address=10.0.0.5/24")] + SEED


def bridged(*lines):
    """The lines of a NIC count last."""
    return BRIDGED + list(lines)


def seed(key, path="/etc/hostname"):
    return [("CloudInit", "%s=%s" % (key, path))]


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
        Case("Requires= of nobody", [("Lifecycle", "Requires=nobody")]),
        Case("Requires= itself", [("Lifecycle", "Requires={vm}")]),
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
        # where its state is kept
        Case("state read-only", before=read_only(STATES)),
        Case("state full", before=full(STATES)),
        Case("state without inodes", before=full(STATES, "nr_inodes=1")),
        Case("state read-only, for UEFI", [("Boot", "Firmware=uefi")], read_only(STATES)),
        Case("state read-only, ran before", before=ran(read_only(STATES))),
        Case("state read-only, NIC new", nic(), ran(read_only(STATES))),
        Case("state full, NIC new", nic(), ran(full(STATES + "/{vm}"))),
        Case("run read-only", before=read_only("{world.run}/vms")),
        # firmware
        Case("UEFI", [("Boot", "Firmware=uefi")]),
        Case("secure boot", [("Boot", "SecureBoot=yes")]),
        Case("UEFI missing", [("Boot", "Firmware=uefi")], mounted("/usr/share/qemu/firmware")),
        Case("UEFI code empty", [("Boot", "Firmware=uefi")], covered(OVMF % "CODE")),
        Case("UEFI code of an odd length", [("Boot", "Firmware=uefi")], covered(OVMF % "CODE", "x" * 5000)),
        Case("UEFI code too large", [("Boot", "Firmware=uefi")], covered(OVMF % "CODE", "x" * (9 << 20))),
        Case("UEFI variables empty", [("Boot", "Firmware=uefi")], covered(OVMF % "VARS")),
        Case("UEFI without qemu-img", [("Boot", "Firmware=uefi")], covered(QEMU_IMG)),
        Case("UEFI with a qemu-img that fails", [("Boot", "Firmware=uefi")], covered(QEMU_IMG, BROKEN, 0o755)),
        Case("UEFI with another machine's qemu-img", [("Boot", "Firmware=uefi")], covered(QEMU_IMG, "ELF", 0o755)),
        Case("UEFI on pc", [("Boot", "Firmware=uefi"), ("VM", "Machine=pc")]),
        # the seed for cloud-init
        Case("seed", SEED),
        Case("no xorriso", SEED, covered(XORRISO)),
        Case("xorriso fails", SEED, covered(XORRISO, BROKEN, 0o755)),
        Case("another machine's xorriso", SEED, covered(XORRISO, "ELF", 0o755)),
        Case("root's xorriso", SEED, covered(XORRISO, BROKEN, 0o700)),
        Case("seed with a password that others may read", seed("PasswordFile"), covered("/etc/hostname", "secret\n")),
        Case("seed with a password", seed("PasswordFile"), covered("/etc/hostname", "secret\n", 0o600)),
        Case("seed with two passwords", seed("PasswordFile"), covered("/etc/hostname", "secret\nagain\n", 0o600)),
        Case("seed with a password with an escape", seed("PasswordFile"), covered("/etc/hostname", "a\x1bb\n", 0o600)),
        Case("seed with user data", seed("UserData"), covered("/etc/hostname", "#cloud-config\n{}\n")),
        Case("seed with user data that is none", seed("UserData"), covered("/etc/hostname", "hostname: a\n")),
        Case("seed with empty user data", seed("UserData"), covered("/etc/hostname")),
        Case("seed with large user data", seed("UserData"), covered("/etc/hostname", "#" * (1 << 20) + "\n")),
        Case("seed with user data that others may write", seed("UserData"), covered("/etc/hostname", "#\n", 0o666)),
        Case("seed with user data through a link", seed("UserData", "/proc/self/mounts")),
        Case("address on a bridge", BRIDGED),
        Case("address on a bridge without a prefix", bridged(("NIC lan", "Address=10.0.0.5"))),
        Case("address on a bridge without a seed", [row for row in BRIDGED if row not in SEED]),
        Case("address on a bridge and a network configuration", bridged() + seed("NetworkConfig")),
        Case("gateway and name servers on a bridge", bridged(("NIC lan", "Gateway=10.0.0.1"), ("NIC lan", "DNS=10.0.0.2 10.0.0.3"))),
        Case("gateway without an address", [("NIC lan", "Bridge=br7"), ("NIC lan", "Gateway=10.0.0.1")] + SEED),
        Case("gateway on a network", [("NIC lan", "Address=192.168.122.77"), ("NIC lan", "Gateway=192.168.122.1")] + SEED),
        Case("two NICs with the same address on a bridge", bridged(("NIC too", "Bridge=br7"), ("NIC too", "Address=10.0.0.5/24"))),
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
        Case("network that cannot forward", nic(net="lab"), network("lab", LAB, no_forwarding)),
        Case("network without a place for its record", nic(net="lab"), network("lab", LAB, full("{world.run}/networks"))),
        Case("no nft", nic(net="lab"), network("lab", LAB, covered(NFT))),
        Case("nft fails", nic(net="lab"), network("lab", LAB, covered(NFT, BROKEN, 0o755))),
        Case("another machine's nft", nic(net="lab"), network("lab", LAB, covered(NFT, "ELF", 0o755))),
        Case("no dnsmasq", nic(net="lab"), network("lab", LAB, covered(DNSMASQ))),
        Case("dnsmasq fails", nic(net="lab"), network("lab", LAB, covered(DNSMASQ, BROKEN, 0o755))),
        Case("another machine's dnsmasq", nic(net="lab"), network("lab", LAB, covered(DNSMASQ, "ELF", 0o755))),
        Case("root's dnsmasq", nic(net="lab"), network("lab", LAB, covered(DNSMASQ, BROKEN, 0o700))),
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
        Case("RNG's source a terminal", [("RNG", "Source=/dev/tty")]),
        Case("RNG's source the host's memory", [("RNG", "Source=/dev/memory")], node("/dev/memory", 1, 1)),
        Case("RNG's source missing", [("RNG", "Source=/dev/nowhere")]),
        Case("RNG's source that is there anyway", [("RNG", "Source=/dev/null")]),
        Case("no vsock", [("VSock", "CID=auto")]),
        Case("limit", [("Limits", "CPUQuota=50%")]),
        Case("limits", [("Limits", "TasksMax=100"), ("Limits", "MemoryMax=2G"), ("Limits", "IOWeight=10")]),
        Case("fewer tasks than CPUs", [("VM", "CPUs=64"), ("Limits", "TasksMax=64")]),
        Case("no tun", nic(), hidden("/dev/net/tun")),
    ]


def forget(world, name):
    """Removes everything of the VM afterwards, so that the next case has a fresh host."""
    shutil.rmtree(os.path.join(world.state, "vms", name), ignore_errors=True)
    for folder, _, names in os.walk(world.images):
        for left in names:
            if left.startswith(name):
                os.unlink(os.path.join(folder, left))
