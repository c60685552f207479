# SPDX-License-Identifier: MIT
"""The catalogue: `image fetch NAME` and `create --image NAME` take the digest from where the entry says, signed if it names
a keyring, and then nothing else is accepted; `image list` says what was proved. Bad entries cost only themselves."""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from test_image_fetch import server, there  # noqa: F401 (a fixture)
from test_stores import place, stores

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQ me"


class Signer:
    """A key, and its keyring."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="vk")
        self.gpg("--passphrase", "", "--quick-gen-key", "test@example.org", "ed25519", "sign", "never")
        self.keyring = os.path.join(self.home, "keyring.gpg")
        self.gpg("--output", self.keyring, "--export")
        os.chmod(self.home, 0o755)

    def gpg(self, *argv):
        subprocess.run(["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", *argv], check=True, capture_output=True)

    def end(self):
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def signer():
    signer = Signer()
    yield signer
    signer.end()


def entry(world, text, name="web"):
    where = os.path.join(world.config, "images.d")
    os.makedirs(where, exist_ok=True)
    with open("%s/%s.ini" % (where, name), "w", encoding="utf-8") as f:
        f.write(text)


def write(server, name, text):
    path = os.path.join(server.place, name)
    with open(path, "w" if isinstance(text, str) else "wb") as f:
        f.write(text)
    return path


def digest(server, algorithm="sha256"):
    with open(os.path.join(server.place, "a.qcow2"), "rb") as f:
        return hashlib.new(algorithm, f.read()).hexdigest()


def published(world, server, text="%s *a.qcow2\n", algorithm="sha256", **keys):
    """An image, a checksum file among other lines, and an entry; returns the digest."""
    server.image()
    found = digest(server, algorithm)
    write(server, "SUMS", "%s *other\n\n" % ("0" * 64) + text % found)
    keys = {"URL": server.url("get"), "Checksums": server.url("get", "SUMS"), "User": "admin", **keys}
    entry(world, "[Image]\n" + "".join("%s=%s\n" % row for row in keys.items() if row[1]))
    return "%s:%s" % (algorithm, found)


def row(world, name="web"):
    return next(row for row in world.rows("image", "list") if row["name"] == name)


@pytest.mark.parametrize("text, algorithm", [
    ("%s  a.qcow2\n", "sha256"), ("%s *a.qcow2", "sha512"), ("SHA256 (a.qcow2) = %s\n", "sha256"), ("%s  ./a.qcow2\r\n", "sha512")])
def test_https_alone(daemon, server, text, algorithm):
    found = published(daemon, server, text, algorithm, Description="An image")
    before = row(daemon)
    assert (before["state"], before["store"], before["digest"], before["proof"]) == ("available", None, None, "https")
    assert daemon.ok("image", "fetch", "web") == "web: fetched into store default\n"
    assert there(daemon) == ["web.qcow2"]
    after = row(daemon)
    assert [after[key] for key in ("state", "store", "digest", "proof", "user", "description")] == [
        "ready", "default", found, "https", "admin", "An image"]
    assert daemon.ok("image", "fetch", "web") == "web: already in store default\n"


def test_a_digest_of_the_entry(daemon, server):
    server.image()
    entry(daemon, "[Image]\nURL=%s\nDigest=sha512:%s\n" % (server.url("get"), digest(server, "sha512").upper()))
    assert row(daemon)["proof"] == "catalogue"
    daemon.ok("image", "fetch", "web")
    assert row(daemon)["proof"] == "catalogue" and there(daemon) == ["web.qcow2"]


@pytest.mark.parametrize("clear", [False, True])
def test_signed(daemon, server, signer, clear):
    found = published(daemon, server, Keyring=signer.keyring, Signature=None if clear else server.url("get", "SUMS.sig"))
    path = os.path.join(server.place, "SUMS")
    if clear:  # what is outside of the signed part does not count
        signer.gpg("--output", path + ".asc", "--clearsign", path)
        with open(path + ".asc", encoding="ascii") as f:
            write(server, "SUMS", "%s *a.qcow2\n" % ("0" * 64) + f.read())
    else:
        signer.gpg("--output", path + ".sig", "--detach-sign", path)
    assert row(daemon)["proof"] == "signature"
    daemon.ok("image", "fetch", "web")
    assert (row(daemon)["proof"], row(daemon)["digest"]) == ("signature", found)


def unsigned(server, signer):
    write(server, "SUMS.sig", "")


def inline(server, signer):
    """A signature that has a text of its own."""
    signer.gpg("--output", os.path.join(server.place, "SUMS.sig"), "--sign", os.path.join(server.place, "SUMS"))
    write(server, "SUMS", "%s  a.qcow2\n" % digest(server))


def changed(server, signer):
    detached(server, signer)
    write(server, "SUMS", "%s  a.qcow2\n" % digest(server))


def other_key(server, signer):
    other = Signer()
    detached(server, other)
    other.end()


def detached(server, signer):
    path = os.path.join(server.place, "SUMS")
    signer.gpg("--output", path + ".sig", "--detach-sign", path)


def no_keyring(server, signer):
    detached(server, signer)
    os.unlink(signer.keyring)


def empty_keyring(server, signer):
    detached(server, signer)
    with open(signer.keyring, "w"):
        pass


@pytest.mark.parametrize("make, said", [
    (unsigned, "no good signature"), (inline, "detached signature"), (changed, "BAD signature"), (other_key, "No public key"),
    (no_keyring, "keyring.gpg"), (empty_keyring, "no good signature"),
    (lambda s, k: None, "404"),
    (lambda s, k: write(s, "SUMS.sig", "x" * (2 << 20)), ""),
], ids=lambda x: getattr(x, "__name__", "")[:20])
def test_no_good_signature(daemon, server, signer, make, said):
    published(daemon, server, Keyring=signer.keyring, Signature=server.url("get", "SUMS.sig"))
    make(server, signer)
    result = daemon.vmkeep("image", "fetch", "web")
    assert result.code == 1 and said in result.err and result.err.count("\n") < 4, result
    assert there(daemon) == [], "it was not even begun"
    daemon.vmkeep("create", "a", "--image", "web")
    assert not os.path.exists(os.path.join(daemon.config, "a.vm"))


@pytest.mark.parametrize("text, said", [
    ("%s  b.qcow2\n", "has no digest of"), ("%s  x/a.qcow2\n", "has no digest of"), ("%s a.qcow2.sig\n", "has no digest of"),
    ("%.10s  a.qcow2\n", "has no digest of"), ("", "has no digest of"), ("%s  a.qcow2\nbig", ""),
    ("0000000000%.54s  a.qcow2\n", "the digest is wrong"),
])
def test_no_good_digest(daemon, server, text, said):
    published(daemon, server)
    text = text.replace("big", "x" * (2 << 20))
    write(server, "SUMS", text % digest(server) if "%" in text else text)
    assert said in daemon.fails(1, "image", "fetch", "web") and there(daemon) == []


@pytest.mark.parametrize("text, said", [
    ("[Image]\n", "missing in [Image]"), ("", None), ("[Image]\nURL=http://a/b\nDigest=sha256:%s\n" % ("0" * 64), "https"),
    ("[Image]\nURL=https://a/b\n", "or Digest="), ("[Image]\nURL=https://a/b\nChecksums=https://a/c\nSignature=https://a/d\n", "Keyring="),
    ("[Image]\nURL=https://a/b\nDigest=sha256:00\n", "sha512"), ("[Image]\nURL=https://a/b\nChecksum=https://a/c\n", "Checksums"),
    ("[Disk root]\n", "Disk"), ("\0", ""),
])
def test_bad_entries(daemon, text, said):
    """They cost only themselves."""
    entry(daemon, "[Image]\nURL=https://127.0.0.1:1/a\nDigest=sha256:%s\n" % ("0" * 64), "other")
    entry(daemon, text)
    assert row(daemon, "other")["state"] == "available"
    if said is None:  # empty: hidden
        assert len(daemon.rows("image", "list")) == 1
        daemon.fails(4, "image", "fetch", "web")
    else:
        bad = row(daemon)
        assert bad["state"] == "unusable" and said in bad["description"] and "web.ini" in bad["description"], bad
        assert said in daemon.fails(2, "image", "fetch", "web")
    assert "Failed to connect" in daemon.fails(1, "image", "fetch", "other")


def test_an_entry_that_others_may_write(daemon):
    entry(daemon, "[Image]\nURL=https://127.0.0.1:1/a\nDigest=sha256:%s\n" % ("0" * 64))
    os.chmod(os.path.join(daemon.config, "images.d/web.ini"), 0o666)
    assert "others may write it" in row(daemon)["description"]
    assert "others may write it" in daemon.fails(2, "image", "fetch", "web")


def test_one_directory_before_the_other(world):
    dirs = [os.path.join(world.base, name) for name in ("a", "b", "none")]
    for where, names in zip(dirs, (("x", "y", "z"), ("y", "z"))):
        os.mkdir(where)
        for name in names:
            with open("%s/%s.ini" % (where, name), "w", encoding="ascii") as f:
                f.write("" if (where, name) == (dirs[1], "z") else
                        "[Image]\nURL=https://%s/a\nDigest=sha256:%s\n" % (os.path.basename(where), "0" * 64))
    done = subprocess.run([world.program("vmkeepd"), "--image"], input=json.dumps({"do": "catalogue", "dirs": dirs}),
                          capture_output=True, text=True, check=True)
    assert [(e["name"], e["url"], e["problem"]) for e in json.loads(done.stdout)["entries"]] == [
        ("x", "https://a/a", None), ("y", "https://b/a", None)]


def test_who_may(daemon, server):
    published(daemon, server)
    daemon.fails(9, "image", "fetch", "web", user="bob", groups=["vmkeep-view"])
    daemon.fails(9, "create", "bob1", "--image", "web", user="bob", groups=["vmkeep-create"])
    assert there(daemon) == []
    daemon.ok("image", "fetch", "web", user="bob", groups=["vmkeep"])


# create


def create(world, *words, **how):
    return world.ok("create", *words, "--firmware", "bios", "--network", "none", "--memory", "16M", "VM.Accel=tcg", **how)


def test_create_fetches(daemon, server):
    published(daemon, server)
    assert "fetched into" not in daemon.vmkeep("create", "web1", "--image", "web", "--dry-run").out and there(daemon) == []
    out = create(daemon, "web1", "--image", "web", "--ssh-key", KEY, "--start")
    assert "web: fetched into store default\n" in out and "web1: running" in out
    assert "User=admin" in daemon.ok("cat", "web1") and row(daemon)["vms"] == ["web1"]
    n = len(server.requests())
    assert "fetched" not in create(daemon, "web2", "--image", "web", "--ssh-key", KEY, "--user", "eve")
    assert len(server.requests()) == n and "User=eve" in daemon.ok("cat", "web2")


@pytest.mark.parametrize("words", [["Disk.root.Store=nas"], ["--disk", "size=2M,store=nas"]])
def test_create_fetches_into_the_disks_store(daemon, server, words):
    stores(daemon, nas="")
    published(daemon, server)
    answer, = daemon.json("create", "web1", "--image", "web", *words)
    assert answer["file"].endswith("web1.vm") and os.listdir(place(daemon) + "/images") == ["web.qcow2"]


def test_create_with_a_url(daemon, server):
    found = server.image()
    daemon.fails(2, "create", "web1", "--image", server.url("get"))
    assert "the digest is wrong" in daemon.fails(1, "create", "web1", "--image", server.url("get"), "--digest", "0" * 64)
    assert "does not end with a name" in daemon.fails(2, "create", "web1", "--image", "https://127.0.0.1/", "--digest", found)
    assert "--digest" in daemon.fails(2, "create", "web1", "--image", "web", "--digest", found)
    assert not os.path.exists(os.path.join(daemon.config, "web1.vm"))
    create(daemon, "web1", "--image", server.url("get"), "--digest", found)
    create(daemon, "web2", "--image", server.url("get") + "#sha256=" + found[7:])
    assert row(daemon, "a")["vms"] == ["web1", "web2"] and row(daemon, "a")["proof"] == "digest"
