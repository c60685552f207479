# SPDX-License-Identifier: MIT
"""What goes wrong while an image is fetched: a full or read-only store, a server whose headers have no end. Nothing that is
not whole and right gets a name, and another fetch ends well. And what is told meanwhile, and [Images] of vmkeep.conf."""
import os
import sys

import pytest

import smallfs
import vmk
from test_image_fetch import server, serving, there  # noqa: F401 (a fixture)
from test_stores import place


def fetch(world, server, how, digest, *words):
    return world.vmkeep("image", "fetch", "web", server.url(how), "--digest", digest, *words, timeout=60)


@pytest.fixture
def small(daemon):
    """A store of 1 MiB."""
    where = place(daemon, "small")
    os.mkdir(where)
    daemon.exec("sh", "-ec", smallfs.mount_line(where, "1m", "700"))
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Store small]\nPath=%s\n" % where)
    yield where
    daemon.exec("umount", "-l", where)


def test_a_full_store(daemon, server, small):
    """Nothing of it stays there; where there is room, it ends well."""
    digest = server.image(fill=3 << 20)
    result = fetch(daemon, server, "get", digest, "--store", "small")
    assert result.code == 11 and "make room" in result.err, result
    assert os.listdir(daemon.inner(small) + "/images") == []
    daemon.exec("sh", "-ec", smallfs.grow_line(small, "64m"))
    assert fetch(daemon, server, "get", digest, "--store", "small").code == 0
    assert os.listdir(daemon.inner(small) + "/images") == ["web.qcow2"]


def test_a_store_that_becomes_read_only(daemon, server, small):
    daemon.exec("sh", "-ec", smallfs.grow_line(small, "64m"))
    digest = server.image()
    assert fetch(daemon, server, "cut", digest, "--store", "small").code == 1
    daemon.exec("mount", "-o", "remount,ro", small)
    assert "Read-only" in fetch(daemon, server, "get", digest, "--store", "small").err
    daemon.exec("mount", "-o", "remount,rw", small)
    assert fetch(daemon, server, "get", digest, "--store", "small").code == 0
    assert server.requests()[-1].startswith("/get/a.qcow2 bytes="), "it continued"


def test_headers_without_end(daemon, server):
    digest = server.image()
    result = fetch(daemon, server, "headers", digest)
    assert result.code and "a.qcow2" in result.err and "web.qcow2" not in there(daemon), result
    assert fetch(daemon, server, "get", digest).code == 0


def test_progress(daemon, server):
    """Half of the image is told as half, also when the fetch continues with what is there."""
    digest = server.image()
    for _ in range(2):
        daemon.ok("image", "fetch", "web", server.url("stop"), "--digest", digest, "--no-wait")
        daemon.eventually(lambda: daemon.rows("jobs")[0], lambda job: job["percent"] in (49, 50) and " of " in job["text"], 30)
        daemon.ok("job", "cancel", daemon.rows("jobs")[0]["job"])
        daemon.eventually(lambda: daemon.rows("jobs"), lambda rows: not rows)
    assert fetch(daemon, server, "get", digest).code == 0


@pytest.mark.parametrize("no_proxy", [False, True])
def test_a_proxy_of_the_environment(world, no_proxy):
    """It connects; what is fetched comes from the server."""
    with serving(world) as server:
        env = {"https_proxy": "http://127.0.0.1:%d" % server.proxy}
        world.start(env={**env, "no_proxy": "127.0.0.1"} if no_proxy else env)
        assert fetch(world, server, "get", server.image()).code == 0
        assert no_proxy != any(row == "CONNECT 127.0.0.1:%d" % server.port for row in server.requests())
        world.stop_daemon()


def images(world, *lines):
    """Writes [Images], which counts from the next fetch on."""
    world.write("vmkeep.conf", vmk.DEFAULTS + "".join("%s\n" % line for line in ("[Images]", *lines)))
    world.ok("reload")


def test_certificates_of_ones_own(daemon, server):
    """CAFile= takes the place of the host's; what is wrong with it is told, with its name."""
    digest, mine = server.image(), os.path.join(server.place, "cert.pem.crt")
    images(daemon, "CAFile=/etc/ssl/certs/ca-certificates.crt")
    assert fetch(daemon, server, "cut", digest).code == 1 and server.requests()[-1].startswith("/cut/"), "it may be there"
    daemon.exec("umount", "/etc/ssl/certs")
    asked = len(server.requests())
    for path in (mine + ".none", server.place, os.path.join(server.place, "a.qcow2"), "/etc/ssl/certs/ca-certificates.crt"):
        images(daemon, "CAFile=" + path)
        result = fetch(daemon, server, "get", digest)
        assert result.code == 1 and "CAFile=" in result.err and "certificate" in result.err, result
    assert len(server.requests()) == asked
    images(daemon, "CAFile=" + mine)
    assert fetch(daemon, server, "get", digest).code == 0


def test_a_proxy_of_the_configuration(world):
    """It takes the place of the environment's, which here is one that nobody answers for, or one with a password."""
    with serving(world) as server:
        for env in ("http://127.0.0.1:1", "http://anna:secret@127.0.0.1:1"):
            world.write("vmkeep.conf", vmk.DEFAULTS)
            world.start(env={"https_proxy": env})
            result = fetch(world, server, "get", "0" * 64)
            assert result.code and "secret" not in result.err, result
            images(world, "Proxy=http://127.0.0.1:%d" % server.proxy)
            asked = server.requests().count("CONNECT 127.0.0.1:%d" % server.port)
            assert "404" in fetch(world, server, "get", "1" * 64).err
            assert server.requests().count("CONNECT 127.0.0.1:%d" % server.port) == asked + 1
            world.stop_daemon()


@pytest.mark.parametrize("value", ["127.0.0.1:3128", "http://", "ftp://a:1", "http://anna:secret@proxy:3128", "https://anna@proxy", "http://a b"])
def test_what_a_proxy_may_not_be(daemon, value):
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Images]\nProxy=%s\n" % value)
    result = daemon.vmkeep("reload")
    assert "vmkeep.conf:4: Proxy: " in result.out + result.err and "without a user and password" in result.out + result.err, result


DEAF = "import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nprint('port', s.getsockname()[1], '.', flush=True)\nsys.stdin.read()"


def test_a_server_that_stalls(daemon, server):
    """After TimeoutSec= it is given up, wherever it stalls; what came stays, and the next fetch continues."""
    images(daemon, "TimeoutSec=2")
    digest = server.image()
    half = os.path.getsize(os.path.join(server.place, "a.qcow2")) // 2
    result = fetch(daemon, server, "stop", digest)
    assert result.code == 6 and there(daemon) == ["PARTIAL"], result
    assert fetch(daemon, server, "get", digest).code == 0
    assert server.requests()[-1] == "/get/a.qcow2 bytes=%d-" % half
    deaf = daemon.stream_of(sys.executable, "-c", DEAF)
    port = deaf.until(r"port (\d+) ").group(1)
    result = daemon.vmkeep("image", "fetch", "other", "https://127.0.0.1:%s/" % port, "--digest", "0" * 64)
    assert result.code == 6, result
    deaf.end()
