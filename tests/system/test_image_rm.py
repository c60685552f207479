# SPDX-License-Identifier: MIT
"""`image rm` moves an image to the trash of its store, unless anything might need it; `image prune` removes abandoned
downloads and what is old in the trash, and nothing else. Both say what became of what."""
import json
import os
import re
import shlex
import subprocess
import time

import pytest

import vmk
from test_asks import typed
from test_image_fetch import server  # noqa: F401 (a fixture)
from test_stores import place, stores
from test_template_held import Held
from test_trash import contents, names, overlay, trash

PARTIAL = ".fetch-" + "0" * 64
BASED = "[VM]\nMemory=16M\nNetworks=none\nAccel=tcg\n[Boot]\nFirmware=bios\n[Disk root]\nBase=images/web.qcow2\nSize=1M\n"


def image(world, name="web", where=None):
    """images/NAME.qcow2 of a store; returns its path."""
    where = (where or world.images) + "/images"
    os.makedirs(where, mode=0o700, exist_ok=True)
    path = "%s/%s.qcow2" % (where, name)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return path


def test_there_and_back(daemon):
    stores(daemon, nas="")
    for path, more in ((image(daemon), []), (image(daemon, where=place(daemon)), ["--store", "nas"])):
        before = contents(path)
        out = daemon.ok("image", "rm", "web", *more)
        assert not os.path.exists(path) and names(daemon, os.path.dirname(path)[:-7]) == ["images%2Fweb.qcow2"], out
        subprocess.run(shlex.split(out.partition("bring it back: ")[2]), check=True)
        assert contents(path) == before and not trash(daemon)
    answer = daemon.json("image", "rm", "web")
    assert answer["path"] == daemon.images + "/images/web.qcow2" and contents(answer["to"]) == before
    assert [row["store"] for row in daemon.rows("image", "list")] == ["nas"]


def file_base(world):
    world.ok("create", "b", "--image", "web", "--network", "none")


def file_path(world):
    world.write("b.vm", "[VM]\n[CDROM cd]\nPath=images/web.qcow2\n")


def running(world):
    """It runs with it; its file names another one by now."""
    world.write("b.vm", BASED)
    world.ok("start", "b")
    world.write("b.vm", "[VM]\n[Disk root]\nPath=other.qcow2\n")


def stopped(world):
    """Its saved state names it, though its file is gone."""
    world.write("b.vm", BASED)
    world.ok("start", "b")
    world.ok("kill", "b")
    os.unlink(os.path.join(world.config, "b.vm"))
    world.ok("list")


def other_store(world):
    stores(world, nas="")
    overlay(world.images + "/images/web.qcow2", place(world) + "/deep/o.qcow2")(world)


def marked(world):
    os.setxattr(world.images + "/images/web.qcow2", "trusted.vmkeep", b"11111111-2222-4333-8444-555555555555")


@pytest.mark.parametrize("before, why", [
    (file_base, "VM 'b' uses it"), (file_path, "VM 'b' uses it"), (running, "VM 'b' uses it"), (stopped, "VM 'b' uses it"),
    (overlay("web.qcow2", "images/o.qcow2"), "images/o.qcow2' is based on it"), (other_store, "deep/o.qcow2' is based on it"),
    (marked, "a disk of the VM with UUID 11111111-"),
    (lambda w: os.link(w.images + "/images/web.qcow2", w.images + "/second"), "a hard link"),
    (lambda w: w.write("c.vm", "[VM]\nNonsense=yes\n"), "the file of VM 'c' has errors"),
    (lambda w: (stores(w, nas=""), os.rmdir(place(w))), "nas' for overlays"),
], ids=lambda x: getattr(x, "__name__", "")[:20])
def test_who_needs_it(daemon, before, why):
    path = image(daemon)
    before(daemon)
    result = daemon.vmkeep("image", "rm", "web")
    assert result.code and why in result.err and os.path.exists(path) and not trash(daemon), result


