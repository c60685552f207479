# SPDX-License-Identifier: MIT
"""What local users can do to the daemon and to each other: connections, streams, memory, jobs."""
import contextlib
import json
import os
import struct
import subprocess
import sys

import pytest

import vmk
from test_control import descriptors, resident

LIMIT = 16 << 20  # limit of the daemon's memory, whatever users do

# Connects as a user, in many ways, and reports the results; then keeps the connections until it is ended.
CLIENT = """
import json, os, resource, socket, sys
path, how, count, first = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].encode()
resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000))
held, said = [], {}
for _ in range(count):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    try:
        s.connect(path)
        line = s.recv(1 << 16)
        if how != "deaf" and b"error" not in line:
            s.sendall(first)
            line = s.recv(1 << 16)
        elif how == "deaf":
            s.sendall(first)
    except OSError as e:
        said[str(e)] = said.get(str(e), 0) + 1
        continue
    try:
        error = json.loads(line.split(b"\\n")[0]).get("error")
    except ValueError:
        error = {"class": "raw", "desc": repr(line[:80])}
    key = "%s: %s" % (error["class"], error["desc"]) if error else "held"
    said[key] = said.get(key, 0) + 1
    if not error:
        held.append(s)
print(json.dumps(said), flush=True)
sys.stdin.read()
"""


