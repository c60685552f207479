# SPDX-License-Identifier: MIT
"""make bench-libvirt: the same small guests under vmkeep and under libvirt, alternating, in one run.

libvirt's packages are installed into a temporary root: overlays over /usr, /etc and /var that only this world sees.
libvirtd runs there with a separate user for QEMU and QEMU's sandbox, but with less than usual around it, which is to
its advantage: no control groups, no security module, no virtlogd, no private /dev.
"""
import contextlib
import os
import re
import signal
import subprocess
import time

import vmk

PREPARE = """
set -eu
root=$1
mount -t tmpfs -o mode=755 tmpfs "$root"
for d in usr etc var; do
	mkdir -p "$root/$d/upper" "$root/$d/work"
	mount -t overlay -o "lowerdir=/$d,upperdir=$root/$d/upper,workdir=$root/$d/work" overlay "/$d"
done
mount -t tmpfs -o mode=755 tmpfs /run
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends libvirt-daemon-system libvirt-clients
} >"$root/log" 2>&1 </dev/null || { cat "$root/log" >&2; exit 1; }
# without /dev/kvm: one that does not work has libvirt probe QEMU again at each command, for seconds
mount -t tmpfs -o mode=755 tmpfs /dev
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
	mknod -m 666 /dev/${node%% *} c ${node#* }
done
mkdir /dev/net /dev/pts /dev/shm
mknod -m 666 /dev/net/tun c 10 200
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
# the world's own accounts are copies of the host's
for f in passwd group; do grep libvirt /etc/$f >>"$root/../$f"; done
cat >>/etc/libvirt/qemu.conf <<END
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
END
shift
exec "$@"
"""

DOMAIN = """<domain type='qemu'><name>%(name)s</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
<on_poweroff>destroy</on_poweroff><on_crash>destroy</on_crash><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%(path)s'/>
<target dev='vda' bus='virtio'/></disk>
<controller type='usb' model='none'/><serial type='pty'/><memballoon model='virtio'/></devices></domain>
"""
PATIENCE = 60


