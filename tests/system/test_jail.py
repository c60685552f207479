# SPDX-License-Identifier: MIT
"""vmkeep-jail alone, driven by plans as the daemon would: what is inside, what is refused and with
which words, and that the files outside stay as they were. Needs root; everything is in temporary
directories and private mount namespaces."""

import array
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
JAIL = pathlib.Path(os.environ.get("VMKEEP_BUILD", TOP / "build")) / "vmkeep-jail"
BUSYBOX = "/usr/bin/busybox"
QEMU = "/usr/bin/qemu-system-x86_64"
UID = 1879048192 + 7
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
LIMIT = 30  # seconds until a test that hangs is given up

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: makes namespaces and changes uid"),
    pytest.mark.skipif(not JAIL.exists(), reason=f"{JAIL} is not built"),
]
libc = ctypes.CDLL(None, use_errno=True)


def mounts():
    return pathlib.Path("/proc/self/mountinfo").read_text().splitlines()


class Run:
    """One vmkeep-jail with its socket; ends with the context, whatever happened."""

    def __init__(self, box, plan, fds=(), prefix=(), no_dac=False):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LIMIT)

        def child():
            os.dup2(theirs.fileno(), 3)
            if no_dac:  # what root is on a network file system: nobody special
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
        with contextlib.suppress(ConnectionResetError):  # it ended before it had read everything
            while chunk := self.sock.recv(65536):
                data += chunk
        self.answers = [json.loads(a) for a in data.splitlines()]

    @property
    def prepared(self):
        assert len(self.answers) == 1 and "prepared" in self.answers[0], self.answers
        return self.answers[0]["prepared"]

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
                "beneath": str(path).startswith(f"{self.images}/"), "write": kind == "disk", **more}

    def plan(self, argv, files=(), **more):
        return {"version": 1, "name": "vm", "uid": UID, "argv": argv, "root": str(self.root),
                "image_dir": str(self.images), "qemu_img": "qemu-img", "files": list(files), **more}

    def run(self, argv, files=(), fds=(), to=(), **more):
        how = {k: more.pop(k) for k in ("prefix", "no_dac") if k in more}
        return Run(self, self.plan(argv, files, fds=list(to), **more), fds, **how)

    def refuse(self, *files, **more):
        return self.run([BUSYBOX, "true"], files, **more).error

    def script(self, text, files=(), **more):
        """Runs a shell script inside to its end; returns what it printed."""
        r, w = os.pipe()
        try:
            run = self.run([BUSYBOX, "sh", "-c", text], files, (w,), (1,), **more)
        finally:
            os.close(w)
        with open(r) as out:
            run.prepared
            printed = out.read()
        run.process.wait(LIMIT)
        return printed

    @contextlib.contextmanager
    def waiting(self, files=(), **more):
        """A program inside that does nothing until the context ends."""
        r, w = os.pipe()
        try:
            run = self.run([BUSYBOX, "cat"], files, (r,), (0,), **more)
            assert run.prepared is not None
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
    """A directory outside the image directory, on the disk's file system and on tmpfs."""
    d = tmp_path / "elsewhere" if request.param == "disk" else pathlib.Path(f"/dev/shm/vmkeep-{os.getpid()}")
    d.mkdir()
    try:
        yield d
    finally:
        shutil.rmtree(d)


# what is inside


def test_rights(box):
    groups = os.getgroups()
    os.setgroups([1, 2, 3])
    try:
        with box.waiting(oom_score_adj=321) as run:
            status = dict(line.split(":\t", 1) for line in run.proc("status").splitlines() if ":\t" in line)
            assert status["Uid"].split() == status["Gid"].split() == [str(UID)] * 4
            assert status["Groups"].split() == []
            for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(status[cap], 16) == 0, cap
            assert status["NoNewPrivs"] == "1" and status["Umask"] == "0077"
            libc_own = 3 << 31  # signals 32 and 33, which posix_spawn (of make, say) leaves ignored
            for mask in ("SigBlk", "SigIgn", "SigCgt"):
                assert int(status[mask], 16) & ~libc_own == 0, mask
            assert run.proc("oom_score_adj").strip() == "321"
            limits = run.proc("limits")
            assert re.search(r"Max core file size +0 +0 ", limits)
            assert re.search(r"Max open files +4096 +4096 ", limits)
            assert os.getsid(run.pid) == run.pid
            for ns in ("mnt", "net", "ipc", "uts"):
                assert os.readlink(f"/proc/{run.pid}/ns/{ns}") != os.readlink(f"/proc/self/ns/{ns}"), ns
            for ns in ("pid", "user"):
                assert os.readlink(f"/proc/{run.pid}/ns/{ns}") == os.readlink(f"/proc/self/ns/{ns}"), ns
            assert run.proc("environ").split("\0")[:-1] == ["PATH=/usr/bin", "LANG=C", "HOME=/", "TMPDIR=/"]
            interfaces = [line.split(":")[0].strip() for line in run.proc("net/dev").splitlines()[2:]]
            assert interfaces == ["lo"]
    finally:
        os.setgroups(groups)


