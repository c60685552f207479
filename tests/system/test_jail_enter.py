# SPDX-License-Identifier: MIT
"""What is brought into the private root of a program that runs, and taken out: nothing else changes, nothing stays
behind, whoever dies."""
import array
import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess

import pytest

from jail import box, BUSYBOX, JAIL, LIMIT, loop, PYTHON, pytestmark, UID  # noqa: F401 (fixtures are used by name)

# A program that answers questions about its private root, one line each.
GUEST = """import os, sys
held = {}
def say(path):
    with open(path, "rb") as f:
        return f.read(9).decode()
def hold(path):
    held[path] = os.open(path, os.O_RDONLY)
def drop(path):
    os.close(held.pop(path))
def write(path):
    os.close(os.open(path, os.O_WRONLY))
def tree():
    for d, inner, files in os.walk("/"):
        inner[:] = [n for n in inner if n != "usr"]
        yield from (os.path.join(d, n) for n in inner + files)
print("up", flush=True)
for line in sys.stdin:
    try:
        print(repr(eval(line)), flush=True)
    except OSError as e:
        print(repr(e.strerror), flush=True)
"""


class Guest:
    def __init__(self, box, files=(), **more):
        self.box = box
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(LIMIT)
        with theirs:
            self.run = box.run([PYTHON, "-I", "-c", GUEST], files, (theirs.fileno(),) * 2, (0, 1), **more)
        assert self.run.prepared
        self.lines = self.sock.makefile("r")
        assert self.lines.readline() == "up\n"
        self.namespace = os.open(f"/proc/{self.run.pid}/ns/mnt", os.O_RDONLY)
        self.process = os.pidfd_open(self.run.pid)

    def ask(self, expression):
        self.sock.sendall(expression.encode() + b"\n")
        return eval(self.lines.readline())  # our own program's repr()

    def mounts(self):
        return sorted(self.run.proc("mountinfo").splitlines())

    def tree(self):
        return self.ask("sorted(tree())")

    def state(self):
        return self.mounts(), self.tree(), sorted(os.listdir(f"/proc/{self.run.pid}/fd"))

    def enter(self, *files, keep=True, **more):
        run = Enter(self.box, "enter", files, self, **more)
        if keep and run.locks is not None:
            run.keep()
        return run

    def leave(self, *files, **more):
        run = Enter(self.box, "leave", files, self, **more)
        run.close()
        return run

    def close(self):
        os.close(self.namespace)
        os.close(self.process)
        self.lines.close()
        self.sock.close()


def fill(sock, peer):
    """Leaves room for one message."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x", socket.MSG_DONTWAIT)
    peer.recv(1)


class Enter:
    """One vmkeep-jail that enters or leaves. locks: the descriptors that came, by index; None: it was refused."""

    def __init__(self, box, role, files, guest, fds=None, full=False, **more):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)
        if full:
            fill(theirs, self.sock)
        self.process = subprocess.Popen([JAIL, "vm"], preexec_fn=lambda: os.dup2(theirs.fileno(), 3), pass_fds=(3,),
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()
        if fds is None:
            fds = [guest.namespace, guest.process]
            more.setdefault("qemu", guest.run.pid)
        plan = {"version": 1, "name": "vm", "uid": UID, "role": role, "root": str(box.root),
                "fds": list(range(len(fds))), "files": list(files), **more}
        line = json.dumps(plan).encode() + b"\n"
        self.sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
        data, got = b"", []
        while b"prepared" not in data and not full:
            chunk, control, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(256 * 4))
            for _, _, raw in control:
                got += list(array.array("i", raw))
            data += chunk
            if not chunk:
                break
        self.answers = [json.loads(a) for a in data.splitlines()]
        entered = self.answers[0].get("entered") if self.answers else None
        self.locks = dict(zip(entered["locks"], got)) if entered else None
        assert len(got) == len(self.locks or ())

    @property
    def error(self):
        assert len(self.answers) == 1 and "error" in self.answers[0], self.answers
        return self.answers[0]["error"]

    def keep(self):
        self.sock.sendall(b"k")
        self.close()

    def close(self):
        self.sock.close()
        self.process.wait(LIMIT)

    def drop(self):
        for fd in (self.locks or {}).values():
            os.close(fd)
        self.locks = {}


@pytest.fixture
def guest(box):
    with contextlib.closing(Guest(box, [box.disk(box.image("root.img"))])) as g:
        yield g


def cd(box, path, **more):
    return box.disk(path, "cdrom 'cd'", "cdrom", **more)


def is_locked(path):
    """Does a byte of QEMU's keep others from writing?"""
    with open(path, "rb+") as f:
        for byte in (201, 203):
            wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
            if struct.unpack("hhqqi4x", fcntl.fcntl(f, 36, wanted))[0] != fcntl.F_UNLCK:  # F_OFD_GETLK
                return True
    return False