class World(vmk.World):
    """Both daemons, in the same namespaces."""

    def keeper_argv(self):
        root = os.path.join(self.base, "root")
        os.mkdir(root)
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", PREPARE, "prepare", root] + \
            super().keeper_argv()

    def __init__(self):
        super().__init__()
        self.libvirtd = None

    def start_libvirt(self):
        with open(os.path.join(self.base, "libvirtd.log"), "ab") as log:
            self.libvirtd = subprocess.Popen(self.inside(["libvirtd"]), stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log)

    def libvirt_pid(self):
        return vmk.children(self.libvirtd.pid)[0]

    def end_libvirt(self, how):
        os.kill(self.libvirt_pid(), how)
        self.libvirtd.wait(PATIENCE)

    def virsh(self, *argv):
        return self.exec("virsh", "-q", *argv, timeout=PATIENCE)

    def both(self, name, guest="deaf"):
        """The same VM twice: NAME for ours, NAME for theirs, each with its own image."""
        self.micro(name, guest, banner="", extra="[Display]\nType=none\n[RNG]\nSource=none\n"
                   "[Agent]\nEnable=no\n[Lifecycle]\nRestart=no\n")
        path = self.image("theirs-%s.raw" % name, guest)
        xml = os.path.join(self.base, "domain.xml")
        with open(xml, "w", encoding="utf-8") as f:
            f.write(DOMAIN % {"name": name, "path": path})
        self.virsh("define", xml)

    def outer(self, pid):
        """The pid here of a process in the world."""
        for folder in os.listdir("/proc"):
            with contextlib.suppress(OSError, AttributeError):
                status = vmk.read_text("/proc/%s/status" % folder)
                if os.readlink("/proc/%s/ns/pid" % folder) == os.readlink("/proc/%d/ns/pid" % self.init) and \
                        int(re.search(r"^NSpid:.*\t(\d+)$", status, re.M).group(1)) == pid:
                    return int(folder)
        raise AssertionError("no process %d" % pid)

    def until(self, argv, wanted):
        """Polls until this many rows are running; failures of the client count as zero."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            done = subprocess.run(self.inside(argv), capture_output=True, text=True, check=False)
            if done.returncode == 0 and len(re.findall(r"\brunning\b", done.stdout)) == wanted:
                return
        raise AssertionError("%s: still not %d running: %s\n%s" % (
            argv, wanted, vmk.Result(argv, done.returncode, done.stdout, done.stderr),
            vmk.read_text(os.path.join(self.base, "libvirtd.log"))))

    def leave(self):
        """Ends theirs first; ours ends as in any test."""
        for name in self.virsh("list", "--name").split():
            self.virsh("destroy", name)
        self.end_libvirt(signal.SIGTERM)
        self.finish()


def commands(bench, world, count, **lines):
    path = os.path.join(world.base, "commands")
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join("%s %s\n" % (name, " ".join(words)) for name, words in lines.items()))
    return bench.measure(world, "commands", count, path)


def crash_seen(world, name, ours):
    pid = world.info(name)["pid"] if ours else \
        int(vmk.read_text(world.inner("/run/libvirt/qemu/%s.pid" % name)))
    pid = world.outer(pid)
    argv = [world.program("vmkeep"), "--run", world.run, "events", "--no-follow"] if ours else \
        ["virsh", "event", "--event", "lifecycle", "--loop"]
    stream = vmk.Stream(world.inside(argv), terminal=True)
    try:
        time.sleep(0.5)  # until it listens, which is not reported
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        stream.until(name if ours else "Stopped|Crashed|Failed", timeout=10)
        return (time.monotonic() - begin) * 1e3
    finally:
        stream.end()


def restart(world, ours, running):
    """Kills and starts the daemon, and polls until all guests are listed: milliseconds."""
    if ours:
        world.kill_daemon()
        begin = time.monotonic()
        world.daemon = subprocess.Popen(world.inside(world.daemon_argv()), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        world.until([world.program("vmkeep"), "--run", world.run, "list"], running)
    else:
        world.end_libvirt(signal.SIGKILL)
        begin = time.monotonic()
        world.start_libvirt()
        world.until(["virsh", "list"], running)
    return (time.monotonic() - begin) * 1e3


def run(bench, rounds, kib):
    report, world = bench.report, World()
    report.section("vmkeep beside libvirt, whole commands, milliseconds; baseline: libvirt %s" %
                   world.exec("virsh", "--version").strip())
    ours = [world.program("vmkeep"), "--run", world.run, "-q"]
    theirs = ["virsh", "-q"]
    try:
        world.start()
        world.start_libvirt()
        world.until(["virsh", "list"], 0)
        world.both("a")
        found = commands(bench, world, rounds(20, 4), start=ours + ["start", "a"], kill=ours + ["kill", "a"],
                         their_start=theirs + ["start", "a"], their_kill=theirs + ["destroy", "a"])
        report.add("start", found["start"], found["their_start"])
        report.add("kill, destroy", found["kill"], found["their_kill"])
        guests = rounds(50, 10)
        for count in (1, 100):
            for i in range(1, count):
                if "g%d" % i not in world.virsh("list", "--all", "--name").split():
                    world.both("g%d" % i)
            found = commands(bench, world, rounds(30, 6), list=ours + ["list"],
                             their_list=theirs + ["list", "--all"])
            report.add("list, %d VMs defined" % count, found["list"], found["their_list"])
        samples = [[], []]
        for _ in range(rounds(9, 3)):
            world.ok("start", "a")
            samples[0].append(crash_seen(world, "a", True))
            world.virsh("start", "a")
            samples[1].append(crash_seen(world, "a", False))
        report.add("QEMU killed until a client printed it", *samples)
        for i in range(1, guests + 1):
            world.ok("start", "g%d" % i)
            world.virsh("start", "g%d" % i)
        samples = [[restart(world, True, guests), restart(world, False, guests)] for _ in range(rounds(5, 2))]
        report.add("daemon killed, started: %d running listed" % guests, [s[0] for s in samples],
                   [s[1] for s in samples])
        report.add("daemon's memory then, KiB", kib("/proc/%d/status" % world.daemon_pid(), "VmRSS"),
                   kib("/proc/%d/status" % world.libvirt_pid(), "VmRSS"))
        world.leave()
    finally:
        if world.libvirtd and world.libvirtd.poll() is None:
            with contextlib.suppress(IndexError, ProcessLookupError):
                os.kill(world.libvirt_pid(), signal.SIGKILL)
        world.destroy()
