# SPDX-License-Identifier: MIT
"""A guest that still runs the old QEMU after a package upgrade is marked, and no other."""
import re

QEMU = "/usr/bin/qemu-system-x86_64"


def marked(world, *names):
    """Waits until exactly these VMs are marked."""
    world.eventually(lambda: {row["name"] for row in world.rows("list") if row["outdated"]},
                     lambda found: found == set(names))


def test_after_an_upgrade(world):
    """A copy is mounted over the world's /usr/bin, and the binary in it replaced by a rename, as by dpkg."""
    world.exec("mkdir", world.base + "/up")
    world.exec("mount", "-t", "tmpfs", "none", world.base + "/up")
    world.exec("mkdir", world.base + "/up/upper", world.base + "/up/work")
    world.exec("mount", "-t", "overlay", "-o", "lowerdir=/usr/bin,upperdir=%s/up/upper,workdir=%s/up/work"
               % (world.base, world.base), "none", "/usr/bin")
    try:
        world.start()
        for name in "ab":
            world.micro(name, "deaf")
        world.up("a")
        marked(world)
        assert not world.info("a")["outdated"]
        assert " OLD" not in world.ok("list"), "what goes without saying is not said"
        world.exec("sh", "-c", "cp -p %s %s.new && mv %s.new %s" % (QEMU, QEMU, QEMU, QEMU))
        world.up("b")
        marked(world, "a")
        assert world.info("a")["outdated"] is True and not world.info("b")["outdated"]
        assert world.ok("list").splitlines()[0].rstrip().endswith(" OLD")
        world.stop_daemon()
        world.start()
        marked(world, "a")  # also after adoption
        world.exec("sh", "-c", "cp -p %s %s.kept && rm %s" % (QEMU, QEMU, QEMU))
        marked(world, "a", "b")  # a removed binary counts
        world.exec("mv", QEMU + ".kept", QEMU)
        marked(world, "a", "b")  # it is a different file now
        for name in "ab":
            world.ok("kill", name)
            world.up(name)
        marked(world)
        world.ok("kill", "*")
    finally:
        world.exec("umount", "-l", "/usr/bin")
        world.exec("umount", "-l", world.base + "/up")


MODULES = "/usr/lib/x86_64-linux-gnu/qemu"


def replace(world, path, edit="cat"):
    """Like dpkg: renames a new file over the old one."""
    world.exec("sh", "-c", "%s <%s >%s.new && chmod --reference=%s %s.new && mv %s.new %s" % (
        edit, path, path, path, path, path, path))


def kept(world):
    """Where Debian's maintainer scripts save the modules of the QEMU that is replaced."""
    package = re.search(r"\((.*)\)", world.exec(QEMU, "--version")).group(1)
    return "/run/qemu/" + re.sub(r"[^A-Za-z0-9+.~-]", "_", package)


def test_hot_plug_after_an_upgrade(world):
    """After an upgrade, binary, firmware and modules are from another build. Devices can still be plugged into the
    running guest, and modules come from where the upgrade saved them, in a directory that did not exist when the
    guest was started: QEMU 7.2 aborts at the second module of a different build."""
    covered = ["/usr/bin", MODULES, "/usr/share/seabios"]
    world.exec("mkdir", world.base + "/up", "/run/qemu")
    world.exec("mount", "-t", "tmpfs", "none", world.base + "/up")
    for i, path in enumerate(covered):
        world.exec("mkdir", *["%s/up/%s%d" % (world.base, d, i) for d in "uw"])
        world.exec("mount", "-t", "overlay", "-o", "lowerdir={0},upperdir={1}/up/u{2},workdir={1}/up/w{2}".format(
            path, world.base, i), "none", path)
    try:
        world.start()
        world.micro("a", "echo")
        console = world.up("a")
        old = kept(world)
        free = iter(reversed(re.findall(r'"driver":\s*"pcie-root-port",\s*"id":\s*"(\w+)"', world.ok("cmdline", "a"))))
        world.exec("mkdir", old)  # as in the old package's prerm
        world.exec("sh", "-c", "cp -p %s/*.so %s/" % (MODULES, old))
        replace(world, QEMU)
        for name in world.exec("ls", "/usr/share/seabios").split():
            replace(world, "/usr/share/seabios/" + name)
        for name in world.exec("ls", MODULES).split():
            replace(world, MODULES + "/" + name, "sed s/qemu_stamp_/qemu_other_/g")
        marked(world, "a")

        def qmp(command, **arguments):
            return world.qmp("a", command, **arguments)
        qmp("netdev_add", type="hubport", id="h0", hubid=0)
        qmp("device_add", driver="virtio-net-pci", id="new-nic", netdev="h0", bus=next(free))
        qmp("blockdev-add", driver="null-co", size=1 << 20, **{"node-name": "n0"})
        qmp("device_add", driver="virtio-blk-pci", id="new-disk", drive="n0", bus=next(free))
        found = {device["qdev_id"] for bus in qmp("query-pci") for port in bus["devices"]
                 for device in port.get("pci_bridge", {}).get("devices", [])}
        assert {"new-nic", "new-disk"} <= found
        for of_a_module in ("usb-redir", "qxl", "virtio-vga"):
            assert qmp("device-list-properties", typename=of_a_module)
        console.type("alive")
        console.until("alive")
        world.ok("kill", "a")
    finally:
        for path in covered + [world.base + "/up"]:
            world.exec("umount", "-l", path)