def test_in_and_out(box, guest):
    before = guest.state()
    iso = box.image("a.iso", head=b"contents")
    entered = guest.enter(cd(box, iso))
    assert guest.ask(f"say({str(iso)!r})") == "contents\0"
    assert guest.ask(f"write({str(iso)!r})") == "Read-only file system"
    assert guest.ask(f"(os.stat({str(iso)!r}).st_uid, os.stat({str(iso)!r}).st_mode & 0o777)") == (UID, 0o600)
    mount = [m for m in guest.mounts() if str(iso) in m]
    assert len(mount) == 1 and {"ro", "nosuid", "nodev", "noexec"} <= set(mount[0].split()[5].split(","))
    assert list(entered.locks) == [0] and is_locked(iso)
    guest.leave(cd(box, iso))
    entered.drop()
    assert guest.state() == before and not is_locked(iso)
    assert os.stat(iso).st_uid == os.geteuid()


def test_root_stays_read_only(box, guest):
    entered = guest.enter(cd(box, box.image("a.iso")))
    entered.drop()
    for place in ("/x", str(box.images / "x")):
        assert guest.ask(f"os.open({place!r}, os.O_CREAT | os.O_WRONLY)") in ("Read-only file system",
                                                                             "Permission denied")
    assert " / ro," in next(m for m in guest.mounts() if m.split()[4] == "/").replace("/ /", "/")


def test_elsewhere(box, guest, tmp_path):
    """New directories are made, and removed with the last file in them."""
    before = guest.state()
    deep = tmp_path / "isos" / "old" / "den 12"
    deep.mkdir(parents=True)
    files = [cd(box, box.image(f"{n}.iso", where=deep, head=n.encode())) for n in ("one", "two")]
    for f in files:
        guest.enter(f).drop()
    assert [guest.ask(f"say({f['path']!r})")[:3] for f in files] == ["one", "two"]
    guest.leave(files[0])
    assert guest.ask(f"say({files[1]['path']!r})")[:3] == "two"
    guest.leave(files[1])
    assert guest.state() == before


def test_writable(box, guest):
    """A disk comes without a lock: QEMU locks what it writes."""
    disk = box.image("data.img")
    assert guest.enter(box.disk(disk, "disk 'data'")).locks == {}
    assert guest.ask(f"write({str(disk)!r})") is None
    e = guest.enter(box.disk(disk, "disk 'data'", write=False)).locks
    assert e is not None


def test_many_times(box, guest):
    before = guest.state()
    own = len(os.listdir("/proc/self/fd"))
    iso = box.image("a.iso")
    for _ in range(200):
        entered = guest.enter(cd(box, iso))
        assert guest.leave(cd(box, iso)).answers == [{"prepared": {}}]
        entered.drop()
    assert guest.state() == before and not is_locked(iso)
    assert len(os.listdir("/proc/self/fd")) == own


def test_used_meanwhile(box, guest):
    """A file that is still open is gone from the root all the same, and locked while QEMU has the descriptor."""
    iso = box.image("a.iso", head=b"contents")
    before = guest.state()
    entered = guest.enter(cd(box, iso))
    guest.ask(f"hold({str(iso)!r})")
    guest.leave(cd(box, iso))
    assert guest.ask(f"say({str(iso)!r})") == "No such file or directory"
    guest.ask(f"drop({str(iso)!r})")
    assert guest.state() == before and is_locked(iso)
    entered.drop()
    assert not is_locked(iso)