@pytest.mark.parametrize("argv, why", [
    (["create", "b", "--image", "web", "--network", "none"], "VM 'b', which is being made, uses it"),
    (["run", "web", "--", "true"], r"VM 'run-\w{8}', which job \d+ makes, uses it"),
], ids=["create", "run"])
def test_a_vm_that_is_being_made_needs_it(world, argv, why):
    """No file names it yet."""
    path = image(world)
    held = Held(world)
    held.begin(*argv)
    held.again()  # the client has its list of images: now it is for the VM
    said = world.fails(3, "image", "rm", "web")
    assert re.search(why, said) and os.path.exists(path) and not trash(world), said
    if argv[0] == "create":
        assert held.end()[0].code == 0
        assert "VM 'b' uses it" in world.fails(3, "image", "rm", "web")
    else:
        world.ok("job", "cancel", world.rows("jobs")[0]["job"])
        held.end()
        world.ok("image", "rm", "web")


def test_it_is_on_its_way_to_the_trash(world):
    """The other way round."""
    path = image(world)
    held = Held(world)
    held.begin("image", "rm", "web")
    held.again()  # that it is there is known: now it is being moved
    for argv in (["create", "b", "--image", "web"], ["run", "web", "--", "true"]):
        said = world.vmkeep(*argv)
        assert said.code and "image '%s' is on its way to the trash" % path in said.err, said
    assert "vmkeep jobs shows its progress" in world.fails(3, "create", "b", "--image", "web")
    assert held.end()[0].code == 0 and not os.path.exists(path) and not world.states()


def test_what_is_refused(daemon):
    stores(daemon, nas="ReadOnly=yes\n", lv="Type=program\nProgram=lvmthin\nPool=p\n")
    path = image(daemon, where=place(daemon))
    assert "has no image" in daemon.fails(4, "image", "rm", "web")
    assert "no store 'none'" in daemon.fails(4, "image", "rm", "web", "--store", "none")
    assert "read-only" in daemon.fails(3, "image", "rm", "web", "--store", "nas")
    for words in (["image", "rm", "web", "--store", "lv"], ["create", "a", "--image", "web", "Disk.root.Store=lv"],
                  ["image", "fetch", "web", "https://127.0.0.1:1/a", "--digest", "0" * 64, "--store", "lv"]):
        assert "has volumes, not files" in daemon.fails(3, *words)
    assert os.listdir(place(daemon, "lv")) == [] and os.path.exists(path)
    image(daemon)
    for verb in (["rm", "web"], ["prune", "--yes"]):
        daemon.fails(9, "image", *verb, user="bob", groups=["vmkeep-view"])
    daemon.ok("image", "rm", "web", user="bob", groups=["vmkeep"])


def test_what_is_damaged_can_be_removed(daemon):
    path = image(daemon)
    with open(path, "wb") as f:
        f.write(b"<html>")
    daemon.ok("image", "rm", "web")
    assert names(daemon) == ["images%2Fweb.qcow2"]


# prune


def fill(world, where=None):
    """Old and new things, and some that are none of its business."""
    where = where or world.images
    os.makedirs(where + "/.trash", mode=0o700)
    now = int(time.time())
    image(world, where=where)
    for name in (".trash/old.%d" % (now - 8 * 86400), ".trash/new.%d" % (now - 86400), ".trash/no time", "images/" + PARTIAL,
                 "images/.fetch-x", "images/.hidden"):
        with open(os.path.join(where, name), "w") as f:
            f.write("x" * 8192)


def left(where):
    return sorted(name.split(".1")[0] for name in os.listdir(where + "/.trash") + os.listdir(where + "/images"))


def pruned(world, *argv):
    """What a run says is removed; or would be, in a dry run, after which it still is."""
    rows = world.rows("image", "prune", *argv)
    assert all(row["freed"] >= 8192 and not row["why"] for row in rows), rows
    assert all(os.path.exists(row["path"]) == ("--dry-run" in argv) for row in rows)
    return sorted(os.path.basename(row["path"]).split(".1")[0] for row in rows)


OTHERS = [".fetch-x", ".hidden", "no time", "web.qcow2"]


def test_prune(daemon):
    stores(daemon, nas="", still="ReadOnly=yes\n")
    for where in (daemon.images, place(daemon), place(daemon, "still")):
        fill(daemon, where)
    two = sorted(2 * [PARTIAL, "old"])
    assert pruned(daemon, "--dry-run") == pruned(daemon, "--yes") == two
    assert left(place(daemon)) == left(daemon.images) == sorted(OTHERS + ["new"])
    assert pruned(daemon, "--yes") == []
    assert pruned(daemon, "--dry-run", "--all") == pruned(daemon, "--all", "--yes") == ["new", "new"]
    assert left(place(daemon)) == left(daemon.images) == sorted(OTHERS)
    assert left(place(daemon, "still")) == sorted(OTHERS + [PARTIAL, "new", "old"])


