# SPDX-License-Identifier: MIT
"""The host lacks something, or something is removed: space, processes, descriptors, watches, /proc. Guests keep
running, verbs report what is missing, and everything works again once it is back."""
import json
import os
import shutil
import time

import pytest

import vmk
from walk import walk

LIFECYCLE = "[Lifecycle]\n%s\n"


@pytest.fixture
def place(world):
    """Mounts a tmpfs over one of the daemon's directories for the duration of the test."""
    mounted = []

    def mount(path, size):
        world.exec("mount", "-t", "tmpfs", "-o", "mode=755,size=%s" % size, "tmpfs", path)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        world.exec("umount", "--lazy", path)


def fill(world, path):
    """Fills the file system completely."""
    world.exec("sh", "-c", "! cat /dev/zero >%s/filler 2>/dev/null" % path)


def parse_all(world, path):
    """Every state file and record is valid JSON."""
    for folder, _, names in os.walk(world.inner(path)):
        for name in names:
            if name.endswith(".json"):
                json.loads(vmk.read_text(os.path.join(folder, name)))


def test_f07_state_directory_is_full(world, place):
    """F07: running guests keep running and can be stopped; what must be recorded first is refused."""
    vms = os.path.join(world.state, "vms")
    os.mkdir(vms)
    place(vms, "256k")
    world.micro("a")
    world.micro("b", "deaf")
    world.micro("c", "deaf")
    world.start()
    world.up("a")
    world.ok("start", "b")
    fill(world, vms)
    assert "No space left" in world.fails(11, "start", "c")
    assert world.info("c")["state"] == "stopped"
    world.ok("pause", "b")
    world.kill_daemon()
    world.start()
    assert world.states() == {"a": "running", "b": "paused", "c": "stopped"}
    world.ok("stop", "a")
    world.ok("kill", "b")
    world.exec("rm", vms + "/filler")
    parse_all(world, vms)
    world.ok("start", "a", "b", "c")
    world.ok("kill", "*")
    world.stop_daemon()


@pytest.mark.parametrize("begins", ["before", "after"])
def test_f07_state_directory_is_read_only(world, place, begins):
    """F07: also for a daemon that starts with it, as after a boot with a damaged file system."""
    vms = os.path.join(world.state, "vms")
    os.mkdir(vms)
    place(vms, "1m")
    world.micro("a")
    world.micro("c", "deaf")
    world.start()
    world.up("a")
    if begins == "before":
        world.kill_daemon()
    world.exec("mount", "-o", "remount,ro", vms)
    if begins == "before":
        world.start()
    assert world.states()["a"] == "running"
    assert "Read-only file system" in world.fails(11, "start", "c")
    world.ok("stop", "a")
    world.ok("start", "a")
    world.ok("kill", "a")
    world.exec("mount", "-o", "remount,rw", vms)
    parse_all(world, vms)
    world.ok("start", "c")
    world.ok("kill", "c")
    world.stop_daemon()


def test_run_directory_is_full(world, place):
    """No record can be written, because its tmpfs is shared with others. No running guest is lost."""
    place(world.run, "512k")
    world.micro("a")
    world.micro("b", "deaf")
    world.start()
    world.socket = world.inner(world.socket)
    world.up("a")
    pid = world.info("a")["pid"]
    fill(world, world.run)
    world.fails(11, "start", "b")
    assert world.info("b")["state"] == "stopped"
    world.ok("pause", "a")
    world.ok("resume", "a")
    world.kill_daemon()
    world.start()
    info = world.info("a")
    assert (info["state"], info["pid"]) == ("running", pid)
    world.ok("stop", "a")
    world.exec("rm", world.run + "/filler")
    parse_all(world, world.run)
    world.ok("start", "a", "b")
    world.ok("kill", "*")
    world.stop_daemon()


def test_log_directory_is_gone(daemon):
    """It is removed and created again. Guests and verbs are not affected."""
    daemon.micro("a", "echo")
    console = daemon.up("a")
    shutil.rmtree(daemon.log)
    console.type("x")
    console.until("x")
    daemon.micro("b", "deaf")
    daemon.ok("start", "b")
    daemon.ok("kill", "*")
    daemon.ok("start", "a", "b")