def test_from_the_start(box):
    """A CD that was there at the start leaves, too, and its lock, which an unknown descriptor holds."""
    iso = box.image("a.iso")
    with contextlib.closing(Guest(box, [cd(box, iso)])) as g:
        assert is_locked(iso)
        process = os.pidfd_open(g.run.pid)
        g.leave(cd(box, iso), fds=[g.namespace, process], qemu=g.run.pid)
        os.close(process)
        assert not is_locked(iso) and str(iso) not in g.tree()
        g.enter(cd(box, iso)).drop()
        assert g.ask(f"say({str(iso)!r})") == "\0" * 9


def test_twice(box, guest):
    """The same file is fine; another one of that name is not, until the first has left."""
    iso = box.image("a.iso", head=b"old")
    guest.enter(cd(box, iso)).drop()
    mounts = guest.mounts()
    guest.enter(cd(box, iso)).drop()
    assert guest.mounts() == mounts
    iso.unlink()
    box.image("a.iso", head=b"new")
    e = guest.enter(cd(box, iso)).error
    assert e["class"] == "Conflict" and e["step"] == "guest's files" and "still has the file" in e["desc"]
    assert guest.ask(f"say({str(iso)!r})")[:3] == "old"
    guest.leave(cd(box, iso))
    guest.enter(cd(box, iso)).drop()
    assert guest.ask(f"say({str(iso)!r})")[:3] == "new"


REFUSED = [
    ("gone.iso", None, "files", "NotFound"),
    ("a.fifo", os.mkfifo, "files", "InvalidConfig"),
    ("a.dir", os.mkdir, "files", "InvalidConfig"),
    ("two.iso", lambda p: os.link(pathlib.Path(p).parent / "root.img", p), "files", "InvalidConfig"),
    ("link.iso", lambda p: os.symlink("root.img", p), "files", "InvalidConfig"),
]


@pytest.mark.parametrize("name, make, step, kind", REFUSED, ids=[r[0] for r in REFUSED])
def test_checks_of_a_start(box, guest, name, make, step, kind):
    before = guest.state()
    if make:
        make(box.images / name)
    e = guest.enter(cd(box, box.images / name)).error
    assert (e["step"], e["class"]) == (step, kind), e
    assert guest.state() == before


def test_written_by_others(box, guest):
    before = guest.state()
    iso = box.image("a.iso")
    with open(iso, "rb+"):
        e = guest.enter(cd(box, iso)).error
    assert (e["step"], e["class"]) == ("locks", "Conflict") and guest.state() == before


def test_second_file_fails(box, guest):
    """Nothing of a chain comes in if one file of it does not."""
    before = guest.state()
    iso = box.image("a.iso")
    e = guest.enter(cd(box, iso), cd(box, box.images / "none.iso")).error
    assert e["class"] == "NotFound" and guest.state() == before and not is_locked(iso)


def test_daemon_is_killed(box, guest):
    """Its end of the socket closes before QEMU had the files: they are taken out, and nothing stays locked."""
    before = guest.state()
    iso = box.image("a.iso")
    entered = guest.enter(cd(box, iso), keep=False)
    assert str(iso) in guest.tree()
    entered.drop()
    entered.close()
    assert guest.state() == before and not is_locked(iso)


def test_daemon_is_killed_between_two_messages(box, guest):
    """It was told that the files are there, but not all of it."""
    before = guest.state()
    iso = box.image("a.iso")
    entered = Enter(box, "enter", [cd(box, iso)], guest, full=True)
    while b"entered" not in entered.sock.recv(65536, socket.MSG_PEEK):
        pass
    assert str(iso) in guest.tree()
    entered.close()
    assert guest.state() == before and not is_locked(iso)


