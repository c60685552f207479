# SPDX-License-Identifier: MIT
"""dnsmasq in its jail: a separate uid, none of the host's files, two capabilities; it still follows changes of the
host's resolv.conf. Its confinement is read from the kernel; what it could do is tried by a program in its place."""
import json
import os
import re
import socket
import stat

import pytest

import vmk
from test_network import micro_with_nic

PLACE = "/usr/local/sbin"  # the daemon searches this directory first
NET_BIND_SERVICE, NET_ADMIN = 1 << 10, 1 << 12


def dnsmasq(world):
    return world.one("net", "show", "default")["dnsmasq"]


def test_what_the_kernel_tells(daemon):
    daemon.ok("net", "start", "default")
    proc = daemon.inner("/proc/%d/" % dnsmasq(daemon))
    status = dict(line.split(":\t", 1) for line in vmk.read_text(proc + "status").splitlines() if ":\t" in line)
    uid = json.loads(vmk.read_text(daemon.state + "/networks/default.json"))["uid"]
    assert uid == daemon.first_uid() + vmk.NETWORKS
    assert status["Uid"].split() == status["Gid"].split() == [str(uid)] * 4 and status["Groups"].split() == []
    for cap in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[cap], 16) == NET_BIND_SERVICE | NET_ADMIN, cap
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    ours = daemon.inner("/proc/%s/ns/" % daemon.exec("pidof", "vmkeepd").strip())
    for ns in ("mnt", "ipc", "uts"):
        assert os.readlink(proc + "ns/" + ns) != os.readlink(ours + ns), ns
    assert os.readlink(proc + "ns/net") == os.readlink(ours + "net")
    mounts = {line.split()[4]: line.split()[5].split(",") for line in vmk.read_text(proc + "mountinfo").splitlines()}
    own, leases = daemon.run + "/networks/default.d", daemon.state + "/networks/default.leases"
    usr = {p for p in mounts if p == "/usr" or p.startswith("/usr/")}
    assert set(mounts) - usr - {"/dev/log"} == {"/", "/etc/ld.so.cache", own, leases}
    assert [p for p, options in mounts.items() if "rw" in options] == [leases]
    limits = vmk.read_text(proc + "limits")
    for name, most in (("open files", 1024), ("processes", 64), ("file size", 8 << 20), ("core file size", 0)):
        assert re.search(r"Max %s +%d +%d " % (name, most, most), limits), name
    held = [os.stat(proc + "fd/" + fd) for fd in os.listdir(proc + "fd")]  # paths are unreliable in a chroot
    assert {(st.st_dev, st.st_ino) for st in held if stat.S_ISREG(st.st_mode)} <= {
        (os.stat(leases).st_dev, os.stat(leases).st_ino)}
    assert {st.st_rdev for st in held if stat.S_ISCHR(st.st_mode)} <= {os.makedev(1, 3)}
    assert not [st for st in held if stat.S_ISDIR(st.st_mode) or stat.S_ISBLK(st.st_mode)]
    assert os.stat(leases).st_uid == uid
    daemon.ok("net", "stop", "default")
    assert not os.path.exists(own)


def test_uid_is_kept_and_nobody_elses(world):
    """Each network has its own; one that the host has assigned since then is not used again."""
    world.start()
    world.write("lab.network", "[Network]\nBridge=lab0\nAddress=10.7.0.1/24\n")
    for name in ("default", "lab"):
        world.ok("net", "start", name)

    def uids():
        return [json.loads(vmk.read_text(world.state + "/networks/%s.json" % n))["uid"] for n in ("default", "lab")]
    before = uids()
    assert len(set(before)) == 2
    for name in ("default", "lab"):
        world.ok("net", "stop", name)
    with open(os.path.join(world.base, "passwd"), "a", encoding="utf-8") as f:
        f.write("early:x:%d:100::/:/bin/sh\n" % before[0])
    for name in ("lab", "default"):
        world.ok("net", "start", name)
    after = uids()
    assert after[1] == before[1] and after[0] not in before


# A name server on 127.0.0.1 in the world, which gives the same answer to every query.

def answer(query, address):
    end = query.index(b"\0", 12) + 5
    return (query[:2] + b"\x81\x80" + query[4:6] + b"\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4"
            + socket.inet_aton(address))


@pytest.fixture
def upstreams(daemon):
    """Two name servers, on 127.0.0.53 and .54; they end with the world."""
    code = ("import socket,sys\nsys.path.insert(0, %r)\nfrom test_dnsmasq import answer\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind((sys.argv[1], 53))\nprint('up', flush=True)\n"
            "while True:\n    q, a = s.recvfrom(4096)\n    s.sendto(answer(q, sys.argv[2]), a)\n"
            % os.path.dirname(os.path.abspath(__file__)))
    for name, says in (("127.0.0.53", "192.0.2.53"), ("127.0.0.54", "192.0.2.54")):
        daemon.stream_of("/usr/bin/python3", "-c", code, name, says).until("up\n")
    yield daemon
    for stream in daemon.streams:
        stream.end()


