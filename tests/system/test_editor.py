# SPDX-License-Identifier: MIT
"""`edit` works as visudo does: an editor runs on a private copy; a valid text replaces the file, an invalid one is
edited again or kept, and no change is lost, neither the user's nor one made in the meantime."""
import json
import os
import re
import stat

import pytest

import vmk
from test_edit import FILE, leftovers, path, shop, text

SED = "sed -i "


@pytest.fixture
def tmp(daemon):
    """The directory in which copies are made."""
    folder = os.path.join(daemon.base, "tmp")
    os.mkdir(folder)
    os.chmod(folder, 0o1777)
    return folder


def edit(world, tmp, editor, *argv, **how):
    return world.vmkeep("edit", "a", *argv, env={"VISUAL": editor, "TMPDIR": tmp}, **how)


def kept(tmp, done):
    """The text kept at the path that the message names."""
    place = re.search(r"your text is kept in (\S+)", done.err).group(1)
    assert place.startswith(tmp) and stat.S_IMODE(os.stat(place).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(place)).st_mode) == 0o700
    return vmk.read_text(place)


def test_what_is_valid_replaces_the_file(daemon, tmp):
    shop(daemon)
    done = edit(daemon, tmp, SED + "-e s/16M/32M/ -e '/Networks/d' -e '$aCache=unsafe'")
    assert done.code == 0, done
    assert text(daemon) == FILE.replace("16M", "32M").replace("  Networks = none\n", "") + "Cache=unsafe\n"
    lines = [line.split(": ", 1)[1] for line in done.out.splitlines()]
    assert "%s:3: Memory=32M (was 16M)" % path(daemon) in lines and "%s:8: Cache=unsafe (new, was auto)" % path(daemon) in lines
    assert "%s:4: Networks removed (was none); now default" % path(daemon) in lines
    assert os.listdir(tmp) == [] and leftovers(daemon) == []
    assert daemon.rows("history", "a")[-1]["event"] == "edit"
    # a change of comments only, with bytes that are not UTF-8
    with open(path(daemon), "ab") as f:
        f.write(b"# \xff\n")
    before = open(path(daemon), "rb").read()
    done = edit(daemon, tmp, "printf '# more\\n' >>")
    assert done.code == 0, done
    assert open(path(daemon), "rb").read() == before + b"# more\n"


def test_an_editor_that_changes_nothing(daemon, tmp):
    shop(daemon)
    inode = os.stat(path(daemon)).st_ino
    assert edit(daemon, tmp, "true").out == "a: the text is the same, nothing was written\n"
    assert edit(daemon, tmp, "touch").code == 0
    assert "the editor failed" in edit(daemon, tmp, "false").err
    assert edit(daemon, tmp, "/nonexistent/editor").code == 1
    assert os.stat(path(daemon)).st_ino == inode and os.listdir(tmp) == []


def test_which_editor(daemon, tmp):
    shop(daemon)
    for env in ({"VISUAL": "sed -i s/16M/24M/", "EDITOR": "false"}, {"VISUAL": "", "EDITOR": "sed -i s/24M/16M/"}):
        done = daemon.vmkeep("edit", "a", env=dict(env, TMPDIR=tmp))
        assert done.code == 0 and "Memory=" in done.out, done


@pytest.mark.parametrize("script, code, said", [
    ("s/16M/1X/", 2, "a.vm:3: Memory: '1X' is not a size"),
    ("s/Memory/Memry/", 2, "did you mean 'Memory'?"),
    ("s/16M/\\x01/", 2, "control character"),
    ("s/16M/\\x00/", 2, "NUL byte"),
])
def test_what_is_not_valid_is_kept(daemon, tmp, script, code, said):
    shop(daemon)
    done = edit(daemon, tmp, SED + "'" + script + "'")
    assert done.code == code and said in done.err, done
    assert text(daemon) == FILE and leftovers(daemon) == []
    assert kept(tmp, done) != FILE


def test_edit_again(daemon, tmp):
    """On a terminal, vmkeep offers to edit again, and the editor gets the rejected text."""
    shop(daemon)
    script = os.path.join(daemon.base, "editor")
    with open(script, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nif grep -q 1X \"$1\"; then sed -i s/1X/32M/ \"$1\"; else sed -i s/16M/1X/ \"$1\"; fi\n")
    os.chmod(script, 0o755)
    stream = daemon.stream("edit", "a", terminal=True, env={"VISUAL": script, "TMPDIR": tmp})
    stream.until("is not a size")
    stream.until(r"Edit again\? \[Y/n\] ")
    stream.type("\n")
    stream.until(r"Memory=32M \(was 16M\)")
    assert stream.wait() == 0 and os.listdir(tmp) == []
    daemon.ok("set", "a", "VM.Memory=16M")
    stream = daemon.stream("edit", "a", terminal=True, env={"VISUAL": script, "TMPDIR": tmp})
    stream.until(r"Edit again\? \[Y/n\] ")
    stream.type("n\n")
    stream.until("your text is kept in")
    assert stream.wait() == 2 and "16M" in text(daemon)