def test_control_socket_is_deleted(daemon):
    """Connected clients stay connected; the socket is recreated, by this daemon and by the next, and the guest is not
    affected."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    pid = daemon.info("a")["pid"]
    client = daemon.client()
    os.unlink(daemon.socket)
    assert client.call("vm-info", name="a")["pid"] == pid
    daemon.eventually(lambda: daemon.vmkeep("list").code, lambda code: code == 0)
    os.unlink(daemon.socket)
    daemon.stop_daemon()
    daemon.start()
    assert daemon.info("a")["pid"] == pid


def test_identity_that_cannot_be_replaced(daemon):
    """chattr +i on it: its content stays valid; a guest that needs no change starts."""
    daemon.micro("a", "deaf")
    daemon.ok("start", "a")
    uuid = daemon.info("a")["uuid"]
    daemon.ok("kill", "a")
    path = os.path.join(daemon.state, "vms", "a", "identity.json")
    if vmk.subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        daemon.ok("start", "a")
        assert daemon.info("a")["uuid"] == uuid
        daemon.ok("kill", "a")
    finally:
        daemon.exec("chattr", "-i", path)


def limited(world, n):
    """Puts the daemon into a pids cgroup with room for n more processes; returns the cgroup's directory."""
    base = "/sys/fs/cgroup/pids"
    group = "%s/vmkeep-test-%d" % (base, os.getpid())
    try:
        os.mkdir(group)
    except OSError as e:
        pytest.skip("no pids cgroup here: %s" % e)
    with open(group + "/pids.max", "w", encoding="utf-8") as f:
        f.write(str(1 + n))
    with open(group + "/cgroup.procs", "w", encoding="utf-8") as f:
        f.write(str(world.daemon_pid()))
    return group


def test_f31_no_process_can_be_made(daemon):
    """F31: fork fails (RLIMIT_NPROC does not apply to root, so a cgroup is used). The error is exact, and nothing
    leaks."""
    daemon.micro("a", "deaf", extra="[NIC lan]\nNetwork=default\n")
    daemon.micro("b", "deaf")
    daemon.ok("start", "a", "b")  # the network is up and QEMU probed
    daemon.ok("kill", "a")
    folder = "/proc/%d/fd" % daemon.daemon_pid()
    links, descriptors = daemon.links(), len(os.listdir(folder))
    group = limited(daemon, 0)
    try:
        assert "Resource temporarily unavailable" in daemon.fails(7, "start", "a"), "exactly that"
        info = daemon.info("a")
        assert info["state"] == "stopped" and "Resource temporarily unavailable" in info["reason"]
        assert daemon.links() == links
        daemon.eventually(lambda: len(os.listdir(folder)), lambda n: n <= descriptors)
        daemon.ok("pause", "b")
    finally:
        with open(group + "/pids.max", "w", encoding="utf-8") as f:
            f.write("max")
        with open("/sys/fs/cgroup/pids/cgroup.procs", "w", encoding="utf-8") as f:
            f.write(str(daemon.daemon_pid()))
    daemon.ok("start", "a")
    daemon.eventually(lambda: vmk.read_text(group + "/cgroup.procs"), lambda pids: not pids)
    os.rmdir(group)


@pytest.mark.parametrize("how, says", [
    ("missing", "there is no program"), ("directory", "Is a directory"), ("not executable", "Permission denied"),
    ("no program", "Exec format error")])
def test_f31_binary(daemon, place, how, says):
    """F31: exit status 7 with the path and the reason, and nothing is left behind."""
    path = place("/usr/local/sbin", "1m") + "/qemu-of-mine"
    daemon.micro("a", extra="[QEMU]\nBinary=%s\n" % path)
    if how == "directory":
        os.mkdir(daemon.inner(path))
    elif how != "missing":
        with open(daemon.inner(path), "wb") as f:
            f.write(b"no program\n")
        os.chmod(daemon.inner(path), 0o755 if how == "no program" else 0o644)
    said = daemon.fails(7, "start", "a")
    assert path in said and says in said, said
    assert daemon.info("a")["state"] == "stopped" and len(daemon.processes()) == 1


def test_f31_binary_replaced_while_it_runs(world, place):
    """F31: the guest is not affected; the next start uses the new file."""
    qemu = "/usr/bin/qemu-system-x86_64"
    over = place(os.path.join(world.base, "run"), "128m")
    world.exec("mkdir", over + "/upper", over + "/work")
    world.exec("mount", "-t", "overlay", "-o", "lowerdir=/usr/bin,upperdir=%s/upper,workdir=%s/work" % (over, over),
               "none", "/usr/bin")
    world.socket = world.inner(world.socket)
    world.start()
    world.micro("a", "echo")
    console = world.up("a")
    pid = world.info("a")["pid"]
    world.exec("sh", "-c", "cp -p $1 $1.good && echo no program >$1.new && chmod 755 $1.new && mv $1.new $1", "sh", qemu)
    console.type("x")
    console.until("x")
    assert world.info("a")["pid"] == pid
    world.ok("kill", "a")
    said = world.fails(7, "start", "a")
    assert qemu in said and "Exec format error" in said, said
    world.exec("mv", qemu + ".good", qemu)
    world.up("a")
    world.ok("kill", "a")
    world.stop_daemon()
    world.exec("umount", "-l", "/usr/bin")