def test_it_asks(daemon):
    fill(daemon)
    assert "--yes" in daemon.fails(2, "image", "prune")
    code, text = typed(daemon, b"n\n", "image", "prune")
    assert code == 1 and PARTIAL + " would be removed" in text and "nothing was done" in text, text
    assert PARTIAL in left(daemon.images)
    code, text = typed(daemon, b"y\n", "image", "prune")
    assert code == 0 and PARTIAL + " was removed: 8K" in text and "16K freed" in text, text
    assert left(daemon.images) == sorted(OTHERS + ["new"])


def test_what_a_job_writes_stays(daemon, server):
    digest = server.image()
    daemon.ok("image", "fetch", "web", server.url("stop"), "--digest", digest, "--no-wait")
    part = os.path.join(daemon.images, "images", ".fetch-" + digest[7:])
    daemon.eventually(lambda: os.path.exists(part) and os.path.getsize(part), lambda size: size)
    assert pruned(daemon, "--yes", "--all") == []
    job, = daemon.rows("jobs")
    daemon.ok("job", "cancel", job["job"])
    daemon.eventually(lambda: daemon.rows("jobs"), lambda rows: not rows)
    assert pruned(daemon, "--yes") == [os.path.basename(part)]


def test_what_cannot_be_pruned_is_told(daemon):
    """It costs its own row, and the exit code."""
    stores(daemon, nas="RequireMount=yes\n", foreign="")
    fill(daemon)
    os.makedirs(place(daemon, "foreign") + "/.trash", mode=0o755)
    result = daemon.vmkeep("--json", "image", "prune", "--yes")
    rows = {row["path"]: row["why"] for row in json.loads(result.out)}
    assert result.code == 1 and "not mounted" in rows["store 'nas'"] and "others may enter" in rows["store 'foreign'"], result
    assert left(daemon.images) == sorted(OTHERS + ["new"])


def test_links_in_the_trash(daemon):
    """The link is removed, not what it leads to; directories stay."""
    where = daemon.images + "/.trash"
    os.makedirs(where + "/dir.1000000001", mode=0o700)
    os.chmod(where, 0o700)
    os.symlink(daemon.base + "/precious", where + "/link.1000000001")
    with open(daemon.base + "/precious", "w") as f:
        f.write("x")
    daemon.ok("image", "prune", "--yes")
    assert os.listdir(where) == ["dir.1000000001"] and vmk.read_text(daemon.base + "/precious") == "x"


def test_more_than_an_answer_holds(daemon):
    """All of it is removed, and told; a list that would not be whole is none."""
    os.mkdir(daemon.images + "/.trash", 0o700)
    os.mkdir(daemon.images + "/images", 0o700)
    for n in range(1200):
        with open("%s/.trash/x%d.1000000001" % (daemon.images, n), "wb"), open("%s/images/x%d.qcow2" % (daemon.images, n), "wb"):
            pass
    for argv in (["--dry-run"], ["--yes"]):
        rows = daemon.rows("image", "prune", *argv)
        assert len(rows) == 1001 and rows[-1]["path"] == "more files" and {row["why"] for row in rows} == {None}
    assert not os.listdir(daemon.images + "/.trash")
    assert "store 'default' has more images than can be listed" in daemon.fails(11, "image", "list")
    image(daemon)
    row, = daemon.rows("image", "list", "web")
    assert (row["name"], row["state"], row["store"], row["size"]) == ("web", "ready", "default", 1 << 20)
    assert daemon.rows("image", "list", "we") == []
    daemon.ok("create", "a", "--image", "web", "--network", "none")
    assert [row["vms"] for row in daemon.rows("image", "list", "web")] == [["a"]]
    daemon.ok("delete", "a", "--yes")
    daemon.ok("image", "rm", "web")
    for n in range(1000, 1200):
        os.unlink("%s/images/x%d.qcow2" % (daemon.images, n))
    assert len(daemon.rows("image", "list")) == 1000
