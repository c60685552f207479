# SPDX-License-Identifier: MIT
"""A private world for each test: its own network, mounts, processes and directories.

Whatever a test starts runs in the world's namespaces, whose process 1 is a `cat` that ends with the test. So nothing
of a test can outlive it, and what vmkeep left behind is easy to see.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import bootsector
from talk import BUILD, ROOT, SANITIZED, SLOW, Client, Error, Result, Stream, children, read_text  # noqa: F401

GUEST = os.environ.get("VMKEEP_GUEST", os.path.join(ROOT, "build", "guest"))
ROOMY = 3 if SANITIZED else 1  # sanitizers keep freed memory: relaxes memory limits
ACCEL = os.environ.get("VMKEEP_ACCEL", "tcg")
# SLOW does not affect the daemon's own timeouts; this is one that an emulated machine exceeds.
DEFAULTS = "[Defaults]\nVM.Accel=%s\n" % ACCEL + ("Lifecycle.TimeoutStartSec=10min\n" if SLOW >= 40 else "")

# Process 1 of a world ignores SIGCHLD, so the kernel reaps orphans. The host counts OOM kills in /proc/vmstat; here
# that count does not change, because the kill may be in another world.
KEEPER = """
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
for f in passwd group; do mount --bind "$1/$f" /etc/$f; done
cp /proc/vmstat "$1/vmstat" && mount --bind "$1/vmstat" /proc/vmstat
ip link set lo up
echo ready
exec env --ignore-signal=CHLD cat
"""
with contextlib.suppress(OSError):  # if the tests run through sudo, history would name the login user
    with open("/proc/self/loginuid", "w", encoding="ascii") as own_login:
        own_login.write(str((1 << 32) - 1))
BOOT_ID = "/proc/sys/kernel/random/boot_id"
UIDS_FIRST, UIDS_BLOCK = 1879048192, 65536
NETWORKS, RELAYS, ASKED = 61440, 65534, 65535  # in a block: the first network, a relay, a probed QEMU
GROUPS = {"vmkeep": 7001, "vmkeep-view": 7002, "vmkeep-create": 7005, "alice": 7003, "bob": 7004}
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0),
         "net/tun": (10, 200)}
USERS = {"alice": 7003, "bob": 7004}


class World:
    def __init__(self):
        self.base = tempfile.mkdtemp(prefix="vk-", dir="/tmp")
        os.chmod(self.base, 0o755)
        self.copying = threading.Lock()
        self.config, self.state, self.run, self.log = (
            os.path.join(self.base, d) for d in ("config", "state", "run", "log"))
        self.images = os.path.join(self.state, "images")
        for path in (self.config, self.run, self.log, self.images):
            os.makedirs(path)
        self.socket = os.path.join(self.run, "control.sock")
        self.daemon, self.streams, self.counter = None, [], 0
        self.failed, self.others = False, 0  # others: processes that the test itself left running
        self._accounts()
        self.keeper = subprocess.Popen(self.keeper_argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout.readline() == b"ready\n"
        self.init, = children(self.keeper.pid)
        self.mounts = self.mount_points()
        self.write("vmkeep.conf", DEFAULTS)

    def keeper_argv(self):
        return ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
                "sh", "-c", KEEPER, "keeper", self.base]

    def _accounts(self):
        for name, rows in (("group", ["%s:x:%d:" % g for g in GROUPS.items()]),
                           ("passwd", ["%s:x:%d:%d::/:/bin/sh" % (u, i, i) for u, i in USERS.items()])):
            text = read_text("/etc/" + name)
            with open(os.path.join(self.base, name), "w", encoding="utf-8") as f:
                f.write(text + "".join(row + "\n" for row in rows))

    # Running programs inside.

    def inside(self, argv, user=None, groups=()):
        argv = [str(word) for word in argv]
        if user:
            ids = ",".join(str(GROUPS[g]) for g in groups)
            argv = ["setpriv", "--reuid=%d" % USERS[user], "--regid=%d" % USERS[user],
                    "--groups=" + ids if ids else "--clear-groups", "--"] + argv
        return ["nsenter", "--target=%d" % self.init, "--net", "--mount", "--pid", "--root", "--"] + argv

    def exec(self, *argv, input=None, timeout=30, **who):
        """Runs a command inside the world, which must exit with 0; returns its standard output."""
        done = subprocess.run(self.inside(argv, **who), input=input, capture_output=True, text=True,
                              timeout=timeout * SLOW, check=False)
        assert done.returncode == 0, Result(argv, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def program(self, name, user=None):
        """A program's path; users other than root get a copy that they can reach."""
        path = os.path.join(BUILD, name)
        if not user:
            return path
        copy = os.path.join(self.base, name)
        with self.copying:  # several clients may start at once
            if not os.path.exists(copy):
                subprocess.run(["cp", path, copy], check=True)  # no child of ours holds it open for writing
        return copy

    def vmkeep(self, *argv, input=None, timeout=30, user=None, groups=(), env=None):
        """Runs the client; returns a Result in any case."""
        argv = [str(word) for word in argv]
        command = self.inside([self.program("vmkeep", user), "--run", self.run] + argv, user, groups)
        done = subprocess.run(command, input=input, capture_output=True, timeout=timeout * SLOW,
                              check=False, encoding="utf-8", errors="surrogateescape",
                              env=dict(os.environ, **env) if env else None)
        return Result(["vmkeep"] + argv, done.returncode, done.stdout, done.stderr)

    def ok(self, *argv, **how):
        """Runs the client, which must succeed; returns its standard output."""
        result = self.vmkeep(*argv, **how)
        assert result.code == 0, result
        return result.out

    def fails(self, code, *argv, **how):
        """Runs the client, which must fail with this exit code; returns its error messages."""
        result = self.vmkeep(*argv, **how)
        assert result.code == code, result
        assert result.err, result
        return result.err

    def json(self, *argv, **how):
        return json.loads(self.ok("--json", *argv, **how))

    def one(self, *argv, **how):
        """The object that a verb with one name returns."""
        answer, = self.json(*argv, **how)
        return answer

    def qmp(self, name, execute, **arguments):
        """Sends a QMP command; returns QEMU's result."""
        return self.one("qmp", name, json.dumps({"execute": execute, "arguments": arguments}))["return"]

    def stream(self, *argv, terminal=False, env=None):
        """Runs the client as a Stream, which ends with the test."""
        command = self.inside([self.program("vmkeep"), "--run", self.run] + list(argv))
        stream = Stream(command, terminal, dict(os.environ, TERM="xterm", **(env or {})))
        self.streams.append(stream)
        return stream

    def stream_of(self, *argv):
        """Runs any program inside as a Stream; end() it before the test ends."""
        stream = Stream(self.inside(argv))
        self.streams.append(stream)
        return stream

    def console(self, name):
        return self.stream("console", name)

    def client(self, **how):
        return Client(self.socket, **how)

    # Files.

    def write(self, name, text):
        """Writes a file in the configuration directory."""
        path = os.path.join(self.config, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def image(self, name, guest="polite", banner="", size=bootsector.SIZE):
        """Makes a disk with a micro guest in the image directory, qcow2 or raw by its name."""
        path = os.path.join(self.images, name)
        raw = path + ".boot" if name.endswith(".qcow2") else path
        with open(raw, "wb") as f:
            f.write(bootsector.boot_sector(guest, banner))
            f.truncate(size)
        if raw != path:
            self.exec("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path)
            os.unlink(raw)
        return path

    def micro(self, name, guest="polite", banner="up\r\n", extra="", vm="", disk="raw", **image):
        """Makes a VM with a 512-byte guest and no network; does not start it."""
        self.image("%s.%s" % (name, disk), guest, banner, **image)
        self.write(name + ".vm", "[VM]\nMemory=16M\nNetworks=none\n%s[Disk root]\nPath=%s.%s\n%s"
                   % (vm, name, disk, extra))

    def linux(self, name, append="", vm="", extra=""):
        """Makes a VM with the small Linux guest and one NIC on the default network; does not start it."""
        self.image(name + ".qcow2", "deaf")
        self.write(name + ".vm", "[VM]\nMemory=128M\n%s[Disk root]\nPath=%s.qcow2\n[Boot]\nKernel=%s\n"
                   "Initrd=%s\nAppend=console=ttyS0 quiet panic=-1 %s\n%s" % (
                       vm, name, os.path.join(GUEST, "vmlinuz"), os.path.join(GUEST, "initrd"), append,
                       extra))

    # The daemon.

    def daemon_argv(self):
        return [self.program("vmkeepd"), "--config", self.config, "--state", self.state, "--run",
                self.run, "--log", self.log]

    def start(self, env=None, stderr=None):
        """Starts the daemon and waits until it reports readiness; returns how many seconds that took, to be printed,
        not judged. stderr: a descriptor in place of daemon.log."""
        self.counter += 1
        path = os.path.join(self.base, "notify.%d" % self.counter)
        begin = time.monotonic()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, \
                open(os.path.join(self.base, "daemon.log"), "ab") as log:
            notify.bind(path)
            self.daemon = subprocess.Popen(
                self.inside(self.daemon_argv()), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log if stderr is None else stderr, env=dict(os.environ, NOTIFY_SOCKET=path, **(env or {})))
            notify.settimeout(0.05)
            while True:
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in notify.recv(4096):
                        return time.monotonic() - begin
                assert self.daemon.poll() is None, "the daemon ended with %d" % self.daemon.returncode
                assert time.monotonic() < begin + 10 * SLOW, "the daemon is not ready"

    def daemon_pid(self):
        """The daemon's pid as this process sees it: the child of nsenter."""
        return children(self.daemon.pid)[0]

    def another_boot(self):
        """Gives the next daemon another boot ID; BOOT_ID must be unmounted at the end."""
        path = os.path.join(self.base, "boot_id")
        with open(path, "w", encoding="utf-8") as f:
            f.write("11111111-2222-3333-4444-555555555555\n")
        self.exec("mount", "--bind", path, BOOT_ID)

    def reap_daemon(self, timeout=None):
        """The daemon's exit code. nsenter stops together with its child, and nobody else would continue it."""
        self.daemon.send_signal(signal.SIGCONT)
        return self.daemon.wait(timeout)

    def kill_daemon(self):
        os.kill(self.daemon_pid(), signal.SIGKILL)
        self.reap_daemon()
        self.daemon = None

    def stop_daemon(self):
        os.kill(self.daemon_pid(), signal.SIGTERM)
        code = self.reap_daemon(10 * SLOW)
        self.daemon = None
        assert code == 0, "the daemon ended with %d" % code

    # Looking.

    def info(self, name):
        return self.one("info", name)

    def rows(self, *argv):
        """A list's rows as dictionaries."""
        return self.json(*argv)

    def states(self):
        return {row["name"]: row["state"] for row in self.rows("list")}

    def wait_state(self, name, *states, timeout=15):
        """Waits for the state's event; returns the VM's info."""
        client = self.client(timeout=timeout)
        try:
            client.call("subscribe")
            info = self.info(name)
            while info["state"] not in states:
                client.event("VM_STATE", lambda data: data["name"] == name)
                info = self.info(name)
            return info
        finally:
            client.close()

    def crash(self, name, *states, timeout=30):
        """Starts the VM, and kills QEMU each time it runs until the VM is in one of these states; returns its info."""
        client = self.client(timeout=timeout * SLOW)
        try:
            client.call("subscribe")
            client.call("vm-start", name=name, wait=False)
            while True:
                state = client.event("VM_STATE", lambda data: data["name"] == name)["state"]
                if state == "running":
                    self.kill(self.info(name)["pid"])
                elif state in states:
                    return self.info(name)
        finally:
            client.close()

    def up(self, name, banner="up"):
        """Starts a guest and waits for its banner; returns its console."""
        self.ok("start", name)
        console = self.console(name)
        console.until(banner, 60)  # Linux is slow on a busy machine
        return console

    def processes(self):
        """Processes inside, without process 1: {pid: command line}."""
        found = {}
        for pid in os.listdir("/proc/%d/root/proc" % self.init):
            if pid.isdigit() and pid != "1":
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found[int(pid)] = read_text("/proc/%d/root/proc/%s/cmdline" % (self.init, pid)) \
                        .replace("\0", " ").strip()
        return found

    def alone(self):
        """Waits until nothing but the daemon runs."""
        self.eventually(self.processes, lambda found: len(found) == 1)

    def kill(self, pid, how="KILL"):
        """Signals a process by its pid inside, such as that in info; after SIGKILL, waits until it has ended."""
        self.exec("kill", "-" + how, pid)
        if how == "KILL":
            self.eventually(lambda: self.process_state(pid), lambda state: state in "ZX")

    def process_state(self, pid):
        """The process's state letter as in proc(5); X if it does not exist."""
        try:
            text = read_text("/proc/%d/root/proc/%s/stat" % (self.init, pid))
        except (FileNotFoundError, ProcessLookupError):
            return "X"
        return text[text.rindex(")") + 2]

    @contextlib.contextmanager
    def devices(self, **more):
        """A private /dev with what programs need and these nodes: name=(major, minor)."""
        nodes = dict(NODES, **more)
        dev = os.path.join(self.base, "dev")
        self.exec("mkdir", "-p", dev)
        self.exec("mount", "-t", "tmpfs", "-o", "mode=755", "none", dev)
        self.exec("mkdir", dev + "/net", dev + "/shm")
        for name, (major, minor) in nodes.items():
            self.exec("mknod", "-m", "666", os.path.join(dev, name), "c", major, minor)
        self.exec("mount", "--move", dev, "/dev")
        yield
        self.exec("umount", "-l", "/dev")

    def links(self):
        return {link["ifname"] for link in json.loads(self.exec("ip", "-json", "link"))}

    def mount_points(self):
        lines = read_text("/proc/%d/mounts" % self.init).splitlines()
        return sorted(line.split()[1] for line in lines)

    def inner(self, path):
        """A path as seen through the world's mounts."""
        return "/proc/%d/root%s" % (self.init, path)

    def eventually(self, what, wanted, timeout=5):
        """For what no event reports: polls every 20 ms; returns the first accepted value."""
        end = time.monotonic() + timeout * SLOW
        while True:
            value = what()
            if wanted(value):
                return value
            assert time.monotonic() < end, "still %r" % (value,)
            time.sleep(0.02)

    def first_uid(self, state=None):
        """The first uid of the block claimed by a daemon with this state directory."""
        folder = self.inner("/run/vmkeep-uids")
        block, = (int(name) for name in os.listdir(folder)
                  if read_text(os.path.join(folder, name)) == "%s\n" % (state or self.state))
        return UIDS_FIRST + block * UIDS_BLOCK

    # The end.

    def common_check(self):
        """What must hold after any fault: the list agrees with the kernel, no verb hangs, there are no zombies."""
        client = self.client()
        names = [row[0] for row in client.call("vm-list")["rows"]]
        client.close()
        processes = self.processes()
        pids = {info["pid"] for info in map(self.info, names)} - {None}
        assert pids <= set(processes), "not there: %s" % (pids - set(processes))
        ours = {pid for pid, line in processes.items() if ",process=vmkeep:" in line}
        assert ours <= pids, "nobody knows of %s" % (ours - pids)
        if not self.others:  # a process that just ended has no command line either
            self.eventually(self.processes, lambda found: all(found.values()))

    def nothing_is_left(self):
        """With all VMs down, no file, socket or descriptor of theirs may be left."""
        self.ok("list")  # what was opened only to look is closed at the next look
        left = os.listdir(self.inner(os.path.join(self.run, "vms")))
        assert not left, "%s/vms holds %s" % (self.run, left)
        folder = "/proc/%d/fd" % self.daemon_pid()
        for fd in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                to = os.readlink(os.path.join(folder, fd))
                assert "/vms/" not in to and "/dev/net/tun" not in to, "descriptor %s is %s" % (fd, to)

    def finish(self):
        """Ends all guests and networks through the daemon; afterwards nothing may be left."""
        for stream in self.streams:
            stream.end()
        if not self.daemon:
            return
        self.common_check()
        if self.states():
            self.ok("kill", "*")
        for row in self.rows("net", "list"):
            self.ok("net", "stop", row["name"], "--force")
        self.eventually(self.processes, lambda found: len(found) == 1 + self.others)
        self.nothing_is_left()
        self.stop_daemon()
        self.eventually(self.processes, lambda found: len(found) == self.others)
        assert self.links() <= {"lo", "up0", "tunl0", "sit0", "ip6tnl0", "ip6_vti0", "ip_vti0", "gre0"}
        assert "vmkeep" not in self.exec("nft", "list", "ruleset")
        assert self.mount_points() == self.mounts, set(self.mount_points()) ^ set(self.mounts)
        for folder, _, names in os.walk(self.state):
            for name in names:
                if name.endswith(".json"):
                    json.loads(read_text(os.path.join(folder, name)))

    def destroy(self):
        for stream in self.streams:
            stream.end()
        self.keeper.stdin.close()  # process 1 ends, and all others with it
        self.keeper.wait()
        if self.daemon:
            self.reap_daemon()
        shutil.rmtree(self.base)

    def report(self):
        """Prints what is needed to understand a failed test."""
        parts = ["processes: %s" % self.processes()]
        logs = [os.path.join(self.base, "daemon.log")]
        for top in (self.log, self.inner(self.run)):
            for folder, _, names in os.walk(top):
                logs += [os.path.join(folder, name) for name in sorted(names)]
        for path in logs:
            with contextlib.suppress(OSError):
                if os.path.isfile(path):
                    parts.append("--- %s\n%s" % (path, tail_text(path, 6000)))
        return "\n".join(parts)


def group_name(run):
    """What a daemon with this run directory calls its control groups: see supervisor/host/prefix.c."""
    value = 2166136261
    for byte in run.encode():
        value = (value ^ byte) * 16777619 & 0xffffffff
    return "vmkeep%08x" % value


def tail_text(path, size):
    """The end of a file, whatever its reported size."""
    with open(path, "rb") as f:
        f.seek(max(os.fstat(f.fileno()).st_size - size, 0))
        return f.read(size).decode("utf-8", "backslashreplace")