def test_no_inotify_watches(world):
    """Without inotify watches, output is not followed, but guests start, run and end, and a message says so."""
    library = preload(world, """
        #include <errno.h>
        #include <stdint.h>
        int inotify_add_watch(int fd, const char *path, uint32_t mask)
        {
            (void)fd, (void)path, (void)mask;
            errno = ENOSPC;
            return -1;
        }
        """)
    world.micro("a", "deaf")
    world.start(env={"LD_PRELOAD": library})
    world.ok("start", "a")
    world.ok("pause", "a")
    assert "watch a file: No space left" in vmk.read_text(os.path.join(world.base, "daemon.log"))
    world.ok("kill", "a")


def test_proc_is_hidden(world):
    """hidepid=2 does not affect root: everything is detected as usual, also after adoption."""
    world.exec("mount", "-o", "remount,hidepid=2", "/proc")
    world.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=60")
    world.start()
    world.ok("start", "a")
    pid = world.info("a")["pid"]
    world.kill_daemon()
    world.start()
    assert world.info("a")["pid"] == pid
    world.kill(pid)
    assert "crashed" in world.wait_state("a", "backoff")["reason"]


def test_boot_cannot_be_told(world):
    """Without a boot id, processes are recognized by pid and start time, and no VM is started a second time."""
    world.micro("a", "deaf")
    world.micro("b", "deaf", vm="Enable=yes\n")
    world.start()
    world.wait_state("b", "running")
    world.ok("start", "a")
    world.eventually(lambda: vmk.read_text(os.path.join(world.base, "daemon.log")), lambda text: "boot start complete" in text)
    world.ok("kill", "b")
    pid = world.info("a")["pid"]
    world.exec("mount", "--bind", "/dev/null", "/proc/sys/kernel/random/boot_id")
    for _ in range(2):
        world.kill_daemon()
        world.start()
        assert world.states() == {"a": "running", "b": "stopped"}
        assert world.info("a")["pid"] == pid
    world.exec("umount", "/proc/sys/kernel/random/boot_id")


@walk("hours", (-24 * 366, -24, -5, -1, -0.01, 0.01, 1, 5, 24, 24 * 366), some=2)
def test_clock_jumps_while_it_backs_off(world, hours):
    """The next start comes when the delay has passed, whatever the wall clock says."""
    library = preload(world, CLOCK)
    offset = os.path.join(world.base, "offset")
    with open(offset, "w", encoding="utf-8") as f:
        f.write("0")
    world.micro("a", "deaf", extra=LIFECYCLE % "RestartSec=3")
    world.start(env={"LD_PRELOAD": library, "FAKE_OFFSET": offset})
    world.ok("start", "a")
    begin = time.monotonic()
    world.kill(world.info("a")["pid"])
    world.wait_state("a", "backoff")
    with open(offset, "w", encoding="utf-8") as f:
        f.write(str(int(hours * 3600)))
    world.wait_state("a", "running")
    assert time.monotonic() - begin >= 3
    assert world.info("a")["uptime"] >= 0
    world.ok("kill", "a")


CLOCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void)
{
	char text[32] = "";
	int fd = open(getenv("FAKE_OFFSET"), O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	if (fd >= 0)
		close(fd);
	return atol(text);
}

int clock_gettime(clockid_t which, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, which, t);

	if (which == CLOCK_REALTIME)
		t->tv_sec += offset();
	return r;
}

int gettimeofday(struct timeval *t, void *zone)
{
	int r = (int)syscall(SYS_gettimeofday, t, zone);

	t->tv_sec += offset();
	return r;
}

time_t time(time_t *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}
"""


def preload(world, source):
    """Builds a library for LD_PRELOAD: makes one process see what a test cannot do to the whole host."""
    path = os.path.join(world.base, "preload.c")
    with open(path, "w", encoding="utf-8") as f:
        f.write(source)
    vmk.subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path[:-1] + "so", path], check=True)
    return path[:-1] + "so"