def test_what_is_seen(box):
    disk, iso = box.image(), box.image("a.iso")
    iso.chmod(0o644)
    files = [box.disk(disk), box.disk(iso, "cdrom", "cdrom")]
    seen = set(box.script(f"{BUSYBOX} find / -xdev -o -path /usr -prune", files).split("\n")) - {""}
    parents = {str(p) for p in disk.parents}
    system = {p for p in ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin") if os.path.lexists(p)}
    assert seen == parents | system | {str(disk), str(iso), "/usr", "/etc", "/etc/ld.so.cache", "/dev",
                                       "/dev/null", "/dev/urandom"}
    with box.waiting(files) as run:
        table = {line.split()[4]: line.split()[5].split(",") for line in run.proc("mountinfo").splitlines()}
    usr = {p for p in table if p == "/usr" or p.startswith("/usr/")}
    assert set(table) == {"/", "/etc/ld.so.cache", str(disk), str(iso)} | usr
    assert [p for p, options in table.items() if "rw" in options] == [str(disk)]
    for p in (disk, iso):
        assert {"nosuid", "nodev", "noexec"} <= set(table[str(p)])
    assert {"nosuid", "noexec"} <= set(table["/"])


def test_only_the_disk_is_writable(box):
    disk, base = box.image(), box.image("base.img")
    base.chmod(0o666)
    script = "; ".join(
        f"(: >>{p}) 2>/dev/null && echo {p}"
        for p in [disk, base, "/x", "/dev/x", "/tmp/x", "/usr/x", "/etc/ld.so.cache", f"{box.images}/x"])
    assert box.script(script, [box.disk(disk), box.disk(base, "base", "base")]).split() == [str(disk)]
    assert box.script(f"cat {disk} >/dev/null && echo read", [box.disk(disk, write=False)]) == "read\n"


def test_device_nodes(box):
    out = box.script("ls -ln /dev/full /dev/null; head -c1 /dev/zero | wc -c; : </dev/full && echo in",
                     dev=["/dev/full", "/dev/zero"])
    assert re.search(rf"^crw------- +1 {UID} +{UID} +1, +7 .*/dev/full$", out, re.M)
    assert re.search(r"^crw-rw-rw- +1 0 +0 +1, +3 .*/dev/null$", out, re.M)
    assert out.endswith("1\nin\n")
    e = box.refuse(dev=["/dev/vmkeep-none"])
    assert (e["class"], e["desc"]) == ("NoResources", "no device /dev/vmkeep-none on this host")


def test_descriptors_take_their_numbers(box):
    pipes = [os.pipe() for _ in range(6)]
    ends = [w for _, w in pipes]
    to = [3, 5, 4, 2, 250, 40]  # among them those where the jail's own and the received ones are
    try:
        r, w = os.pipe()
        run = box.run([BUSYBOX, "cat"], [box.disk(box.image())], (*ends, r), (*to, 0))
        assert run.prepared is not None
        links = {int(n): os.readlink(f"/proc/{run.pid}/fd/{n}") for n in os.listdir(f"/proc/{run.pid}/fd")}
        want = {n: os.readlink(f"/proc/self/fd/{end}") for n, end in zip(to, ends)}
        want[0] = os.readlink(f"/proc/self/fd/{r}")
        assert links.pop(1).endswith("/dev/null")  # in a chroot the path begins outside of it
        assert links == want
        os.close(w)
        assert run.process.wait(LIMIT) == 0
        os.close(r)
    finally:
        for pair in pipes:
            for fd in pair:
                os.close(fd)


def test_nobody_listens_nothing_runs(box):
    ours, theirs = socket.socketpair()
    mark = box.image("mark", 0)
    plan = box.plan([BUSYBOX, "sh", "-c", f"echo ran >{mark}"], [box.disk(mark)])
    ours.sendall(json.dumps(plan).encode() + b"\n")
    ours.close()
    with theirs:
        p = subprocess.run([JAIL, "vm"], preexec_fn=lambda: os.dup2(theirs.fileno(), 3), pass_fds=(3,),
                           timeout=LIMIT, stderr=subprocess.DEVNULL)
    assert p.returncode == 1 and mark.read_bytes() == b""


# QEMU


@pytest.mark.skipif(not os.path.exists(QEMU), reason="qemu-system-x86 is not installed")
def test_qemu_with_a_chain(box, elsewhere):
    base = box.qcow2("base,1.qcow2")
    top = box.qcow2("top.qcow2", "-b", str(base), "-F", "qcow2")
    other = box.image(where=elsewhere)
    nodes = {"driver": "qcow2", "node-name": "d0", "file": {"driver": "file", "filename": str(top)},
             "backing": {"driver": "qcow2", "file": {"driver": "file", "filename": str(base)}}}
    raw = {"driver": "raw", "node-name": "d1", "file": {"driver": "file", "filename": str(other)}}
    files = [box.disk(top, format="qcow2", has_base=True),
             box.disk(base, "disk 'root' base", "base", format="qcow2"), box.disk(other, "disk 'b'")]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(box.tmp / "qmp"))
        server.listen()
        server.settimeout(LIMIT)
        argv = [QEMU, "-name", "guest=vm,process=vmkeep:vm,debug-threads=on", "-S", "-nodefaults", "-no-user-config",
                "-display", "none", "-accel", "tcg", "-M", "q35", "-m", "32", "-sandbox", SANDBOX,
                "-blockdev", json.dumps(nodes), "-device", "virtio-blk-pci,drive=d0",
                "-blockdev", json.dumps(raw), "-device", "virtio-blk-pci,drive=d1",
                "-chardev", "socket,id=m,fd=3,server=on,wait=off", "-mon", "m,mode=control"]
        err = open(box.tmp / "stderr", "w+")
        box.held.enter_context(err)
        run = box.run(argv, files, (server.fileno(), err.fileno()), (3, 2))
        assert run.prepared == {"disks": []}
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(LIMIT)
            c.connect(str(box.tmp / "qmp"))
            chat = c.makefile("rw")
            greeting = chat.readline()
            assert "QMP" in greeting, (box.tmp / "stderr").read_text()
            assert "Seccomp:\t2" in run.proc("status")
            for path, kind, refused in [(top, "disk", True), (base, "disk", True), (base, "base", False)]:
                again = box.run([BUSYBOX, "true"], [box.disk(path, kind=kind, format="qcow2", has_base=path == top)])
                if not refused:
                    assert again.prepared is not None
                    continue
                e = again.error
                assert e["class"] == "Conflict" and e["step"] == "locks"
                assert e["desc"] == f"disk 'root': {path} is in use by VM 'vm' (pid {run.pid})"
            e = box.refuse(box.disk(other, kind="base"))
            assert e["class"] == "Conflict" and f"(pid {run.pid})" in e["desc"]
            chat.write('{"execute": "qmp_capabilities"}{"execute": "quit"}\n')
            chat.flush()
            assert run.process.wait(LIMIT) == 0
    assert (box.tmp / "stderr").read_text() == ""