def test_a_change_in_the_meantime_is_not_lost(daemon, tmp):
    shop(daemon)
    done = edit(daemon, tmp, "printf '# mine\\n' >>'%s'; sed -i s/16M/32M/" % path(daemon))
    assert done.code == 3 and "was changed in the meantime" in done.err, done
    assert text(daemon) == FILE + "# mine\n"
    assert "32M" in kept(tmp, done)


def test_a_daemon_that_is_replaced_in_the_meantime(daemon, tmp):
    shop(daemon)
    client = "%s --run %s reexec" % (daemon.program("vmkeep"), daemon.run)
    done = edit(daemon, tmp, client + " && sed -i s/16M/32M/")
    assert done.code == 0 and "Memory=32M" in done.out, done


def test_no_daemon_in_the_meantime(daemon, tmp):
    shop(daemon)
    done = edit(daemon, tmp, "kill -9 %d; sed -i s/16M/32M/" % next(
        pid for pid, line in daemon.processes().items() if line.split()[0].endswith("vmkeepd")))
    daemon.reap_daemon()
    daemon.daemon = None
    assert done.code == 10 and "32M" in kept(tmp, done), done
    daemon.start()


def test_who_may_edit(daemon, tmp):
    """Operators may edit, but not change what is reserved to root; nor owners what is not for them."""
    shop(daemon, "[VSock]\n")
    daemon.ok("set", "a", "VM.Owner=alice")
    before = text(daemon)
    for who in ({"user": "bob"}, {"user": "bob", "groups": ["vmkeep-view"]}):
        assert edit(daemon, tmp, SED + "s/16M/32M/", **who).code == 9
    done = edit(daemon, tmp, SED + "s/Owner=alice/Owner=bob/", user="alice")
    assert done.code == 9 and "only an operator" in done.err, done
    assert edit(daemon, tmp, SED + "s/16M/24M/", user="alice").code == 0
    assert edit(daemon, tmp, SED + "s/24M/16M/", user="alice").code == 0
    operator = {"user": "bob", "groups": ["vmkeep"]}
    for script in ("'$aCID=auto\\n[QEMU]\\nArgs=-snapshot'", "s,a.raw,/etc/shadow.raw,", "'$a[Boot]\\nKernel=/boot/vmlinuz'"):
        done = edit(daemon, tmp, SED + script, **operator)
        assert done.code == 9 and "only root" in done.err, done
    assert text(daemon) == before
    assert edit(daemon, tmp, SED + "s/16M/32M/", **operator).code == 0
    done = edit(daemon, tmp, SED + "'$a[QEMU]\\nArgs=-snapshot'")
    assert done.code == 0 and "Args=-snapshot" in done.out


def test_a_managed_file(daemon, tmp):
    shop(daemon, "X-Managed=ansible\n")
    done = edit(daemon, tmp, "touch %s/ran; true" % daemon.base)
    assert done.code == 3 and "managed by 'ansible'" in done.err
    assert not os.path.exists(daemon.base + "/ran"), "nobody edits for nothing"
    assert edit(daemon, tmp, SED + "s/16M/32M/", "--force").code == 0


def test_a_file_with_errors(daemon, tmp):
    """edit can repair a file with errors."""
    daemon.image("a.raw")
    daemon.write("a.vm", "[VM]\nMemory=1X\nColour=red\n[Disk root]\nPath=a.raw\n")
    daemon.write("a.vm.d/x.conf", "[VM]\nCPUs=2\n")
    assert edit(daemon, tmp, SED + "s/1X/16M/").code == 2
    done = edit(daemon, tmp, SED + "-e s/1X/16M/ -e /Colour/d")
    assert done.code == 0, done
    daemon.ok("check", "a")


def test_json(daemon, tmp):
    shop(daemon)
    done = edit(daemon, tmp, SED + "s/16M/32M/", "--json")
    assert [(row["vm"], row["key"], row["value"]) for row in json.loads(done.out)] == [("a", "Memory", "32M")]
    assert json.loads(edit(daemon, tmp, SED + "s/32M/1X/", "--json").out)[0]["error"]["class"] == "InvalidConfig"


def test_only_texts_of_ours(daemon):
    """vm-edit called directly: it takes only a version that vm-file returned, with a text."""
    shop(daemon)
    client = daemon.client()
    file = client.call("vm-file", name="a")
    for arguments in ({}, {"text": file["text"]}, {"version": file["version"]}, {"version": file["version"], "text": "!"},
                      {"version": "0" * 16, "text": file["text"]}):
        with pytest.raises(vmk.Error) as refused:
            client.call("vm-edit", name="a", **arguments)
        assert refused.value.error_class in ("Usage", "Conflict")
    assert client.call("vm-edit", name="a", version=file["version"], text=file["text"])["rows"] == []
    client.close()
    assert text(daemon) == FILE
