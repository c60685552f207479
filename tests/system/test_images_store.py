# SPDX-License-Identifier: MIT
"""`create --image` writes the file of a VM whose disk is an overlay on an image in a store; an image that is not there, is no
image or is not one by itself is refused, and nothing is written."""
import os

import pytest

from test_create import OURS, create, names
from test_edit import text


@pytest.fixture
def debian(daemon):
    """A daemon with images/debian-13.qcow2, which boots."""
    os.mkdir(os.path.join(daemon.images, "images"), 0o700)
    daemon.image("images/debian-13.qcow2", size=2 << 20)
    return daemon


def test_many_vms_from_one_image(debian):
    image = os.path.join(debian.images, "images", "debian-13.qcow2")
    before = open(image, "rb").read()
    for name in ("web1", "web2"):
        create(debian, name, "--image", "debian-13", "--memory", "16M", "--network", "none", "--start")
        assert "\n[Disk root]\nBase=images/debian-13.qcow2\nSize=2M\n" in text(debian, name + ".vm")
        assert debian.info(name)["state"] == "running"
    assert sorted(os.listdir(debian.images)) == ["images", "web1-root.qcow2", "web2-root.qcow2"]
    assert open(image, "rb").read() == before


def test_sizes(debian):
    shown = debian.one("create", "web1", "--image", "images/debian-13.qcow2", "--disk", "20G", "--disk", "1G", "--dry-run")["text"]
    assert "\n[Disk root]\nBase=images/debian-13.qcow2\nSize=20G\n\n[Disk data]\nSize=1G\n" in shown
    for size in ("1M", "size=1M"):
        assert "a disk of 1M is too small for the image, which has 2M" in debian.fails(
            2, "create", "web1", "--image", "debian-13", "--disk", size)
    assert names(debian) == []


def test_in_another_store(debian):
    other = os.path.join(debian.base, "fast")
    os.makedirs(os.path.join(other, "images"))
    os.rename(os.path.join(debian.images, "images", "debian-13.qcow2"), os.path.join(other, "images", "debian-13.qcow2"))
    with open(os.path.join(debian.config, "vmkeep.conf"), "a", encoding="utf-8") as f:
        f.write("\n[Store fast]\nPath=%s\n" % other)
    debian.ok("reload")
    assert "store 'default' has no image 'images/debian-13.qcow2'" in debian.fails(4, "create", "web1", "--image", "debian-13")
    assert "has no store 'slow'" in debian.fails(4, "create", "web1", "--image", "debian-13", "--disk", "2M,store=slow")
    create(debian, "web1", "--image", "debian-13", "--disk", "store=fast", "--memory", "16M", "--network", "none", "--start")
    assert sorted(os.listdir(other)) == ["images", "web1-root.qcow2"]


@pytest.mark.parametrize("image, code, said", [
    ("nosuch", 4, "has no image 'images/nosuch.qcow2'"),
    ("/etc/passwd", 2, "not in a store"),
    ("../../etc/passwd", 1, "open image"),
    ("images/link.qcow2", 1, "open image"),
    ("images/folder.qcow2", 1, "not a regular file"),
    ("images/fifo.qcow2", 1, "not a regular file"),
    ("images/text.qcow2", 1, "not a qcow2 image"),
    ("images/short.qcow2", 1, "not a qcow2 image"),
    ("images/empty.img", 1, "is empty"),
    ("images/overlay.qcow2", 1, "is itself based on another image"),
])
def test_what_is_refused(debian, image, code, said):
    here = os.path.join(debian.images, "images")
    os.symlink("debian-13.qcow2", os.path.join(here, "link.qcow2"))
    os.mkdir(os.path.join(here, "folder.qcow2"))
    os.mkfifo(os.path.join(here, "fifo.qcow2"))
    for name, content in (("text.qcow2", b"x" * 512), ("short.qcow2", b"QFI\xfb"), ("empty.img", b"")):
        with open(os.path.join(here, name), "wb") as f:
            f.write(content)
    debian.exec("qemu-img", "create", "-q", "-f", "qcow2", "-b", "debian-13.qcow2", "-F", "qcow2", os.path.join(here, "overlay.qcow2"))
    for words in ([], ["--dry-run"]):
        assert said in debian.fails(code, "create", "web1", "--image", image, *words, *OURS)
    assert names(debian) == [] and os.listdir(debian.images) == ["images"]


def test_who_may(debian):
    create(debian, "web1", "--image", "debian-13", user="bob", groups=["vmkeep"])
    debian.fails(9, "create", "web2", "--image", "debian-13", user="bob", groups=["vmkeep-view"])
    assert names(debian) == ["web1.vm"]
