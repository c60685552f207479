# SPDX-License-Identifier: MIT
"""What a program in the jail sees and may do, and that the files outside are not changed."""
import json
import os
import re
import socket
import stat
import subprocess

import pytest

from jail import box, BUSYBOX, elsewhere, JAIL, LIMIT, pytestmark, QEMU, SANDBOX, UID  # noqa: F401 (fixtures are used by name)


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
            libc_own = 3 << 31  # signals 32 and 33, which posix_spawn (as used by make) leaves ignored
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
    seen = set(box.output([BUSYBOX, "find", "/", "-xdev", "-o", "-path", "/usr", "-prune"], files).split("\n")) - {""}
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
    paths = [str(p) for p in (disk, base, "/x", "/dev/x", "/tmp/x", "/usr/x", "/etc/ld.so.cache", f"{box.images}/x")]
    script = f"print([p for p in {paths} if add(p) is None])"
    assert box.python(script, [box.disk(disk), box.disk(base, "base", "base")]) == f"['{disk}']\n"
    assert box.python(f"print(len(first('{disk}', 9)))", [box.disk(disk, write=False)]) == "9\n"


def test_device_nodes(box):
    out = box.python("""for p in ("/dev/full", "/dev/null"):
    print(show(p), stat.S_ISCHR(os.stat(p).st_mode), os.major(os.stat(p).st_rdev), os.minor(os.stat(p).st_rdev))
print(len(first("/dev/zero", 7)), len(first("/dev/full", 1)))""", dev=["/dev/full", "/dev/zero"])
    assert out == f"{UID} {UID} 600 True 1 7\n0 0 666 True 1 3\n7 1\n"
    e = box.refuse(dev=["/dev/vmkeep-none"])
    assert (e["class"], e["desc"]) == ("NoResources", "no device /dev/vmkeep-none on this host")


def test_descriptors_take_their_numbers(box):
    pipes = [os.pipe() for _ in range(6)]
    ends = [w for _, w in pipes]
    to = [3, 5, 4, 2, 250, 40]  # including those of the jail's own descriptors and of the received ones
    try:
        r, w = os.pipe()
        run = box.run([BUSYBOX, "cat"], [box.disk(box.image())], (*ends, r), (*to, 0))
        assert run.prepared
        links = {int(n): os.readlink(f"/proc/{run.pid}/fd/{n}") for n in os.listdir(f"/proc/{run.pid}/fd")}
        want = {n: os.readlink(f"/proc/self/fd/{end}") for n, end in zip(to, ends)}
        want[0] = os.readlink(f"/proc/self/fd/{r}")
        assert links.pop(1).endswith("/dev/null")  # the path begins outside the chroot
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
        assert run.prepared
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(LIMIT)
            c.connect(str(box.tmp / "qmp"))
            chat = c.makefile("rw")
            greeting = chat.readline()
            assert "QMP" in greeting, (box.tmp / "stderr").read_text()
            # a separate thread sends the greeting, maybe before the devices have opened their disks; the main loop
            # answers after that
            chat.write('{"execute": "qmp_capabilities"}\n')
            chat.flush()
            assert json.loads(chat.readline()) == {"return": {}}
            assert "Seccomp:\t2" in run.proc("status")
            for path, kind, refused in [(top, "disk", True), (base, "disk", True), (base, "base", False)]:
                again = box.run([BUSYBOX, "true"], [box.disk(path, kind=kind, format="qcow2", has_base=path == top)])
                if not refused:
                    assert again.prepared
                    continue
                e = again.error
                assert e["class"] == "Conflict" and e["step"] == "locks"
                assert e["desc"] == f"disk 'root': {path} is in use by VM 'vm' (pid {run.pid})"
            e = box.refuse(box.disk(other, kind="base"))
            assert e["class"] == "Conflict" and f"(pid {run.pid})" in e["desc"]
            chat.write('{"execute": "quit"}\n')
            chat.flush()
            assert run.process.wait(LIMIT) == 0
    assert (box.tmp / "stderr").read_text() == ""


# files


def test_image_in_a_closed_home(box, elsewhere):
    """F72: no owner is changed, and what the guest writes reaches the file."""
    home = elsewhere / "alice"
    home.mkdir(0o700)
    disk = box.image(where=home)
    os.chown(home, 1234, 1234)
    os.chown(disk, 1234, 5678)
    out = box.python(f"print(show('{disk}')); print('hello', file=open('{disk}', 'r+'))", [box.disk(disk)])
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
    assert run.prepared
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
    out = box.python(f"open('{firmware}', 'rb').read(1); print('via link', file=open('{link}', 'r+'))\n"
                     f"print(os.path.islink('{link}'))",
                     [box.disk(firmware, "firmware", "firmware"), box.disk(link)])
    assert out == "False\n"
    assert disk.read_bytes().startswith(b"via link\n")


def test_same_base_twice(box):
    base = box.image("base")
    files = [box.disk(base, "disk 'a' base", "base"), box.disk(base, "disk 'b' base", "base")]
    assert box.python(f"print(len(first('{base}', 1)))", files) == "1\n"
