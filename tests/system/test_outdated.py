# SPDX-License-Identifier: MIT
"""A guest that goes on with the old QEMU after its package was upgraded is marked, and only that one."""
QEMU = "/usr/bin/qemu-system-x86_64"


def marked(world, *names):
    """Exactly these are, or will be within the second in which the daemon looks again."""
    world.eventually(lambda: {row["name"] for row in world.rows("list") if row["outdated"]},
                     lambda found: found == set(names))


def test_after_an_upgrade(world):
    """Over the world's /usr/bin a copy is mounted, in which the binary is replaced as dpkg does it: by rename."""
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
        assert "outdated" not in world.info("a")
        assert "OUTDATED" not in world.ok("list"), "what goes without saying is not said"
        world.exec("sh", "-c", "cp -p %s %s.new && mv %s.new %s" % (QEMU, QEMU, QEMU, QEMU))
        world.up("b")
        marked(world, "a")
        assert world.info("a")["outdated"] is True and "outdated" not in world.info("b")
        assert world.ok("list").splitlines()[0].rstrip().endswith("OUTDATED")
        world.stop_daemon()
        world.start()
        marked(world, "a")  # also after adoption
        world.exec("mv", QEMU, QEMU + ".gone")
        marked(world, "a", "b")  # taken away counts
        world.exec("mv", QEMU + ".gone", QEMU)
        marked(world, "a")
        world.ok("kill", "a")
        world.up("a")
        marked(world)
        world.ok("kill", "*")
    finally:
        world.exec("umount", "-l", "/usr/bin")
        world.exec("umount", "-l", world.base + "/up")
