# SPDX-License-Identifier: MIT
"""`image fetch` brings an image from an https server into a store, whole and with the digest that was given, or not at all; an
interrupted fetch continues. curl sees no file but the partial one. `image list` shows what is there."""
import contextlib
import hashlib
import os
import subprocess
import sys

import pytest

import bootsector
from steps import Steps
from walk import walk

HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """Serves the directory `place`; its certificate is the only one that the world trusts."""

    def __init__(self, world):
        self.world = world
        self.place = os.path.join(world.base, "www")
        os.mkdir(self.place)
        key = os.path.join(self.place, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", key + ".crt", "-days", "2",
                        "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        certs = os.path.join(world.base, "certs")
        os.mkdir(certs)
        with open(key + ".crt", encoding="ascii") as f:
            text = f.read()
        with open(os.path.join(certs, "ca-certificates.crt"), "w", encoding="ascii") as f:
            f.write(text)
        with open(key, "a", encoding="ascii") as f:
            f.write(text)
        world.exec("mount", "--bind", certs, "/etc/ssl/certs")
        self.log = os.path.join(world.base, "requests")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(world.inside([sys.executable, os.path.join(HERE, "https.py"), self.place]),
                                            stdin=subprocess.PIPE, stdout=log)
        self.port, self.proxy = map(int, world.eventually(self.requests, len)[0].split()[1:])

    def requests(self):
        with open(self.log, encoding="ascii") as f:
            return f.read().split("\n")[:-1]  # whole ones

    def url(self, how, name="a.qcow2"):
        return "https://127.0.0.1:%d/%s/%s" % (self.port, how, name)

    def image(self, name="a.qcow2", fill=1 << 20):
        """A qcow2 image that boots, with some data behind; returns its digest."""
        path = os.path.join(self.place, name)
        with open(path + ".raw", "wb") as f:
            f.write(bootsector.boot_sector("polite", "") + os.urandom(fill))
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", path + ".raw", path], check=True)
        return self.digest(name)

    def end(self):
        self.process.stdin.close()
        self.process.wait()

    def digest(self, name="a.qcow2"):
        with open(os.path.join(self.place, name), "rb") as f:
            return "sha256:" + hashlib.sha256(f.read()).hexdigest()


@contextlib.contextmanager
def serving(world):
    server = Server(world)
    yield server
    world.exec("sh", "-c", "! mountpoint -q /etc/ssl/certs || umount /etc/ssl/certs")
    server.end()


@pytest.fixture
def server(daemon):
    """Of a daemon."""
    with serving(daemon) as server:
        yield server


def there(world):
    """Files in images/ of the store; the partial ones are called PARTIAL."""
    path = os.path.join(world.images, "images")
    names = os.listdir(path) if os.path.exists(path) else []
    return sorted("PARTIAL" if name.startswith(".fetch-") else name for name in names)


def test_from_a_server_to_a_guest(daemon, server):
    digest = server.image()
    url = server.url("get")
    daemon.ok("image", "fetch", "web", url, "--digest", digest)
    assert there(daemon) == ["web.qcow2"]
    path = os.path.join(daemon.images, "images", "web.qcow2")
    st = os.stat(path)
    assert (st.st_mode & 0o7777, st.st_uid) == (0o600, 0)
    with open(path, "rb") as ours, open(os.path.join(server.place, "a.qcow2"), "rb") as theirs:
        assert ours.read() == theirs.read()
    daemon.ok("create", "web1", "--image", "web", "--firmware", "bios", "VM.Accel=tcg", "--memory", "16M", "--network", "none", "--start")
    row, = daemon.rows("image", "list")
    assert (row["name"], row["store"], row["size"], row["vms"], row["digest"]) == ("web", "default", (1 << 20) + 512, ["web1"], digest)
    assert row["url"] == url and row["used"] > 1 << 20 and row["fetched"]
    assert daemon.json("image", "fetch", "web", url + "#sha256=" + digest[7:].upper())["changed"] is False
    assert "has an image 'web' already" in daemon.fails(3, "image", "fetch", "web", url, "--digest", "0" * 64)


@pytest.mark.parametrize("words, code, said", [
    (["http://127.0.0.1/a", "--digest", "0" * 64], 2, "no https:// URL"),
    (["file:///etc/passwd", "--digest", "0" * 64], 2, "no https:// URL"),
    (["-K/etc/passwd", "--digest", "0" * 64], 2, ""),
    (["https://127.0.0.1:1/a"], 2, "no digest"),
    (["https://127.0.0.1:1/a", "--digest", "md5:00"], 2, "not a SHA-256 digest"),
    (["https://127.0.0.1:1/a", "--digest", "0" * 65], 2, "not a SHA-256 digest"),
    (["https://127.0.0.1:1/a#sha256=../../x"], 2, "not a SHA-256 digest"),
    (["https://127.0.0.1:1/a", "--digest", "0" * 64, "--store", "nosuch"], 4, "no store 'nosuch'"),
    (["https://127.0.0.1:1/a", "--digest", "0" * 64], 1, "Failed to connect"),
    (["https://nosuch.invalid/a", "--digest", "0" * 64], 1, "Could not resolve"),
])
def test_what_is_refused(daemon, words, code, said):
    assert said in daemon.fails(code, "image", "fetch", "web", *words)
    assert "web.qcow2" not in there(daemon)


@pytest.mark.parametrize("how, said", [
    ("to/http://127.0.0.1:1/a.qcow2", "http"),
    ("to/file:///etc/passwd", "file"),
    ("get/nosuch", "404"),
])
def test_what_a_server_may_not(daemon, server, how, said):
    told = daemon.fails(1, "image", "fetch", "web", "https://127.0.0.1:%d/%s" % (server.port, how), "--digest", "0" * 64)
    assert said in told and "web.qcow2" not in there(daemon)


def test_redirects_to_https(daemon, server):
    daemon.ok("image", "fetch", "web", server.url("to", server.url("get")), "--digest", server.image())
    assert there(daemon) == ["web.qcow2"]


def test_a_certificate_that_nobody_signed(daemon, server):
    digest = server.image()
    daemon.exec("umount", "/etc/ssl/certs")
    assert "certificate" in daemon.fails(1, "image", "fetch", "web", server.url("get"), "--digest", digest)


def test_a_wrong_digest(daemon, server):
    digest = server.image()
    told = daemon.fails(1, "image", "fetch", "web", server.url("get"), "--digest", "0" * 64)
    assert digest in told and "not " + "0" * 64 in told
    assert there(daemon) == []


@pytest.mark.parametrize("kind", ["backing", "json", "data", "vmdk", "text", "empty"])
def test_hostile_images(daemon, server, kind):
    path = os.path.join(server.place, "a.qcow2")
    if kind in ("text", "empty"):
        with open(path, "wb") as f:
            f.write(b"<html>" if kind == "text" else b"")
    else:
        more = {"backing": ["-b", "/etc/passwd", "-F", "raw", "-u"],
                "json": ["-b", 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}', "-F", "raw", "-u"],
                "data": ["-o", "data_file=" + os.path.join(server.place, "d")], "vmdk": []}[kind]
        subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk" if kind == "vmdk" else "qcow2", *more, path, "1M"], check=True)
    result = daemon.vmkeep("image", "fetch", "web", server.url("get"), "--digest", server.digest())
    assert result.code and there(daemon) == [], result


@pytest.mark.parametrize("sent, said", [(100, ""), (62, "it would fill its file system, and nothing was kept")], ids=["too much", "nearly"])
def test_a_server_that_sends_without_end(daemon, server, sent, said):
    """It does not fill the store, in which guests need space; nothing is kept."""
    daemon.exec("mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", daemon.images)
    told = daemon.fails(11, "image", "fetch", "web", "https://127.0.0.1:%d/endless/%d" % (server.port, sent), "--digest", "0" * 64)
    assert said in told and "make room on the file system of %s" % daemon.images in told
    assert daemon.exec("ls", "-A", daemon.images + "/images") == ""
    assert daemon.rows("store", "list")[0]["used"] < 5
    daemon.exec("umount", "-l", daemon.images)


@pytest.mark.parametrize("url", ["https://anna:secret@127.0.0.1/a", "https://anna@127.0.0.1/a?b", "https://a:b@c"])
def test_no_password_in_a_url(daemon, url):
    assert "can be read by everybody" in daemon.fails(2, "image", "fetch", "web", url, "--digest", "0" * 64)


@pytest.mark.parametrize("end", ["cut", "stop", "daemon", "whole"])
def test_an_interrupted_fetch_continues(daemon, server, end):
    digest = server.image()
    half = os.path.getsize(os.path.join(server.place, "a.qcow2")) // 2
    if end in ("cut", "whole"):
        daemon.fails(1, "image", "fetch", "web", server.url("cut"), "--digest", digest)
    else:
        daemon.ok("image", "fetch", "web", server.url("stop"), "--digest", digest, "--no-wait")
        part = os.path.join(daemon.images, "images", ".fetch-" + digest[7:])
        daemon.eventually(lambda: os.path.exists(part) and os.path.getsize(part), lambda size: size == half)
        assert "already" in daemon.fails(3, "image", "fetch", "web", server.url("get"), "--digest", digest)
        if end == "stop":
            job, = daemon.rows("jobs")
            daemon.ok("job", "cancel", job["job"])
        else:
            daemon.kill_daemon()
            daemon.start()
        daemon.eventually(lambda: daemon.rows("jobs"), lambda rows: not rows)
    assert there(daemon) == ["PARTIAL"]
    if end == "whole":  # the server cannot continue: once more from the start
        assert "resume" in daemon.fails(1, "image", "fetch", "web", server.url("whole"), "--digest", digest)
        assert there(daemon) == []
        daemon.ok("image", "fetch", "web", server.url("whole"), "--digest", digest)
    else:
        daemon.ok("image", "fetch", "web", server.url("get"), "--digest", digest)
        assert server.requests()[-1] == "/get/a.qcow2 bytes=%d-" % half
    assert there(daemon) == ["web.qcow2"]


def test_a_partial_file_of_holes(daemon, server):
    """A curl that was taken over can make it as large as it likes: nobody reads that, the next fetch begins again."""
    digest = server.image()
    os.makedirs(os.path.join(daemon.images, "images"))
    with open(os.path.join(daemon.images, "images", ".fetch-" + digest[7:]), "wb") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(b"QFI\xfb")
        f.truncate(1 << 40)
    daemon.ok("image", "fetch", "web", server.url("get"), "--digest", digest)
    assert there(daemon) == ["web.qcow2"] and "bytes=" not in server.requests()[-1]


@walk("step", range(1, 60), some=6)
def test_the_daemon_is_killed(world, step):
    """Wherever: the image is whole, partial or not there, and the next fetch ends with the whole one alone."""
    with serving(world) as server:
        digest, steps = server.image(fill=1 << 16), Steps(world)
        words = ["image", "fetch", "web", server.url("get"), "--digest", digest]
        world.start(env=steps.env)
        steps.arm(step)
        done = world.vmkeep(*words)
        assert steps.over() or done.code == 0
        world.eventually(lambda: [line for line in world.processes().values() if "curl" in line or "--image" in line], lambda found: not found)
        assert there(world) in ([], ["PARTIAL"], ["web.qcow2"])
        world.start()
        world.ok(*words)
        assert there(world) == ["web.qcow2"] and world.rows("image", "list")[0]["digest"] == digest
        assert world.rows("jobs") == []
        world.stop_daemon()


def test_who_may(daemon, server):
    words = ["image", "fetch", "web", server.url("get"), "--digest", server.image()]
    daemon.fails(9, *words, user="bob", groups=["vmkeep-view"])
    daemon.ok(*words, user="bob", groups=["vmkeep"])
    assert daemon.rows("image", "list")[0]["name"] == "web"
    daemon.vmkeep("image", "list", user="bob", groups=["vmkeep-view"])
