# SPDX-License-Identifier: MIT
"""Drives vmkeep-jail alone with plans, as the daemon does. Needs root; uses only temporary directories and private
mount namespaces."""

import array
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

import vmk
from smallfs import TMPFS_MAPS

TOP = pathlib.Path(__file__).resolve().parents[2]
JAIL = pathlib.Path(os.environ.get("VMKEEP_BUILD", TOP / "build")) / "vmkeep-jail"
BUSYBOX = "/usr/bin/busybox"
PYTHON = "/usr/bin/python3"
LOOKS = """import errno, os, stat
def show(path):
    st = os.lstat(path)
    return f"{st.st_uid} {st.st_gid} {stat.S_IMODE(st.st_mode):o}"
def first(path, n):
    with open(path, "rb") as f:
        return f.read(n).decode()
def add(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    except OSError as e:
        return errno.errorcode[e.errno]
"""
QEMU = "/usr/bin/qemu-system-x86_64"
UID = 1879048192 + 7
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
LIMIT = 30 * vmk.SLOW  # seconds until a hung test fails

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes namespaces and changes uid"),
    pytest.mark.skipif(not JAIL.exists(), reason=f"{JAIL} is not built"),
]
libc = ctypes.CDLL(None, use_errno=True)


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text().splitlines()


class Run:
    """One vmkeep-jail with its socket; it ends with the context, whatever happens."""

    def __init__(self, box, plan, fds=(), prefix=(), no_dac=False):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)

        def child():
            os.dup2(theirs.fileno(), 3)
            if no_dac:  # as on a network file system, where root has no privileges
                for cap in (1, 2):
                    libc.prctl(24, cap, 0, 0, 0)

        self.process = subprocess.Popen(
            [*prefix, JAIL, "vm"], preexec_fn=child, pass_fds=(3,), close_fds=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        box.running.append(self)
        theirs.close()
        self.pid = self.process.pid
        line = plan if isinstance(plan, bytes) else json.dumps(plan).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendmsg([line[:1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                            array.array("i", fds))] if fds else [])
            self.sock.sendall(line[1:])
            if isinstance(plan, bytes):
                self.sock.shutdown(socket.SHUT_WR)
        data = b""
        with contextlib.suppress(ConnectionResetError):  # it exited before it had read everything
            while chunk := self.sock.recv(65536):
                data += chunk
        self.answers = [json.loads(a) for a in data.splitlines()]

    @property
    def prepared(self):
        assert self.answers and self.answers[-1] == {"prepared": {}}, self.answers
        return True

    @property
    def kept(self):
        """The disks that were created and recorded in the identity; None if nothing was written."""
        assert self.prepared
        return self.answers[0]["kept"]["disks"] if len(self.answers) > 1 else None

    @property
    def error(self):
        assert len(self.answers) == 1 and "error" in self.answers[0], self.answers
        assert self.process.wait(LIMIT) == 1
        return self.answers[0]["error"]

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}").read_text()

    def end(self):
        self.sock.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class Box:
    def __init__(self, tmp):
        self.tmp = tmp
        self.images = tmp / "images"
        self.root = tmp / "root"
        self.running = []
        self.held = contextlib.ExitStack()
        for d in (self.images, self.root):
            d.mkdir()

    def image(self, name="disk.img", size=1 << 20, where=None, head=b""):
        path = (where or self.images) / name
        with open(path, "wb") as f:
            f.truncate(size)
            f.write(head)
        path.chmod(0o600)
        return path

    def qcow2(self, name, *options, where=None, size="1M"):
        path = (where or self.images) / name
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, size], check=True)
        path.chmod(0o600)
        return path

    def disk(self, path, what="disk 'root'", kind="disk", **more):
        return {"kind": kind, "what": what, "id": "root", "path": str(path), "format": "raw",
                "write": kind == "disk", **(self.beneath(path) | more)}

    def beneath(self, path):
        return {"beneath": str(self.images)} if str(path).startswith(f"{self.images}/") else {}

    def plan(self, argv, files=(), **more):
        return {"version": 1, "name": "vm", "uid": UID, "argv": argv, "root": str(self.root),
                "files": list(files), "may_create": True, **more}

    def identity(self, *disks, changed=False):
        """The identity in a plan, with these disk ids; it is saved in a separate directory."""
        folder = self.tmp / "identity"
        folder.mkdir(exist_ok=True)
        return {"dir": str(folder), "changed": changed, "document": {
            "version": 1, "disks": [{"id": d, "created": 0} for d in disks]}}

    def run(self, argv, files=(), fds=(), to=(), **more):
        how = {k: more.pop(k) for k in ("prefix", "no_dac") if k in more}
        return Run(self, self.plan(argv, files, fds=list(to), **more), fds, **how)

    def refuse(self, *files, **more):
        return self.run([BUSYBOX, "true"], files, **more).error

    def output(self, argv, files=(), **more):
        """Runs a program inside until it exits; returns its output."""
        r, w = os.pipe()
        try:
            run = self.run(argv, files, (w,), (1,), **more)
        finally:
            os.close(w)
        with open(r) as out:
            assert run.prepared
            printed = out.read()
        run.process.wait(LIMIT)
        return printed

    def script(self, text, files=(), **more):
        """Runs a shell script; only built-in commands work, because no process can be started inside."""
        return self.output([BUSYBOX, "sh", "-c", text], files, **more)

    def python(self, text, files=(), words=(), **more):
        """Runs Python code with os and these: show(PATH) returns owner, group and mode, first(PATH, N) the first
        bytes, add(PATH) opens the file to append."""
        return self.output([PYTHON, "-I", "-c", LOOKS + text, *words], files, **more)

    @contextlib.contextmanager
    def waiting(self, files=(), **more):
        """A program inside that does nothing until the context ends."""
        r, w = os.pipe()
        try:
            run = self.run([BUSYBOX, "cat"], files, (r,), (0,), **more)
            assert run.prepared
            yield run
        finally:
            os.close(r)
            os.close(w)
        assert run.process.wait(LIMIT) == 0


@pytest.fixture
def box(tmp_path):
    before = mounts()
    b = Box(tmp_path)
    try:
        with b.held:
            yield b
    finally:
        for run in b.running:
            run.end()
    assert mounts() == before, "a mount was left on the host"
    assert not list(b.root.iterdir())


@pytest.fixture(params=["disk", "tmpfs"])
def elsewhere(request, tmp_path):
    """A directory outside the image directory, once on the disk's file system and once on tmpfs."""
    if request.param == "tmpfs" and not TMPFS_MAPS:
        pytest.skip("tmpfs takes no id-mapped mount before Linux 6.3")
    d = tmp_path / "elsewhere" if request.param == "disk" else pathlib.Path(f"/dev/shm/vmkeep-{os.getpid()}")
    d.mkdir()
    try:
        yield d
    finally:
        shutil.rmtree(d)


@pytest.fixture
def loop(box):
    """A loop device on an image; skips with the reason if there is none."""
    file = box.image("loop.img", 4 << 20, box.tmp)
    subprocess.run(["mkfs.ext4", "-q", "-F", file], check=True)
    r = subprocess.run(["losetup", "-f", "--show", file], capture_output=True, text=True)
    if r.returncode:
        pytest.skip(f"no loop device: {r.stderr.strip()}")
    try:
        yield file, r.stdout.strip()
    finally:
        for run in box.running:
            run.end()
        subprocess.run(["losetup", "-d", r.stdout.strip()], check=True)