def ask(world, name="example.org"):
    """Queries dnsmasq with a new name each time, because answers are cached."""
    ask.serial = getattr(ask, "serial", 0) + 1
    code = ("import socket,sys\nn=sys.argv[1].split('.')\n"
            "q=b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0'+b''.join(bytes([len(p)])+p.encode() for p in n)+b'\\0\\0\\1\\0\\1'\n"
            "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(2)\ns.sendto(q,('192.168.122.1',53))\n"
            "try:\n    print(socket.inet_ntoa(s.recv(4096)[-4:]))\nexcept TimeoutError:\n    print('nothing')\n")
    return world.exec("/usr/bin/python3", "-c", code, "n%d.%s" % (ask.serial, name)).strip()


def test_resolv_conf_may_change(upstreams):
    """resolv.conf may be replaced by a rename, or be a link to a file that changes, also while no daemon runs."""
    world = upstreams
    etc = world.base + "/etc"
    for path in (etc, etc + "/upper", etc + "/work", etc + "/elsewhere"):
        os.mkdir(path)
    world.exec("mount", "-t", "tmpfs", "none", etc)
    world.exec("mkdir", etc + "/upper", etc + "/work", etc + "/elsewhere")
    world.exec("mount", "-t", "overlay", "-o", "lowerdir=/etc,upperdir=%s/upper,workdir=%s/work" % (etc, etc), "none", "/etc")
    world.stop_daemon()  # it watches the /etc that it finds when it starts
    world.exec("sh", "-c", "rm -f /etc/resolv.conf; echo nameserver 127.0.0.53 >/etc/resolv.conf")
    world.start()
    world.ok("net", "start", "default")
    pid = dnsmasq(world)
    assert ask(world) == "192.0.2.53"

    def now(address):
        world.eventually(lambda: ask(world), lambda says: says == address, timeout=10)
    world.exec("sh", "-c", "echo nameserver 127.0.0.54 >/etc/resolv.new; mv /etc/resolv.new /etc/resolv.conf")
    now("192.0.2.54")
    world.exec("sh", "-c", "echo nameserver 127.0.0.53 >%s/elsewhere/stub.conf; ln -sf %s/elsewhere/stub.conf /etc/resolv.conf"
               % (etc, etc))
    now("192.0.2.53")
    world.exec("sh", "-c", "cd %s/elsewhere; echo nameserver 127.0.0.54 >new; mv new stub.conf" % etc)
    now("192.0.2.54")
    world.kill_daemon()
    world.exec("sh", "-c", "rm -f /etc/resolv.conf; echo nameserver 127.0.0.53 >/etc/resolv.conf")
    assert ask(world) == "192.0.2.54"
    world.start()
    now("192.0.2.53")
    assert dnsmasq(world) == pid
    world.ok("net", "stop", "default")
    world.exec("umount", "-l", "/etc")
    world.exec("umount", "-l", etc)


def test_tcp(daemon):
    """Each TCP connection is a child process; more are allowed at a time than guests need."""
    daemon.ok("net", "start", "default")
    code = ("import socket,struct\nq=b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6nobody\\2vm\\x08internal\\0\\0\\1\\0\\1'\n"
            "c=[socket.create_connection(('192.168.122.1',53),5) for _ in range(8)]\n"
            "for s in c:\n    s.sendall(struct.pack('>H',len(q))+q)\n    print(s.recv(4096)[5]&15)\n")
    assert daemon.exec("/usr/bin/python3", "-c", code).split() == ["3"] * 8


SYSLOG = """
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("/run/log")
os.chmod("/run/log", 0o666)
print("up", flush=True)
while True:
    print(s.recv(4096), flush=True)
"""


def test_log(world):
    """Its messages reach the host's syslog, whose socket may be a symbolic link."""
    with world.devices():
        world.exec("ln", "-s", "/run/log", "/dev/log")
        log = world.stream_of("/usr/bin/python3", "-c", SYSLOG)
        log.until("up\n")
        world.start()
        world.ok("net", "start", "default")
        log.until(r"dnsmasq\[%d\]: started, version" % dnsmasq(world))
        log.end()
        world.ok("net", "stop", "default")


def test_one_that_hangs_as_it_starts(daemon):
    """The error says what was waited for, not how dnsmasq was ended."""
    daemon.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PLACE)
    path = daemon.inner(PLACE + "/dnsmasq")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nexec sleep 1000\n")
    os.chmod(path, 0o755)
    assert "dnsmasq: did not listen within 10 s and was killed" in daemon.fails(1, "net", "start", "default")
    daemon.exec("umount", "--lazy", PLACE)
    daemon.ok("net", "start", "default")


