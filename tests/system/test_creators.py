# SPDX-License-Identifier: MIT
"""Members of vmkeep-create make VMs of their own, within a quota: they see the others and cannot touch them, nor anything
of the host; and no way to change a file leads around the quota."""
import os
import re
import threading

import pytest

import vmk
from test_create import OURS
from test_edit import path, text
from test_editor import tmp  # noqa: F401 pylint: disable=unused-import

ALICE = {"user": "alice", "groups": ["vmkeep-create"]}
BOB = {"user": "bob", "groups": ["vmkeep-create"]}


def quota(world, *sections):
    with open(path(world, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("".join("\n[Quota %s]\n%s\n" % section for section in sections))
    world.ok("reload")


def create(world, name, *words, who=None, **how):
    return world.ok("create", name, "--memory", "16M", *words, *OURS, **(who or ALICE), **how)


def test_a_vm_of_ones_own(daemon, tmp):
    """From create to delete, without another role; its image has a name that no other image can have."""
    create(daemon, "ci1", "--disk", "1M", "--disk", "2M", "--start")
    written = text(daemon, "ci1.vm")
    uuid = re.search("(?m)^UUID=(.{8})", written)[1]
    assert "\nOwner=alice\n" in written
    assert sorted(os.listdir(daemon.images)) == ["ci1-%s.%s.qcow2" % (disk, uuid) for disk in ("data", "root")]
    assert os.stat(path(daemon, "ci1.vm")).st_uid == 0
    for words in (["info", "ci1"], ["pause", "ci1"], ["resume", "ci1"], ["kill", "ci1"], ["set", "ci1", "VM.CPUs=2"], ["unset", "ci1", "VM.CPUs"],
                  ["enable", "ci1"], ["disable", "ci1"], ["set", "ci1", "Disk.more.Path=ci1-more.%s.qcow2" % uuid, "Disk.more.Size=1M"],
                  ["start", "ci1"], ["kill", "ci1"], ["rename", "ci1", "ci2"], ["start", "ci2"], ["kill", "ci2"]):
        daemon.ok(*words, **ALICE)
    daemon.ok("edit", "ci2", env={"EDITOR": "sed -i s/16M/17M/", "TMPDIR": tmp}, **ALICE)
    assert "Memory=17M\n" in text(daemon, "ci2.vm")
    daemon.ok("delete", "ci2", "--yes", **ALICE)
    assert daemon.rows("list") == []


def test_the_others_are_only_seen(daemon):
    daemon.micro("prod")
    daemon.ok("start", "prod")
    create(daemon, "ci1", "--disk", "1M")
    assert {row["name"] for row in daemon.json("list", **ALICE)} == {"prod", "ci1"}
    daemon.ok("info", "prod", **ALICE)
    for who, name in ((ALICE, "prod"), (BOB, "ci1")):
        for words in (["start"], ["kill"], ["pause"], ["set", "VM.CPUs=2"], ["unset", "VM.CPUs"], ["enable"], ["edit"], ["rename", "x"],
                      ["delete", "--yes"], ["snapshot create", "s"], ["console"], ["qmp", "stop"], ["forget"], ["template prepare"], ["guest exec", "true"],
                      ["guest exec", "--collect", "true"], ["guest push", "/etc/passwd", "/x"], ["guest freeze"],
                      ["guest command", '{"execute": "guest-ping"}'], ["guest trim"], ["cd", "eject"], ["nic link", "lan", "up"], ["nic attach", "x"], ["nic detach", "lan"], ["set-memory", "16M"], ["start", "--iso", "x.iso"]):
            verb, *rest = words
            done = daemon.vmkeep(*verb.split(), name, *rest, **who)
            assert done.code == (125 if verb == "guest exec" else 9) and "permission denied: %s may not" % who["user"] in done.err, done
        client = daemon.client(uid=vmk.USERS[who["user"]], groups=[vmk.GROUPS["vmkeep-create"]])
        for verb, more in (("guest-pull", {"path": "/x"}), ("guest-push", {"path": "/x"}), ("guest-exec", {"command": ["true"], "stream": True})):
            with pytest.raises(vmk.Error) as e:
                client.call(verb, name=name, **more)
            assert e.value.error_class == "Permission", e.value
        client.close()
    for words in (["reload"], ["reexec"], ["shutdown-all", "--yes"], ["net", "stop", "default"], ["forget", "ci1"]):
        assert daemon.vmkeep(*words, **ALICE).code == 9, words
    assert daemon.states() == {"prod": "running", "ci1": "stopped"}
    assert "join group vmkeep-create" in daemon.fails(9, "create", "x", "--disk", "1M", user="alice", groups=["vmkeep-view"])


@pytest.mark.parametrize("words", [
    ["VM.Owner=bob"], ["VM.Owner=alice bob"], ["VM.Owner=@alice"], ["VM.UUID=11111111-2222-3333-4444-555555555555"],
    ["Disk.more.Path=prod.raw"], ["Disk.more.Size=1M"], ["Disk.root.Path=prod.raw"], ["Disk.root.Base=prod.raw"], ["CDROM.cd.Path=prod.raw"],
    ["Disk.root.Base=images/../prod.raw"], ["Disk.root.Path=images/x.qcow2"], ["CDROM.cd.Path=/etc/x.iso"], ["CDROM.cd.Path=../x.iso"],
    ["Disk.root.Store=other"], ["NIC.lan.Bridge=br0"], ["NIC.more.Bridge=br0"], ["Display.Listen=127.0.0.1", "Display.AllowNoPassword=yes"],
    ["Display.Password=secret"], ["Limits.CPUWeight=10000"], ["Lifecycle.Requires=prod"], ["Serial.com1.LogSize=1T"], ["VM.X-Managed=x"],
    ["QEMU.Args=-snapshot"], ["Boot.Kernel=/boot/vmlinuz"], ["Hooks.Failed=/tmp/x"],
])
def test_what_concerns_others_is_not_theirs(daemon, words):
    """The same for a new VM, and for one that is there."""
    daemon.image("prod.raw")
    os.mkdir(os.path.join(daemon.base, "other"))
    with open(path(daemon, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("\n[Store other]\nPath=%s/other\n" % daemon.base)
    daemon.ok("reload")
    code = 2 if "../" in words[0] else 9
    daemon.fails(code, "create", "ci1", "--disk", "1M", *words, *OURS, **ALICE)
    assert not os.path.exists(path(daemon, "ci1.vm"))
    create(daemon, "ci1", "--disk", "1M")
    before = text(daemon, "ci1.vm")
    daemon.fails(code, "set", "ci1", *words, **ALICE)
    assert text(daemon, "ci1.vm") == before


def test_a_new_name_is_not_another_image(daemon):
    """prod-root.qcow2 may be what a deleted VM left; a disk that has been made keeps its image."""
    daemon.ok("create", "a", "--memory", "16M", "--disk", "1M", *OURS, "VM.Owner=alice")
    assert "only an operator may use another image, 'prod-root.qcow2'" in daemon.fails(9, "rename", "a", "prod", **ALICE)
    daemon.ok("start", "a", **ALICE)
    daemon.ok("kill", "a", **ALICE)
    daemon.ok("rename", "a", "prod", **ALICE)
    assert [disk["path"] for disk in daemon.info("prod")["disks"]] == ["a-root.qcow2"]


def test_a_name_that_others_wait_for(daemon):
    """With it, a user could hold up their start."""
    daemon.micro("prod", extra="[Lifecycle]\nRequires=db\nAfter=default\n")
    create(daemon, "ci1", "--disk", "1M")
    for name, key in (("db", "Requires"), ("default", "After")):
        said = "only an operator may give it this name: VM 'prod' has %s=%s" % (key, name)
        assert said in daemon.fails(9, "create", name, "--disk", "1M", *OURS, **ALICE)
        assert said in daemon.fails(9, "rename", "ci1", name, **ALICE)
        assert said in daemon.fails(9, "clone", "ci1", name, **ALICE)
    daemon.ok("create", "db", "--disk", "1M", *OURS, user="bob", groups=["vmkeep"])
    daemon.ok("set", "ci1", "Lifecycle.After=ci9", **ALICE)
    create(daemon, "ci9", "--disk", "1M")


def test_what_others_have_is_not_told(daemon):
    """An owner changes a VM: the answer is the same whether a name, an image or an address is somebody else's. Only a
    cycle is refused, without the VMs in it."""
    create(daemon, "a", "--disk", "1M")
    daemon.write("prod.vm", "[VM]\n[Disk root]\nPath=prod.raw\n[NIC lan]\nMACAddress=52:54:00:00:00:07\n[Lifecycle]\nAfter=hidden\n")
    daemon.write("hidden.vm", "[VM]\n[Disk root]\nPath=hidden.raw\n[Lifecycle]\nAfter=a\n")
    for name in ("hidde", "nobody"):
        daemon.ok("set", "a", "Lifecycle.After+=" + name, "Lifecycle.After-=" + name, **ALICE)
    row = daemon.one("set", "a", "NIC.lan.MACAddress=52:54:00:00:00:07", **ALICE)
    assert row["conflict"] is None
    said = daemon.fails(2, "set", "a", "Lifecycle.After=prod", **ALICE)
    assert "After: dependency cycle\n" in said and "hidden" not in said
    assert "a -> prod -> hidden -> a" in daemon.fails(2, "set", "a", "Lifecycle.After=prod")


def test_media_may_be_named(daemon):
    create(daemon, "ci1", "--disk", "1M,base=images/debian.qcow2", "--iso", "debian.iso")
    assert "Base=images/debian.qcow2\n" in text(daemon, "ci1.vm") and "Path=debian.iso\n" in text(daemon, "ci1.vm")
    os.mkdir(os.path.join(daemon.images, "images"))
    daemon.exec("qemu-img", "create", "-q", "-f", "qcow2", os.path.join(daemon.images, "images", "any.qcow2"), "1M")
    create(daemon, "ci2", "--image", "any", "--start")
    assert re.search("(?m)^Base=images/any.qcow2\nPath=ci2-root.[0-9a-f]{8}.qcow2\nSize=1M$", text(daemon, "ci2.vm"))


@pytest.mark.parametrize("words, said", [
    (["Disk.more.Path=images/any.qcow2"], "only an operator may let disk 'more' write to 'images/any.qcow2'"),
    (["Disk.more.Path=x.iso"], "only an operator may let disk 'more' write to 'x.iso'"),
    (["Disk.shared.ReadOnly=no"], "only an operator may let disk 'shared' write to 'shared.raw'"),
    (["Disk.host.ReadOnly=no"], "only root may let disk 'host' write to '/srv/host.raw'"),
])
def test_what_is_only_read_stays_so(daemon, words, said):
    """Bases, CDs and disks with ReadOnly=yes, which others may share, do not become disks that the owner's guest writes to."""
    create(daemon, "ci1", "--disk", "1M,base=images/any.qcow2", "--iso", "x.iso")
    daemon.ok("set", "ci1", "Disk.shared.Path=shared.raw", "Disk.shared.ReadOnly=yes", "Disk.host.Path=/srv/host.raw", "Disk.host.ReadOnly=yes")
    before = text(daemon, "ci1.vm")
    assert said in daemon.fails(9, "set", "ci1", *words, **ALICE)
    assert text(daemon, "ci1.vm") == before
    for words in (["Disk.more.Path=x.iso", "Disk.more.ReadOnly=yes"], ["Disk.shared.Cache=writeback"], ["CDROM.cd.Path=shared.raw"]):
        daemon.ok("set", "ci1", *words, **ALICE)


# --- quotas


@pytest.mark.parametrize("bound, fits, exceeds", [
    ("VMs=2", [], ["--disk", "1M"]),
    ("CPUs=2", [], ["--disk", "1M"]),
    ("CPUs=3", ["--disk", "1M"], ["--disk", "1M", "--cpus", "2"]),
    ("Memory=40M", [], ["--disk", "1M"]),
    ("Memory=48M", [], ["--disk", "1M", "Memory.Max=17M"]),
    ("Disk=10M", ["--disk", "1M"], ["--disk", "8M", "--disk", "1M"]),
])
def test_a_quota_bounds_new_vms(daemon, bound, fits, exceeds):
    """For each member by itself, whatever others and root have."""
    quota(daemon, ("@vmkeep-create", bound))
    daemon.micro("prod", vm="Owner=@vmkeep-create\nMemory=64M\n")
    create(daemon, "a1", "--disk", "1M")
    create(daemon, "a2", "--disk", "1M")
    err = daemon.fails(11, "create", "a3", "--memory", "16M", *exceeds, *OURS, **ALICE)
    assert "%s=" % bound.split("=", maxsplit=1)[0] in err and "[Quota @vmkeep-create]" in err
    daemon.fails(11, "create", "a3", "--memory", "16M", *exceeds, *OURS, "--dry-run", **ALICE)
    assert not os.path.exists(path(daemon, "a3.vm"))
    create(daemon, "b1", "--disk", "1M", who=BOB)
    if fits:
        create(daemon, "a3", *fits)
        daemon.ok("delete", "a3", "--yes", **ALICE)
    daemon.ok("delete", "a2", "--yes", **ALICE)
    create(daemon, "a3", "--disk", "1M")
    daemon.ok("create", "c", "--disk", "100M", *OURS, "VM.Owner=alice")  # root decides


def test_ones_own_quota_is_in_place_of_the_groups(daemon):
    quota(daemon, ("@vmkeep-create", "VMs=1"), ("alice", "VMs=2"))
    create(daemon, "a1", "--disk", "1M")
    create(daemon, "a2", "--disk", "1M")
    assert "VMs=2 in [Quota alice], and there are 2" in daemon.fails(11, "create", "a3", "--disk", "1M", *OURS, **ALICE)
    create(daemon, "b1", "--disk", "1M", who=BOB)
    daemon.fails(11, "create", "b2", "--disk", "1M", *OURS, **BOB)


def test_no_change_leads_around_it(daemon, tmp):
    quota(daemon, ("@vmkeep-create", "Memory=40M\nDisk=4M"))
    create(daemon, "a1", "--disk", "2M")
    create(daemon, "a2", "--disk", "1M")
    before = text(daemon, "a1.vm")
    for words, code in ((["VM.Memory=25M"], 11), (["Memory.Max=32M"], 11), (["Disk.root.Size=4M"], 11), (["Disk.root.Size=1M"], 9),
                        (["VM.Owner="], 9), (["VM.Owner+=bob"], 9), (["VM.Memory=24M", "Disk.root.Size=5M"], 11)):
        daemon.fails(code, "set", "a1", *words, **ALICE)
        daemon.fails(code, "set", "a1", *words, "--dry-run", **ALICE)
    daemon.fails(9, "unset", "a1", "Disk.root.Size", **ALICE)
    daemon.fails(9, "unset", "a1", "VM.Owner", **ALICE)
    for change, code in (("s/16M/25M/", 11), ("/^Owner=/d", 9), ("s/Disk.root/Disk\\ main/", 9)):
        assert daemon.vmkeep("edit", "a1", env={"EDITOR": "sed -i " + change, "TMPDIR": tmp}, **ALICE).code == code, change
    assert text(daemon, "a1.vm") == before
    daemon.ok("set", "a1", "VM.Memory=24M", "Disk.root.Size=3M", **ALICE)
    daemon.ok("set", "a1", "VM.Memory=30M", "Disk.root.Size=9M")  # root may


def test_less_quota_than_there_is(daemon):
    """What runs goes on, and may be changed and stopped; only more, and a start, are refused."""
    for name in ("a1", "a2"):
        create(daemon, name, "--disk", "1M")
    daemon.ok("start", "a1", **ALICE)
    quota(daemon, ("alice", "Memory=16M"))
    assert "Memory=16M in [Quota alice]" in daemon.fails(11, "start", "a2", **ALICE)
    daemon.ok("set", "a1", "VM.CPUs=2", **ALICE)
    daemon.ok("set", "a1", "VM.Memory=15M", **ALICE)
    daemon.fails(11, "set", "a1", "VM.Memory=16M", **ALICE)
    daemon.ok("start", "a2")  # by root
    daemon.ok("kill", "a1", "a2", **ALICE)


def test_several_at_once_stay_below_it(daemon):
    quota(daemon, ("alice", "VMs=3"))
    codes = []
    threads = [threading.Thread(target=lambda n=n: codes.append(daemon.vmkeep("create", "a%d" % n, "--disk", "1M", *OURS, **ALICE).code))
               for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0] * 3 + [11] * 5


def test_a_quota_that_cannot_be_read_is_not_none(world):
    """Whatever is wrong with vmkeep.conf: what was valid stays in force; if nothing was, nothing is allowed."""
    world.start()
    quota(world, ("@vmkeep-create", "VMs=1"))
    create(world, "a1", "--disk", "1M")
    with open(path(world, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("\n[Quota alice]\nVMs=2x\n")
    assert "VMs=1 in [Quota @vmkeep-create]" in world.fails(11, "create", "a2", "--disk", "1M", *OURS, **ALICE)
    world.stop_daemon()
    world.start()
    for words in (["create", "a2", "--disk", "1M", *OURS], ["create", "a2", "--disk", "1M", *OURS, "--dry-run"], ["set", "a1", "VM.CPUs=2"],
                  ["start", "a1"]):
        assert "VMs: '2x'" in world.fails(2, *words, **ALICE), words
    assert not os.path.exists(path(world, "a2.vm")) and "CPUs" not in text(world, "a1.vm")
    world.ok("set", "a1", "VM.CPUs=2")  # root may
    world.stop_daemon()


def test_the_trash_counts(daemon):
    """For seven days, also for a new daemon, and if it was emptied earlier; a user whose disks are counted leaves none
    behind."""
    place = os.path.join(daemon.state, "trash-quota")
    quota(daemon, ("alice", "Disk=4M"))

    def bounded():
        err = daemon.fails(11, "create", "a3", "--disk", "2M", *OURS, **ALICE)
        assert "Disk=4M in [Quota alice]; this VM has 2M, the user's others and their trash 3M" in err
        daemon.ok("create", "a3", "--disk", "1M", *OURS, "--dry-run", **ALICE)
        daemon.ok("create", "b3", "--disk", "9M", *OURS, "--dry-run", **BOB)

    for name, size in (("a1", "2M"), ("a2", "1M")):
        create(daemon, name, "--disk", size, "--start")
        daemon.ok("kill", name)
        assert "what its disk 'root' would leave behind" in daemon.fails(11, "delete", "--yes", name, **ALICE)
        assert daemon.vmkeep("delete", "--dry-run", name, **ALICE).code == 11
        daemon.ok("delete", "--yes", "--disks", name, **(ALICE if name == "a1" else {}))  # whoever deletes it
    bounded()
    daemon.ok("image", "prune", "--all", "--yes")
    bounded()
    daemon.eventually(lambda: os.path.exists(place) and vmk.read_text(place), lambda text: text and '"bytes":3145728' in text)
    daemon.kill_daemon()
    daemon.start()
    bounded()
    daemon.kill_daemon()
    with open(place, "r+", encoding="ascii") as f:
        kept = f.read()
        assert re.search('"owner":\\["alice"\\]', kept), kept
        f.seek(0)
        f.write(re.sub('"time":[0-9]*', '"time":1000000000', kept))
        f.truncate()
    daemon.start()
    create(daemon, "a3", "--disk", "4M")
    daemon.ok("delete", "--yes", "a3", **ALICE)  # it was never made


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}', '{"version": 2, "rows": []}', '{"version": 1, "rows": {}}',
                                  '{"version": 1, "rows": [1, null, {"owner": 1}, {"owner": [1, "", "@"], "bytes": "x", "time": 9e99}]}',
                                  "\0" * 100])
def test_a_damaged_record_of_the_trash(daemon, text):
    daemon.stop_daemon()
    place = os.path.join(daemon.state, "trash-quota")
    with open(place, "w", encoding="ascii") as f:
        f.write(text)
    daemon.start()
    quota(daemon, ("alice", "Disk=4M"))
    create(daemon, "a1", "--disk", "4M", "--start")
    daemon.ok("kill", "a1")
    daemon.ok("delete", "--yes", "--disks", "a1", **ALICE)
    daemon.fails(11, "create", "a2", "--disk", "1M", *OURS, **ALICE)


@pytest.mark.parametrize("section, said", [
    ("[Quota]\nVMs=1\n", "needs an id"),
    ("[Quota a b]\nVMs=1\n", "not a user name or @group"),
    ("[Quota @]\nVMs=1\n", "not a user name or @group"),
    ("[Quota alice]\nVMs=-1\n", "VMs"),
    ("[Quota alice]\nMemory=lots\n", "'lots' is not a size"),
    ("[Quota alice]\nCores=1\n", "unknown key"),
])
def test_a_quota_that_is_none(daemon, section, said):
    with open(path(daemon, "vmkeep.conf"), "a", encoding="ascii") as f:
        f.write("\n" + section)
    result = daemon.vmkeep("reload")
    assert result.code == 2 and said in result.out, result


def test_who_creates_and_deletes_for_ever(daemon):
    """64 copies of deleted files are kept for each user, those of others are left alone."""
    deleted = os.path.join(daemon.state, "deleted")
    for i in range(70):
        os.makedirs(os.path.join(deleted, "x.%d" % i, "x.vm.d"), mode=0o700)
        if i < 64:
            os.chown(os.path.join(deleted, "x.%d" % i), vmk.USERS["alice"], 0)
        os.utime(os.path.join(deleted, "x.%d" % i), (1000 + (i + 32) % 64, 1000 + (i + 32) % 64))  # x.32 is the oldest
    for name in ("a", "b"):
        daemon.ok("create", name, "--disk", "1M", *OURS, **ALICE)
        daemon.ok("delete", "--yes", name, **ALICE)
    names = sorted(name.split(".")[0] for name in os.listdir(deleted))
    assert names == ["a", "b"] + 68 * ["x"] and not {"x.32", "x.33"} & set(os.listdir(deleted))
    kept, = (name for name in os.listdir(deleted) if name.startswith("a."))
    assert os.listdir(os.path.join(deleted, kept)) == ["a.vm"]