class Crowd:
    """Connections of one user, held by a separate process."""

    def __init__(self, world, user, groups, count, first, how="answered"):
        path = os.path.join(world.base, "client.py")
        with open(path, "w", encoding="utf-8") as f:
            f.write(CLIENT)
        self.process = subprocess.Popen(
            world.inside([sys.executable, path, world.socket, how, count, first], user, groups),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.world = world

    def said(self):
        return json.loads(self.process.stdout.readline())

    def leave(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def crowd(daemon):
    crowds = []

    def make(*args, **how):
        crowds.append(Crowd(daemon, *args, **how))
        return crowds[-1]
    yield make
    for each in crowds:
        with contextlib.suppress(Exception):
            each.leave()


def request(execute, **arguments):
    return json.dumps({"execute": execute, "arguments": arguments}) + "\n"


def others_are_served(daemon):
    daemon.ok("list", user="alice", groups=("vmkeep-view",))
    daemon.ok("list")


def held_and_refused(said):
    held = said.pop("held", 0)
    return held, said


def test_streams_are_counted(daemon, crowd):
    """Of 6000 connections that become streams, the user gets 8; the others are refused with the reason."""
    daemon.micro("a")  # it writes little: clients that do not read are disconnected, which would make room
    daemon.ok("start", "a")
    before = descriptors(daemon)
    bob = crowd("bob", ("vmkeep-view",), 6000, request("vm-log", name="a", follow=True))
    held, refused = held_and_refused(bob.said())
    assert held == 8
    assert all("too many" in words for words in refused), refused
    assert descriptors(daemon) < before + 80
    assert resident(daemon) < LIMIT
    others_are_served(daemon)
    bob.leave()
    daemon.eventually(lambda: descriptors(daemon), lambda now: now <= before)


def test_streams_count_among_connections(daemon, crowd):
    """MaxClientsPerUser= limits connections and streams together, for operators too."""
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nMaxClientsPerUser=20\n")
    daemon.ok("reload")
    daemon.micro("a")  # it writes little: clients that do not read are disconnected, which would make room
    daemon.ok("start", "a")
    bob = crowd("bob", ("vmkeep",), 50, request("vm-log", name="a", follow=True))
    held, refused = held_and_refused(bob.said())
    assert held == 20
    assert all("too many clients of uid" in words for words in refused), refused
    assert "MaxClientsPerUser=" in daemon.fails(11, "list", user="bob", groups=("vmkeep",))


@pytest.mark.parametrize("which", ["console", "qemu"])
def test_logs_that_nobody_reads(daemon, crowd, which):
    """The last part of a log is sent from its file: unread data takes no memory."""
    daemon.micro("a")
    daemon.ok("start", "a")
    name = "console.log" if which == "console" else "qemu.log"
    with open(os.path.join(daemon.log, "a", name), "ab") as f:
        f.write(b"0123456789abcdef" * (1 << 16))
    before = resident(daemon)
    bob = crowd("bob", ("vmkeep",), 60, request("vm-log", name="a", which=which), how="deaf")
    bob.said()
    others_are_served(daemon)
    assert resident(daemon) < before + (3 << 20)
    bob.leave()


def test_log_is_whole(daemon):
    """All lines, the last N of them, and logs larger than one chunk."""
    daemon.micro("a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    lines = ["line %d %s" % (n, "x" * (n % 300)) for n in range(4000)]
    with open(os.path.join(daemon.log, "a", "qemu.log"), "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))
    assert daemon.ok("log", "a", "qemu").split() == "\n".join(lines).split()
    for n in (1, 2, 59, 3999, 4000, 4001):
        out = daemon.ok("log", "a", "qemu", "--lines", str(n))
        assert out.split("\n")[:-1] == lines[-n:]


def test_console_readers_share(daemon, crowd):
    """Watchers that do not read are disconnected, and share a single buffer."""
    daemon.micro("a", "chatter")
    daemon.ok("start", "a")
    before = resident(daemon)
    deaf = [daemon.client() for _ in range(40)]
    for client in deaf:
        client.socket.sendall(request("vm-console", name="a", watch=True).encode())
    daemon.eventually(lambda: os.path.getsize(os.path.join(daemon.log, "a", "console.log")),
                      lambda size: size > 600 << 10, timeout=60)
    assert resident(daemon) < before + (4 << 20)
    others_are_served(daemon)


def test_deaf_subscribers(daemon):
    """200 of root's clients that never read: each event is stored once for all of them."""
    daemon.micro("a", "deaf")
    daemon.up("a")
    before = resident(daemon)
    deaf = [daemon.client() for _ in range(200)]
    for client in deaf:
        client.call("subscribe")
    other = daemon.client()
    for _ in range(1000):
        other.call("vm-pause", name="a")
        other.call("vm-resume", name="a")
    assert resident(daemon) < before + (4 << 20)
    for client in deaf:
        client.close()


def test_jobs_are_bounded(daemon):
    """A VM has one stop job, which later stops join (for other jobs see tests/unit/control_limits.c)."""
    daemon.micro("deaf", "deaf", vm="Owner=alice\n")
    daemon.up("deaf")
    client = daemon.client(uid=vmk.USERS["alice"])
    jobs = {client.call("vm-stop", name="deaf", wait=False, timeout=86400)["job"]
            for _ in range(3631)}
    assert len(jobs) == 1
    assert len(daemon.rows("jobs")) == 1
    # a client that waits joins the job, and learns its number
    client.socket.sendall(request("vm-stop", name="deaf", timeout=86400).encode())
    assert client.event("JOB_STARTED")["job"] in jobs
    # the owner's job does not keep root or an operator from the VM
    daemon.ok("kill", "deaf", user="bob", groups=("vmkeep",))
    daemon.eventually(lambda: daemon.rows("jobs"), lambda rows: not rows)


def test_job_numbers_are_not_cut(daemon):
    daemon.micro("deaf", "deaf")
    daemon.up("deaf")
    job = daemon.client().call("vm-stop", name="deaf", wait=False, timeout=86400)["job"]
    assert "no such job" in daemon.fails(4, "job", "cancel", str(job + (1 << 32)))


# --- what an image's header may cost ---

def forge_snapshots(path, count):
    """Writes a snapshot table at the end of a qcow2 file, as a guest could."""
    with open(path, "r+b") as f:
        at = (f.seek(0, os.SEEK_END) + 0xffff) & ~0xffff
        f.seek(at)
        for n in range(count):
            name, number = b"s%d" % n, b"%d" % (n + 1)
            row = struct.pack(">QIHHIIQII", 0, 0, len(number), len(name), 1700000000 - n, 0, 0, 0, 16)
            row += struct.pack(">QQ", 0, 1 << 20) + number + name
            f.write(row.ljust((len(row) + 7) & ~7, b"\0"))
        f.truncate((f.tell() + 0xffff) & ~0xffff)
        f.seek(60)
        f.write(struct.pack(">IQ", count, at))


@pytest.mark.parametrize("count, words", [
    (2000, None),
    (2500, "its header lists 2500 snapshots, more than 2048"),
    (65536, "its header holds more than 1048576 bytes of snapshots"),
])
def test_snapshot_table(daemon, count, words):
    """Listed completely or refused with an error, never as empty; the daemon keeps answering."""
    daemon.micro("a", disk="qcow2")
    forge_snapshots(os.path.join(daemon.images, "a.qcow2"), count)
    viewer = daemon.client(timeout=90 * vmk.SLOW)
    number = viewer.send("snapshot-list", {"name": "a"})
    others_are_served(daemon)
    answer = viewer.receive()
    assert answer["id"] == number
    if words is None:
        names = [row[0] for row in answer["return"]["rows"]]
        assert names == ["s%d" % n for n in reversed(range(count))]
    else:
        assert words in answer["error"]["desc"]
        for verb in ("create", "revert", "delete"):
            assert words in daemon.fails(1, "snapshot", verb, "a", "s5" if verb != "create" else "new")
    viewer.close()
    daemon.eventually(lambda: resident(daemon), lambda now: now < LIMIT)


# --- check changes nothing ---

def test_check_changes_nothing(daemon):
    """With and without a name: afterwards the daemon knows exactly what it knew before."""
    daemon.micro("a")
    daemon.micro("web1")
    daemon.eventually(daemon.states, lambda found: len(found) == 2)
    client = daemon.client()
    client.call("subscribe")
    view = dict(user="bob", groups=("vmkeep-view",))
    state = sorted(os.listdir(daemon.state + "/vms"))
    daemon.write("blue.network", "[Network]\nAddress=10.77.0.1/24\n")
    daemon.micro("b", extra="[NIC lan]\nNetwork=blue\n")
    daemon.write("half.vm", "[VM]\nMemory=\n[Dis")
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nMaxClients=1\nNonsense=1\n")
    everything = daemon.vmkeep("check", **view)
    assert everything.code == 2
    for words in ("half.vm:3", "Nonsense"):
        assert words in everything.out, everything
    assert "blue" not in everything.out.replace("blue.network", ""), everything
    daemon.ok("check", "b", **view)
    assert daemon.vmkeep("check", "half", **view).code == 2
    assert "did you mean" in daemon.fails(4, "check", "web", **view)
    assert not [name for name in os.listdir(daemon.state + "/networks") if "blue" in name]
    assert sorted(os.listdir(daemon.state + "/vms")) == state
    assert client.call("query-version") and not client.events
    daemon.write("vmkeep.conf", vmk.DEFAULTS)
    os.unlink(os.path.join(daemon.config, "half.vm"))
    assert set(daemon.states()) == {"a", "b", "web1"}
    assert client.event("VM_ADDED") == {"name": "b"}
    daemon.ok("reload")
    assert [row["name"] for row in daemon.rows("net", "list")] == ["blue", "default"]


# --- Owner= ---

def test_owner_lists_and_globs_own(daemon):
    """An owner's lists and patterns include only the user's own VMs."""
    daemon.micro("web1", vm="Owner=alice\n")
    daemon.micro("web2", vm="Owner=@alice\n")
    daemon.micro("web3", vm="Owner=bob\n")
    daemon.micro("web4")
    assert {row["name"] for row in daemon.json("list", user="alice")} == {"web1", "web2"}
    assert {row["name"] for row in daemon.json("list", user="bob")} == {"web3"}
    assert len(daemon.json("list", user="bob", groups=("vmkeep-view",))) == 4
    daemon.ok("start", "web*", user="alice")
    assert daemon.states() == {"web1": "running", "web2": "running", "web3": "stopped", "web4": "stopped"}
    daemon.ok("wait", "web1", "running", user="alice")
    daemon.fails(9, "info", "web3", user="alice")
    daemon.fails(9, "info", "nothing", user="alice")
    daemon.ok("start", "web3")
    daemon.ok("kill", "*", user="alice")
    assert daemon.states() == {"web1": "stopped", "web2": "stopped", "web3": "running", "web4": "stopped"}
    for name in ("web1", "web2"):
        daemon.micro(name)
    daemon.fails(9, "list", user="alice")


CHANGES = {
    "another": lambda text: text.replace("Owner=alice", "Owner=bob"),
    "none": lambda text: text.replace("Owner=alice\n", ""),
    "invalid": lambda text: text.replace("Owner=alice", "Nonsense=1"),
    "half": lambda text: "[VM",
    "gone": lambda text: None,
    "drop-in": lambda text: text,
}


@pytest.mark.parametrize("change", CHANGES)
def test_owner_is_judged_now(daemon, change):
    """Whatever happens to the file: a user who is no longer an owner loses all rights at once, even while the
    guest runs or one of the user's jobs is in progress."""
    daemon.micro("a", "deaf", vm="Owner=alice\n")
    daemon.up("a")
    alice = daemon.client(uid=vmk.USERS["alice"])
    assert alice.call("vm-info", name="a")["state"] == "running"
    job = alice.call("vm-stop", name="a", wait=False, timeout=86400)["job"]
    path = os.path.join(daemon.config, "a.vm")
    text = CHANGES[change](vmk.read_text(path))
    if change == "drop-in":
        daemon.write("a.vm.d/owner.conf", "[VM]\nOwner=\nOwner=bob\n")
    if text is None:
        os.unlink(path)
    else:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    for execute, arguments in (("vm-info", {"name": "a"}), ("vm-kill", {"name": "a"}),
                               ("vm-list", {}), ("job-cancel", {"job": job})):
        with pytest.raises(vmk.Error) as refused:
            alice.call(execute, **arguments)
        assert refused.value.error_class == "Permission", (execute, refused.value)
    assert daemon.states()["a"] == "stopping"
    daemon.ok("kill", "a")


def test_owner_of_a_new_file(daemon):
    """A user who becomes owner has the rights at once."""
    daemon.micro("a")
    daemon.fails(9, "start", "a", user="alice")
    daemon.micro("a", vm="Owner=alice\n")
    daemon.ok("start", "a", user="alice")
    daemon.micro("b", vm="Owner=alice\n")
    daemon.ok("start", "b", user="alice")


# --- users and groups ---

def test_no_directory_server_is_asked(daemon):
    """Groups and owners are looked up in files: the daemon does not load NSS libraries."""
    daemon.micro("a", vm="Owner=alice\n")
    daemon.ok("list", user="bob", groups=("vmkeep-view",))
    daemon.ok("start", "a", user="alice")
    daemon.ok("reload")
    maps = vmk.read_text("/proc/%d/maps" % daemon.daemon_pid())
    assert "libnss" not in maps


# --- a thousand at once ---

# All ways at once, by one user; most of the daemon's answers are not read.
HOSTILE = """
import json, os, random, resource, socket, sys, time
path, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (10000, 10000))
def r(execute, **arguments):
    return json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\\n"
WAYS = [
    b"", b'{"execute": "vm-li', b"[" * 60, b'{"id":"' + b"x" * 100000,
    r("subscribe"), r("vm-log", name=name, follow=True), r("vm-log", name=name, which="qemu"),
    r("vm-console", name=name), r("vm-list") * 2000, r("query-schema") * 500,
    b'{"execute":"query-version","id":[' + b"{}," * 3000 + b"{}]}\\n" * 3,
    r("vm-wait", name=name, condition="stopped") * 200, r("vm-check") * 50,
    r("snapshot-list", name=name) * 20, r("host-check") * 20, r("vm-check", name=name) * 50,
    r("vm-stop", name=name, wait=False, timeout=86400) * 100, r("job-list") * 500,
]
held, last = [], time.monotonic() + seconds
for n in range(1000):
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(path)
        s.send(WAYS[n % len(WAYS)])
    except OSError:
        pass
    held.append(s)
print("held", flush=True)
serial = 0
while time.monotonic() < last:  # and again where it was thrown out
    serial += 1
    n = random.randrange(len(held))
    held[n].close()
    held[n] = socket.socket(socket.AF_UNIX)
    held[n].setblocking(False)
    try:
        held[n].connect(path)
        held[n].send(WAYS[serial % len(WAYS)])
    except OSError:
        time.sleep(0.001)
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("groups, owner", [((), "root"), ((), "bob"), (("vmkeep-view",), "bob"),
                                           (("vmkeep",), "root")])
def test_a_thousand_hostile_connections(daemon, groups, owner):
    """By one user, in all ways at once: another user is served, guests keep running, the daemon stays small, and
    nothing leaks."""
    daemon.micro("guest", "count")
    daemon.micro("prey", "chatter", vm="Owner=%s\n" % owner)
    console = daemon.up("guest")
    daemon.ok("start", "prey")
    before = descriptors(daemon)
    path = os.path.join(daemon.base, "hostile.py")
    with open(path, "w", encoding="utf-8") as f:
        f.write(HOSTILE)
    with subprocess.Popen(daemon.inside([sys.executable, path, daemon.socket, "prey", 4], "bob", groups),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bob:
        try:
            assert bob.stdout.readline() == "held\n"
            most = 0
            for letter in "abcdefgh":
                others_are_served(daemon)
                assert daemon.states()["guest"] == "running"
                console.type(letter)
                most = max(most, resident(daemon))
            assert bob.stdout.readline() == "done\n"
            most = max(most, resident(daemon))
            others_are_served(daemon)
            assert most < LIMIT, most
            print("at most %.1f MiB" % (most / (1 << 20)))
            console.until("abcdefgh")  # a letter for each byte typed
        finally:
            bob.stdin.close()
    daemon.eventually(lambda: descriptors(daemon), lambda now: now <= before + 2, timeout=60)
    daemon.ok("kill", "prey")
    assert not daemon.rows("jobs")