CURIOUS = """#!/usr/bin/python3
import errno, fcntl, json, os, signal, socket, sys
def attempt(function, *arguments):
    try:
        return repr(function(*arguments))
    except OSError as e:
        return errno.errorcode[e.errno]
conf = sys.argv[-1].split("=", 1)[1]
own = os.path.dirname(conf)
found = {
    "fds": [fd for fd in range(256) if attempt(os.fstat, fd) != "EBADF"],
    "uid": os.getresuid(), "root": sorted(os.listdir("/")), "dev": sorted(os.listdir("/dev")),
    "own": attempt(os.open, conf, os.O_RDONLY).isdigit(), "above": os.listdir(os.path.dirname(own)),
    "read": [attempt(os.open, p, os.O_RDONLY) for p in AIM["files"]],
    "make": [attempt(os.open, p, os.O_WRONLY | os.O_CREAT) for p in ("/x", own + "/x", own + "/hosts/x", conf, "/usr/x")],
    "swap": [attempt(os.unlink, conf), attempt(os.symlink, "/etc/shadow", own + "/x"), attempt(os.rename, own, own + "2")],
    "kill": [attempt(os.kill, p, signal.SIGKILL) for p in AIM["pids"]],
    "setuid": attempt(os.setuid, 0), "chroot": attempt(os.chroot, "/"),
    "raw": attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1),
    "families": [attempt(socket.socket, f, socket.SOCK_DGRAM) for f in (17, 38, 40, 44)],
    "netfilter": attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 12),
    "route": attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0).startswith("<socket"),
    "unix": [attempt(socket.socket(socket.AF_UNIX).connect, p) for p in AIM["sockets"]]}
print("dnsmasq: " + json.dumps(found), file=sys.stderr)
sys.exit(1)
"""


def test_a_program_in_its_place(daemon):
    micro_with_nic(daemon, "a")
    daemon.micro("good", "echo")
    daemon.up("good")
    files = ["/etc/passwd", "/etc/shadow", "/etc/resolv.conf", daemon.images + "/good.raw", daemon.config + "/a.vm",
             daemon.state + "/vms/good/identity.json", daemon.state + "/networks/default.json", daemon.run + "/control.sock",
             daemon.run + "/networks/default.json", "/proc/1/environ", "/dev/mem", "/dev/net/tun"]
    aim = {"files": files, "pids": [1, int(daemon.exec("pidof", "vmkeepd")), daemon.info("good")["pid"]],
           "sockets": [daemon.socket, daemon.run + "/vms/good/qmp.sock", "/run/systemd/private"]}
    daemon.exec("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", PLACE)
    path = daemon.inner(PLACE + "/dnsmasq")
    said = {}
    for key in re.findall(r'"(\w+)": (?=attempt|\[|os|sorted)', CURIOUS):  # the messages are a line of 200 bytes
        with open(path, "w", encoding="utf-8") as f:
            f.write(CURIOUS.replace("AIM", repr(aim)).replace("json.dumps(found)", "json.dumps(found[%r])" % key))
        os.chmod(path, 0o755)
        text = daemon.fails(1, "net", "start", "default")
        said[key] = json.loads(re.search(r"start dnsmasq: (.*)", text).group(1))
    daemon.exec("umount", "--lazy", PLACE)
    uid = json.loads(vmk.read_text(daemon.state + "/networks/default.json"))["uid"]
    assert said["uid"] == [uid] * 3 and said["own"] is True and said["above"] == ["default.d"]
    assert set(said["dev"]) <= {"null", "urandom", "log"} and "proc" not in said["root"] and "home" not in said["root"]
    assert set(said["read"]) == {"ENOENT"} and set(said["make"]) <= {"EROFS", "EACCES"}
    assert set(said["swap"]) <= {"EROFS", "EBUSY", "EACCES"}
    assert set(said["kill"]) == {"EPERM"} and said["setuid"] == "EPERM" and said["chroot"] == "EPERM"
    assert said["raw"] == "EPERM" and said["route"] is True
    assert set(said["families"]) == {"EAFNOSUPPORT"} and said["netfilter"] == "EAFNOSUPPORT"
    assert set(said["unix"]) == {"ENOENT"}
    assert said["fds"] == [0, 1, 2]
    daemon.ok("start", "a")
    assert daemon.info("good")["state"] == "running"


def test_its_record_is_lost(daemon):
    """A dnsmasq missing in the network's record is found through its pid file, and ended before another is started."""
    daemon.ok("net", "start", "default")
    pid = dnsmasq(daemon)
    daemon.kill_daemon()
    os.unlink(daemon.run + "/networks/default.json")
    daemon.exec("ip", "link", "del", "virbr0")
    daemon.exec("nft", "flush", "ruleset")
    daemon.start()
    daemon.ok("net", "start", "default")
    assert dnsmasq(daemon) != pid and pid not in daemon.processes()