# files


def test_image_in_a_closed_home(box, elsewhere):
    """Nothing is chowned, and what is written arrives."""
    home = elsewhere / "alice"
    home.mkdir(0o700)
    disk = box.image(where=home)
    os.chown(home, 1234, 1234)
    os.chown(disk, 1234, 5678)
    out = box.script(f"stat -c '%u %g %a' {disk}; echo hello >{disk}", [box.disk(disk)])
    assert out == f"{UID} {UID} 600\n"
    st = disk.stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (1234, 5678, 0o600)
    assert disk.read_bytes()[:6] == b"hello\n"


def test_files_of_several_owners(box):
    disks = [box.image(f"{n}.img") for n in range(4)]
    for n, d in enumerate(disks):
        os.chown(d, 1000 + n // 2, 1000 + n // 3)
    files = [box.disk(d, f"disk '{d.name}'") for d in disks]
    box.script("; ".join(f"echo {d.name} >{d}" for d in disks), files)
    for n, d in enumerate(disks):
        assert d.read_text().startswith(d.name) and d.stat().st_uid == 1000 + n // 2


NAMES = ["with,comma", "with space", "quote'\"", "a=b", "100%s%n", "semi:colon", "back\\slash", "ümläut-名前",
         "x" * 251, "é" * 125, "-rf", "$(id)"]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(box, name):
    path = box.images / f"{name}.img"
    r, w = os.pipe()
    run = box.run([BUSYBOX, "dd", "bs=1", "count=1", "conv=notrunc", "if=/dev/urandom", f"of={path}"],
                  [box.disk(path, create=1 << 20)], (w,), (2,))
    os.close(w)
    with open(r) as text:
        said = text.read()
    assert run.prepared == {"disks": [{"id": "root", "created": True}]}
    assert run.process.wait(LIMIT) == 0, said
    assert path.stat().st_size == 1 << 20
    deep = box.images / name / "sub"
    deep.mkdir(parents=True)
    assert box.run([BUSYBOX, "true"], [box.disk(deep / "none")]).error["desc"].endswith("No such file")


def test_long_path(box):
    where = box.images
    while len(str(where)) < 3700:
        where = where / ("d" * 200)
    where.mkdir(parents=True)
    disk = box.image(where=where)
    box.script(f"echo long >{disk}", [box.disk(disk)])
    assert disk.read_bytes().startswith(b"long\n")
    e = box.refuse(box.disk(where / ("d" * 200) / ("d" * 200) / "disk.img"))
    assert e["class"] == "Failed" and "File name too long" in e["desc"]


def test_firmware_below_usr_and_link_outside(box, elsewhere):
    firmware = next((p for p in ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/seabios/bios.bin")
                     if os.path.exists(p)), "/usr/bin/busybox")
    disk = box.image(where=elsewhere)
    link = elsewhere / "by-id"
    link.symlink_to(disk)
    out = box.script(f"head -c1 {firmware} >/dev/null && echo fw; echo via link >{link}; ls -l {link}",
                     [box.disk(firmware, "firmware", "firmware"), box.disk(link)])
    assert out.startswith("fw\n") and "->" not in out
    assert disk.read_bytes().startswith(b"via link\n")


def test_same_base_twice(box):
    base = box.image("base")
    files = [box.disk(base, "disk 'a' base", "base"), box.disk(base, "disk 'b' base", "base")]
    assert box.script(f"head -c1 {base} | wc -c", files) == "1\n"


REFUSED = {
    # name: (how to make it, file members, class, desc, hint)
    "missing": (lambda p: None, {}, "NotFound", "disk 'root': {p}: No such file", "Size="),
    "missing cdrom": (lambda p: None, {"kind": "cdrom", "write": False}, "NotFound", "{p}: No such file", "path"),
    "gone": (lambda p: None, {"created": "2026-11-23", "create": 1 << 20}, "NotFound",
             "disk 'root' created on 2026-11-23 is missing: is {p.parent} mounted?", "mount"),
    "directory": (lambda p: p.mkdir(), {}, "InvalidConfig", "disk 'root': {p} is a directory", "image file"),
    "fifo": (os.mkfifo, {}, "InvalidConfig", "disk 'root': {p} is a FIFO", "image file"),
    "character device": (lambda p: os.mknod(p, stat.S_IFCHR | 0o600, os.makedev(1, 3)), {}, "InvalidConfig",
                         "{p} is a character device", "image file"),
    "kernel is a device": (lambda p: os.mknod(p, stat.S_IFBLK | 0o600, os.makedev(7, 0)),
                           {"kind": "kernel", "write": False}, "InvalidConfig", "{p} is a block device", "name a file"),
    "symlink": (lambda p: p.symlink_to("/etc/passwd"), {}, "InvalidConfig",
                "disk 'root': {p} is a symbolic link inside the image directory", "absolute path"),
    "dangling symlink": (lambda p: p.symlink_to("none"), {"create": 1 << 20}, "InvalidConfig",
                         "{p} is a symbolic link", ""),
    "hard link": (lambda p: (p.write_bytes(b"x" * 512), os.link(p, f"{p}2")), {}, "InvalidConfig",
                  "disk 'root': {p} has 2 names (hard links) and must have one", "copy"),
    "raw like qcow2": (lambda p: p.write_bytes(b"QFI\xfb" + bytes(508)), {}, "InvalidConfig",
                       "disk 'root': {p} begins like a qcow2 image", "Format=qcow2"),
    "no qcow2": (lambda p: p.write_bytes(bytes(512)), {"format": "qcow2"}, "InvalidConfig",
                 "disk 'root': {p} is not a qcow2 image", "Format=raw"),
    "empty as qcow2": (lambda p: p.write_bytes(b""), {"format": "qcow2"}, "InvalidConfig", "is not a qcow2 image", ""),
    "raw with a base": (lambda p: p.write_bytes(bytes(512)), {"has_base": True}, "InvalidConfig",
                        "has no backing file", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(box, case):
    make, members, cls, desc, hint = REFUSED[case]
    path = box.images / "disk, 1.img"
    make(path)
    e = box.refuse({**box.disk(path), **members})
    assert e["class"] == cls
    assert desc.format(p=path) in e["desc"]
    assert hint in e["hint"]


def test_raw_really_meant(box):
    disk = box.image(head=b"QFI\xfb")
    assert box.script("echo ok", [box.disk(disk, format_written=True)]) == "ok\n"


def test_backing_files_must_be_configured(box):
    base = box.qcow2("base.qcow2")
    top = box.qcow2("top.qcow2", "-b", "base.qcow2", "-F", "qcow2")
    e = box.refuse(box.disk(top, format="qcow2"))
    assert e["class"] == "InvalidConfig" and "has the backing file 'base.qcow2', which is not configured" in e["desc"]
    assert e["hint"] == "write Base=base.qcow2 if it is to be used"
    e = box.refuse(box.disk(base, format="qcow2", has_base=True))
    assert e["class"] == "InvalidConfig" and "has no backing file" in e["desc"] and "Base=" in e["hint"]
    evil = box.qcow2("evil.qcow2", "-u", "-b", "json:\x1b[31m{}", "-F", "qcow2")
    e = box.refuse(box.disk(evil, format="qcow2"))
    assert "\\x1b" in e["desc"] and "\x1b" not in e["desc"] + e["hint"] and "json" not in e["hint"]
    data = box.qcow2("data.qcow2", "-o", f"data_file={box.images}/data.raw")
    e = box.refuse(box.disk(data, format="qcow2"))
    assert e["class"] == "InvalidConfig" and "keeps its data in another file" in e["desc"]


def test_links_on_the_way(box):
    """Symlinked directories and .. in the image directory; an absolute path is not beneath it."""
    (box.tmp / "out").mkdir()
    box.image(where=box.tmp / "out")
    (box.images / "sub").symlink_to(box.tmp / "out")
    e = box.refuse(box.disk(box.images / "sub" / "disk.img"))
    assert e["class"] == "InvalidConfig" and f"{box.images}/sub is a symbolic link" in e["desc"]
    e = box.refuse(box.disk(box.images / "sub" / "new.img", create=1 << 20))
    assert e["class"] == "InvalidConfig" and not (box.tmp / "out" / "new.img").exists()
    e = box.refuse(box.disk(f"{box.images}/../out/disk.img"))
    assert e["step"] == "plan" and "absolute, plain path" in e["desc"]
    e = box.refuse(box.disk(box.tmp / "out" / "disk.img", beneath=True))
    assert e["class"] == "InvalidConfig" and "not in the image directory" in e["desc"]


def test_same_file_in_two_places(box, elsewhere):
    disk = box.image(where=elsewhere)
    link = elsewhere / "link"
    os.link(disk, link)
    e = box.refuse(box.disk(disk, "disk 'a'"), box.disk(link, "disk 'b'"))
    assert (e["class"], e["desc"]) == ("Conflict", f"disk 'b': {link} is the same file as disk 'a'")


# in use


def test_foreign_writer_is_named(box):
    disk = box.image()
    with subprocess.Popen([BUSYBOX, "sh", "-c", f"exec 9>>'{disk}'; echo; read x"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        for file in (box.disk(disk), box.disk(disk, kind="base")):
            e = box.refuse(file)
            assert e["class"] == "Conflict"
            assert e["desc"] == f"disk 'root': {disk} is in use by busybox (pid {p.pid})"
        p.stdin.close()
    with open(disk, "rb"):  # a reader is no harm
        assert box.script("echo ok", [box.disk(disk)]) == "ok\n"


@pytest.fixture
def loop(box):
    """A loop device on an image, or a skip with the reason."""
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


def test_block_device(box, loop):
    file, device = loop
    link = box.tmp / "vg-lv"
    link.symlink_to(device)
    out = box.script(f"stat -c '%F %u %a' {link}; echo device >{link}", [box.disk(link)])
    assert out == f"block special file {UID} 600\n"
    out = box.script(f"head -c7 {device}; (: >{device}) 2>/dev/null || echo no", [box.disk(device, write=False)])
    assert out == "device\nno\n"
    e = box.refuse(box.disk(file))
    assert e["desc"] == f"disk 'root': {file} is in use by the device {device[5:]}"


def test_block_device_in_use(box, loop):
    _, device = loop
    with box.waiting([box.disk(device)]) as run:
        e = box.refuse(box.disk(device))
        assert e["class"] == "Conflict" and e["desc"].endswith(f"{device} is in use by busybox (pid {run.pid})")
    where = box.tmp / "mnt"
    where.mkdir()
    e = box.refuse(box.disk(device), prefix=[
        "unshare", "-m", BUSYBOX, "sh", "-c", f'mount -t ext4 {device} {where} && exec "$@"', "sh"])
    assert e["class"] == "Conflict"
    assert e["desc"] == f"disk 'root': {device} is in use by a file system mounted on {where}"


# creation


def test_create(box):
    (box.images / "sub").mkdir()
    disks = [("qcow2", box.images / "a.qcow2"), ("raw", box.images / "sub" / "b.img")]
    files = [box.disk(p, format=f, create=3 << 20) | {"id": p.name} for f, p in disks]
    run = box.run([BUSYBOX, "true"], files)
    assert run.prepared == {"disks": [{"id": p.name, "created": True} for _, p in disks]}
    for fmt, p in disks:
        info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", p]))
        assert (info["format"], info["virtual-size"]) == (fmt, 3 << 20)
        assert stat.S_IMODE(p.stat().st_mode) == 0o600
    before = [p.read_bytes() for _, p in disks]
    assert box.run([BUSYBOX, "true"], files).prepared == {"disks": []}
    assert [p.read_bytes() for _, p in disks] == before
    assert {p.name for p in box.images.iterdir()} == {"a.qcow2", "sub"}


def test_image_directory_gone(box):
    disk = {"kind": "disk", "what": "disk 'root'", "path": str(box.tmp / "gone" / "a.img"), "beneath": True}
    gone = {"image_dir": str(box.tmp / "gone")}
    e = box.refuse(disk | {"created": "2026-11-23", "create": 1 << 20}, **gone)
    assert e["class"] == "NotFound"
    assert e["desc"] == f"disk 'root' created on 2026-11-23 is missing: is {box.tmp}/gone mounted?"
    e = box.refuse(disk | {"create": 1 << 20}, **gone)
    assert e["class"] == "NotFound" and f"image directory {box.tmp}/gone" in e["desc"]
    assert not (box.tmp / "gone").exists()


def test_create_refused(box, elsewhere):
    e = box.refuse(box.disk(box.images / "none" / "sub" / "a.img", create=1 << 20))
    assert e["class"] == "NotFound" and f"directory {box.images}/none does not exist" in e["desc"]
    e = box.refuse(box.disk(elsewhere / "a.img", create=1 << 20))
    assert e["class"] == "NotFound" and "image directory only" in e["hint"]
    e = box.refuse(box.disk(box.images / "a.img", create=1 << 20), qemu_img="/usr/bin/no-qemu-img")
    assert "run /usr/bin/no-qemu-img: No such file" in e["desc"]
    e = box.refuse(box.disk(box.images / "a.qcow2", format="qcow2", create=1 << 62))
    assert e["class"] == "Failed" and "qemu-img" in e["desc"]
    e = box.refuse(*[box.disk(box.images / "a.img", f"disk '{n}'", create=1 << 20) for n in "ab"])
    assert e["class"] == "Conflict"
    assert [p.name for p in box.images.iterdir()] == ["a.img"] and not list(elsewhere.iterdir())


def test_create_on_a_full_file_system(box):
    e = box.refuse(box.disk(box.images / "a.qcow2", format="qcow2", create=1 << 30), prefix=[
        "unshare", "-m", BUSYBOX, "sh", "-c",
        f'mount -t tmpfs -o size=64k none {box.images} && exec "$@"', "sh"])
    assert e["class"] == "NoResources" and str(box.images) in e["hint"]


# permission


def test_file_system_without_idmap(box):
    """overlay stands for NFS and FUSE: what the guest's uid may not do is said, with the line that cures it."""
    for d in ("lower", "over"):
        (box.tmp / d).mkdir()
    box.image("closed it's.img", where=box.tmp / "lower")
    box.image("open.img", where=box.tmp / "lower").chmod(0o666)
    prefix = ["unshare", "-m", BUSYBOX, "sh", "-c",
              f'mount -t tmpfs none {box.root.parent}/over && mkdir {box.tmp}/over/u {box.tmp}/over/w {box.tmp}/over/m '
              f'&& mount -t overlay -o lowerdir={box.tmp}/lower,upperdir={box.tmp}/over/u,workdir={box.tmp}/over/w '
              f'none {box.tmp}/over/m && exec "$@"', "sh"]
    opened, closed = (box.tmp / "over" / "m" / n for n in ("open.img", "closed it's.img"))
    e = box.refuse(box.disk(closed), prefix=prefix)
    assert e["class"] == "Permission"
    assert e["desc"] == f"disk 'root': the VM's uid {UID} may not write {closed} (owner uid 0, mode 0600)"
    quoted = str(closed).replace("'", "'\\''")
    assert e["hint"] == f"setfacl -m u:{UID}:rw '{quoted}'"
    run = box.run([BUSYBOX, "sh", "-c", f"echo x >{opened}"], [box.disk(opened)], prefix=prefix)
    assert run.prepared is not None and run.process.wait(LIMIT) == 0
    assert (box.tmp / "lower" / "open.img").read_bytes()[:1] == b"\0"  # it went to the upper layer


def test_owner_may_not_write(box):
    disk = box.image()
    disk.chmod(0o400)
    e = box.refuse(box.disk(disk))
    assert e["class"] == "Permission" and e["hint"] == f"its owner may not either: chmod u+rw {disk}"
    assert box.script("echo ok", [box.disk(disk, write=False)]) == "ok\n"


def test_root_is_refused(box, elsewhere):
    home = elsewhere / "alice"
    (home / "vm").mkdir(parents=True)
    disk = box.image(where=home / "vm")
    for p in (home, home / "vm", disk):
        os.chown(p, 1234, 1234)
    home.chmod(0o700)
    e = box.refuse(box.disk(disk), no_dac=True)
    assert e["class"] == "Permission"
    assert e["desc"] == f"disk 'root': {disk}: no permission to enter {home} (owner uid 1234, mode 0700)"
    assert e["hint"].endswith(f"chmod o+x {home}")
    home.chmod(0o711)
    e = box.refuse(box.disk(disk), no_dac=True)
    assert e["class"] == "Permission" and e["hint"] == f"setfacl -m u:{UID}:rw {disk}"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (home, disk)] == [0o711, 0o600]


# check: everything at once, nothing made


def check(box, *files, **more):
    run = box.run([BUSYBOX, "true"], files, check=True, **more)
    assert run.process.wait(LIMIT) == 0
    assert run.answers[-1] == {"checked": {}}, run.answers
    return [a["problem"] for a in run.answers if "problem" in a]


def test_check_tells_all_and_makes_nothing(box):
    good, new = box.image("good.img"), box.images / "new.img"
    assert check(box, box.disk(good), box.disk(new, "disk 'b'", create=1 << 20)) == []
    assert not new.exists()
    found = check(box, box.disk(box.images / "gone.img", "disk 'a'"), box.disk(good, "disk 'b'"),
                  box.disk(good, "disk 'c'", "base", format="qcow2", id="c"),
                  box.disk(box.images / "no/new.img", "disk 'd'", create=1 << 20))
    assert [(p["step"], p["severity"], p["class"]) for p in found] == [
        ("files", "error", "NotFound"), ("files", "error", "Conflict"), ("new images", "error", "NotFound")]
    assert [p["id"] for p in found] == ["root", "c", "root"]
    assert sorted(p.name for p in box.images.iterdir()) == ["good.img"]


def test_check_of_a_running_guest(box):
    disk = box.image()
    with box.waiting([box.disk(disk)]), open(disk, "r+b"):
        assert [p["step"] for p in check(box, box.disk(disk))] == ["locks"]
        assert check(box, box.disk(disk), running=True) == []


def test_check_counts_what_may_still_grow(box):
    small = ["unshare", "-m", BUSYBOX, "sh", "-c",
             f'mount -t tmpfs -o size=1m none {box.images} && exec "$@"', "sh"]
    new = box.disk(box.images / "new.qcow2", format="qcow2", create=1 << 30)
    problem, = check(box, new, prefix=small)
    assert (problem["severity"], problem["class"], problem["step"]) == ("warning", "NoResources", "space")
    assert "may still grow by 1G" in problem["desc"] and "make room" in problem["hint"]
    assert check(box, {**new, "create": 1 << 18}, prefix=small) == []
    sparse = ["unshare", "-m", BUSYBOX, "sh", "-c",
              f'mount -t tmpfs -o size=1m none {box.images} && cp {box.qcow2("big.qcow2", size="3G", where=box.tmp)} '
              f'{box.images}/big.qcow2 && exec "$@"', "sh"]
    problem, = check(box, box.disk(box.images / "big.qcow2", format="qcow2"), prefix=sparse)
    assert problem["step"] == "space" and "may still grow by 3" in problem["desc"]


# program and plan


def test_program(box):
    for path, hint in (("/usr/bin/no-such-qemu", "install"), ("/opt/qemu", "/usr only"),
                       ("/usr/share", "install")):
        e = box.run([path]).error
        assert e["class"] == "QemuFailed" and f"run '{path}'" in e["desc"] and hint in e["hint"], path


BAD_PLANS = [
    b"", b"{", b"\n", b"[]\n", b"null\n", b'{"version": 1}\n', b'{"a": "\xff"}\n', b'"' + b"x" * (1 << 21) + b'"\n',
    b'{"version": 1, "name": "x\\u0000"}\n', b"[" * 100000 + b"\n",
]


@pytest.mark.parametrize("text", BAD_PLANS, ids=range(len(BAD_PLANS)))
def test_bad_plan(box, text):
    e = Run(box, text).error
    assert (e["class"], e["step"]) == ("Usage", "plan")


BAD_MEMBERS = [
    {"version": 2}, {"uid": 0}, {"uid": -1}, {"uid": 1 << 32}, {"argv": []}, {"argv": ["qemu"]}, {"argv": [1]},
    {"argv": "x"}, {"fds": [3]}, {"root": "relative"}, {"root": "/"}, {"root": "/a//b"}, {"root": "/a/"},
    {"dev": [1]}, {"dev": ["null"]}, {"dev": ["/dev/null"] * 20}, {"unknown": 1},
    {"files": [{}]}, {"files": ["x"]}, {"files": [{"kind": "tape", "what": "", "path": "/x"}]},
    {"files": [{"kind": "disk", "what": "", "path": "/x", "create": -1}]},
    {"files": [{"kind": "disk", "what": "", "path": "/x/./y"}]},
    {"files": [{"kind": "disk", "what": "", "path": "/x", "format": "vmdk"}]},
]


@pytest.mark.parametrize("members", BAD_MEMBERS, ids=json.dumps)
def test_bad_members(box, members):
    e = Run(box, {**box.plan([BUSYBOX, "true"]), **members}).error
    assert (e["class"], e["step"]) == ("Usage", "plan")


def test_descriptor_numbers(box):
    r, w = os.pipe()
    try:
        for to in ([3, 3], [3, -1], [3, 1 << 20], [3], [3, "4"]):
            e = box.run([BUSYBOX, "true"], (), (r, w), to).error
            assert (e["class"], e["step"]) == ("Usage", "plan"), to
    finally:
        os.close(r)
        os.close(w)


def test_by_hand(box):
    p = subprocess.run([JAIL], capture_output=True, text=True, timeout=LIMIT)
    assert p.returncode == 1 and "is started by vmkeepd" in p.stderr


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, *sys.argv[1:]]))