def test_helper_is_killed(box, guest):
    before = guest.state()
    iso = box.image("a.iso")
    entered = guest.enter(cd(box, iso), keep=False)
    entered.process.send_signal(signal.SIGKILL)
    entered.process.wait(LIMIT)
    entered.drop()
    assert not is_locked(iso) and str(iso) in guest.tree()
    guest.leave(cd(box, iso))
    assert guest.state() == before


def test_guest_is_gone(box):
    """Its namespace is kept by our descriptor, and takes all with it."""
    g = Guest(box)
    g.run.process.kill()
    g.run.process.wait()
    iso = box.image("a.iso")
    entered = g.enter(cd(box, iso))
    entered.drop()
    assert not is_locked(iso)
    g.close()


def test_leave_what_is_not_there(box, guest):
    before = guest.state()
    for path in (box.images / "never.iso", pathlib.Path("/usr/share/never.iso"), pathlib.Path("/never")):
        assert guest.leave(box.disk(path, "cdrom 'cd'", "cdrom")).answers == [{"prepared": {}}]
    for path in ("/usr", "/dev/null"):
        e = guest.leave({"kind": "cdrom", "what": "cdrom 'cd'", "path": path}).error
        assert "neither an image nor a device" in e["desc"]
    assert guest.state() == before


def test_only_a_guests_namespace(box, guest):
    iso = cd(box, box.image("a.iso"))
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    network = os.open("/proc/self/ns/net", os.O_RDONLY)
    host = subprocess.Popen(["unshare", "-m", BUSYBOX, "sleep", "1000"])
    try:
        while os.readlink(f"/proc/{host.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            pass
        other = os.open(f"/proc/{host.pid}/ns/mnt", os.O_RDONLY)
        before = pathlib.Path(f"/proc/{host.pid}/mountinfo").read_text()
        for role in ("enter", "leave"):
            for fds, says in (([own], "host's own"), ([network], "private root"), ([], "no mount namespace"),
                              ([other], "no guest's")):
                e = Enter(box, role, [iso], guest, fds).error
                assert says in e["desc"], (role, e)
        assert pathlib.Path(f"/proc/{host.pid}/mountinfo").read_text() == before
        os.close(other)
    finally:
        host.kill()
        host.wait()
        os.close(own)
        os.close(network)


def test_block_device(box, guest, loop):
    """As a logical volume, which a link names: a node of its own, with a guest's rights, that nobody else may write to."""
    file, device = loop
    link = box.tmp / "vg-lv"
    link.symlink_to(device)
    before = guest.state()
    disk = box.disk(link, "disk 'data'")
    entered = guest.enter(disk)
    st = f"os.stat({str(link)!r})"
    assert guest.ask(f"({st}.st_mode, {st}.st_uid, {st}.st_rdev)") == (stat.S_IFBLK | 0o600, UID, os.stat(device).st_rdev)
    assert guest.ask(f"write({str(link)!r})") is None
    assert list(entered.locks) == [0], "QEMU's own locks are on another node in each guest"
    with contextlib.closing(Guest(box)) as other:
        for g in (guest, other):
            e = g.enter(disk).error
            assert (e["step"], e["class"]) == ("files", "Conflict") and "is in use by" in e["desc"], e
    e = guest.enter(box.disk(file, "disk 'more'")).error
    assert e["class"] == "Conflict" and e["desc"].endswith(f"is in use by the device {device[5:]}")
    guest.leave(disk)
    entered.drop()
    assert guest.state() == before
    with contextlib.closing(Guest(box)) as other:
        other.enter(disk).drop()


def test_block_device_is_read_only(box, guest, loop):
    _, device = loop
    before = guest.state()
    dvd = cd(box, device)
    guest.enter(dvd).drop()
    assert guest.ask(f"write({device!r})") == "Permission denied" and guest.ask(f"say({device!r})")
    guest.leave(dvd)
    assert guest.state() == before


def test_block_device_and_its_daemon_is_killed(box, guest, loop):
    _, device = loop
    before = guest.state()
    entered = guest.enter(box.disk(device, "disk 'data'"), keep=False)
    assert device in guest.tree()
    entered.drop()
    entered.close()
    assert guest.state() == before
