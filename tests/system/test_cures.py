# SPDX-License-Identifier: MIT
"""Hints about the command line, a VM's life and the daemon are followed to the letter, and then what was refused
works."""
import json
import os
import re
import shlex

import vmk
from cures import cure, disk, rows_of, vm


# --- the command line ---


@cure("did you mean '%s'?")
def a_typing_error(p, daemon):
    word, = re.findall("'(.*)'", p.refused("lst", code=2))
    daemon.ok(word)
    daemon.micro("web1")
    daemon.eventually(daemon.states, lambda found: "web1" in found)
    word, = re.findall("'(.*)'", p.refused("check", "wbe1", code=4))
    daemon.ok("check", word)
    daemon.write("lab.network", "[Network]\n")
    for verb in ("show", "leases", "start"):
        word, = re.findall("'(.*)'", p.refused("net", verb, "lba", code=4))
        daemon.ok("net", verb, word)
    daemon.write("web1.vm", vm(disk("web1.raw"), "[NIC lan]\nNetwork=lba\n", head="[VM]\nMemory=16M\n"))
    word, = re.findall("'(.*)'", p.refused("start", "web1", code=4))
    assert word == "lab" == re.findall("'(.*)'", p.told("web1"))[0]


@cure("leave that word out: vmkeep %s")
def the_name_of_another_program(p, daemon):
    for words in (["qm", "list"], ["virsh", "net-list"]):
        p.types(p.refused(*words, code=2))


@cure("vmkeep list shows which VMs there are")
def a_typing_error_of_harm(p, daemon):
    daemon.micro("web1")
    assert "web1" in p.types(p.refused("kill", "web2", code=4))
    p.refused("stop", "web", code=4)


@cure("vmkeep net list shows which networks there are")
def a_typing_error_that_would_cut_guests_off(p, daemon):
    daemon.ok("net", "start", "default")
    for words in (["defualt"], ["d?"], ["/etc/networks/"]):
        assert "default" in p.types(p.refused("net", "stop", *words))
    daemon.ok("net", "stop", "default")


@cure("'%s' is a VM: see vmkeep info %s")
def a_vm_for_a_network(p, daemon):
    daemon.micro("web1")
    daemon.ok("list")
    p.types(p.refused("net", "show", "web1", code=4))


@cure("vmkeep jobs lists those in progress")
def no_such_job(p, daemon):
    p.types(p.refused("job", "cancel", "7", code=4))


@cure("its serial ports are %s", "its serial port is %s")
def no_such_serial_port(p, daemon):
    daemon.micro("a")
    daemon.micro("b", extra="[Serial console]\n[Serial log]\nType=virtio\n")
    daemon.ok("start", "a", "b")
    for name, ports in (("a", ["console"]), ("b", ["console", "log"])):
        hint = p.refused("console", name, "--serial", "nolse", code=4)
        assert hint.split(" ", 4)[-1].split(", ") == ports, hint
        daemon.stream("console", name, "--serial", ports[-1]).end()


@cure("usage: vmkeep %s")
def a_missing_word(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    words = p.refused("wait", "a", code=2).split()[2:]
    daemon.ok(*[{"NAME": "a", "CONDITION": "running"}.get(word, word) for word in words if word[0] not in "[-T"])


@cure("write %.*s %s")
def a_missing_value(p, daemon):
    words = p.refused("stop", "a", "--timeout", code=2).split()[1:]
    daemon.micro("a")
    daemon.ok("stop", "a", *[{"TIME": "5"}.get(word, word) for word in words])


@cure("vmkeep %s")
def an_unknown_subcommand(p, daemon):
    hint = p.refused("net", "frob", code=2)
    daemon.ok(*hint.split("|")[0].split()[1:])


@cure("vmkeep help %s")
def a_missing_subcommand(p, daemon):
    p.check(re.search("hint: (.*)", daemon.fails(2, "net")).group(1))
    assert "net list" in daemon.ok("help", "net")


@cure("'vmkeep help' lists the commands")
def an_unknown_command(p, daemon):
    p.refused("frobnicate", code=2)
    assert "snapshot" in daemon.ok("help")


@cure("put -- before the command: vmkeep %s %s -- COMMAND...")
def an_option_of_the_program(p, daemon):
    daemon.micro("a")
    hint = p.refused("guest", "exec", "a", "uname", "-a", code=125)
    words = hint.split(": vmkeep ")[1].replace("NAME", "a").replace("COMMAND...", "uname -a").split()
    assert "is not running" in daemon.fails(125, *words), "the words are taken; the guest is off"


@cure("write a whole number with K, M, G or T, such as 512M")
def no_size(p, daemon):
    daemon.micro("a")
    example = p.refused("set-memory", "a", "lots", code=2).split()[-1]
    assert daemon.vmkeep("set-memory", "a", example).code == 5


@cure("write seconds, or a number with a unit, such as 2min")
def no_time(p, daemon):
    daemon.micro("a")
    daemon.ok("stop", "a", "--timeout", p.refused("stop", "a", "--timeout", "soon", code=2).split()[-1])


@cure("start it with 'vmkeepd --run %s', or name another with --run")
def no_daemon(p, daemon):
    daemon.stop_daemon()
    hint = p.refused("list", code=10)
    assert "--run %s'" % daemon.run in hint
    daemon.start()
    daemon.ok("list")


# --- the protocol ---


def answered(p, daemon, text):
    client = daemon.client()
    client.socket.sendall(text.encode() + b"\n")
    hint = client.receive()["error"]["hint"]
    client.close()
    return p.check(hint)


@cure("query-schema lists the verbs", "query-schema lists the arguments", "it takes no arguments")
def a_foreign_request(p, daemon):
    verbs = {v["execute"]: v for v in json.loads(daemon.ok("schema"))["verbs"]}
    answered(p, daemon, '{"execute": "frobnicate-all"}')
    answered(p, daemon, '{"execute": "vm-list", "arguments": {"frob": 1}}')
    assert answered(p, daemon, '{"execute": "debug-loop", "arguments": {"frob": 1}}') == "it takes no arguments"
    assert verbs["vm-list"]["arguments"] and not verbs["debug-loop"]["arguments"]
    daemon.client().call("debug-loop")


@cure("a request has the members execute, arguments and id", 'as in {"execute": "vm-list"}')
def not_a_request(p, daemon):
    answered(p, daemon, '{"execute": "vm-list", "frob": 1}')
    example = answered(p, daemon, '{"id": 1}').split("as in ")[1]
    client = daemon.client()
    client.socket.sendall(example.encode() + b"\n")
    assert "return" in client.receive()


# --- a VM's life ---


@cure("a VM is a file %s/%s.vm")
def no_such_vm(p, daemon):
    path = p.refused("start", "a", code=4).split("file ")[1]
    daemon.image("a.raw", "deaf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(vm(disk("a.raw")))
    daemon.ok("start", "a")


@cure("vmkeep start %s")
def not_running(p, daemon):
    daemon.micro("a")
    p.types(p.refused("pause", "a", code=5))
    daemon.ok("pause", "a")


@cure("vmkeep kill %s ends it", "vmkeep kill %s forces it off")
def a_deaf_guest(p, daemon):
    daemon.micro("a", "deaf")
    daemon.up("a")
    p.types(p.refused("stop", "a", "--timeout", "1", code=8))
    assert daemon.info("a")["state"] == "stopped"
    daemon.ok("stop", "a")


def a_job_that_does_not_end(daemon):
    daemon.image("a.raw", "deaf", "up\r\n")
    daemon.write("a.vm", vm(disk("a.raw"), head="[VM]\nMemory=128M\nNetworks=none\n"))
    daemon.up("a")
    daemon.ok("set-memory", "a", "100M", "--timeout", "1000", "--no-wait")


@cure("vmkeep job cancel %u cancels it")
def a_job_in_the_way(p, daemon):
    a_job_that_does_not_end(daemon)
    p.types(p.refused("set-memory", "a", "90M", code=3))
    assert "balloon driver" in daemon.fails(8, "set-memory", "a", "90M", "--timeout", "1")
    daemon.ok("kill", "a")


@cure("vmkeep reexec --force cancels it, if that is possible")
def a_job_in_the_way_of_an_upgrade(p, daemon):
    a_job_that_does_not_end(daemon)
    p.types(p.refused("reexec", "--timeout", "0", code=3))
    assert daemon.rows("jobs") == []
    daemon.ok("kill", "a")


@cure("it was left running; vmkeep check shows all problems; stop and start skip this check")
def a_reboot_that_would_fail(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.exec("mv", daemon.images + "/a.raw", daemon.images + "/b.raw")
    p.refused("reboot", "a")
    assert daemon.info("a")["state"] == "running"
    assert daemon.vmkeep("check", "a").code
    daemon.exec("mv", daemon.images + "/b.raw", daemon.images + "/a.raw")
    daemon.ok("reboot", "a")


@cure("forget is for VMs whose file is gone: remove the file first")
def forget_what_is_there(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("kill", "a")
    p.refused("forget", "a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    daemon.ok("forget", "a")


@cure("vmkeep set %s VM.Protect=no")
def delete_what_is_protected(p, daemon):
    daemon.micro("a")
    daemon.ok("set", "a", "VM.Protect=yes")
    p.refused("delete", "--yes", "a", code=3)
    daemon.ok("set", "a", "VM.Protect=no")
    daemon.ok("delete", "--yes", "a")


@cure("vmkeep set %s Lifecycle.%s-=%s && vmkeep rename %s %s && vmkeep set %s Lifecycle.%s+=%s")
def rename_what_others_name(p, daemon):
    daemon.micro("a")
    daemon.micro("b", extra="[Lifecycle]\nRequires=a\n")
    for command in p.refused("rename", "a", "c", code=3).split(" && "):
        daemon.ok(*command.split()[1:])
    assert "Requires=c" in daemon.ok("cat", "b")


@cure("choose another name, or move that image away")
def clone_to_what_is_there(p, daemon):
    daemon.micro("a")
    daemon.image("b.raw")
    p.refused("clone", "a", "b", code=3)
    daemon.ok("clone", "a", "c")
    os.rename(daemon.images + "/b.raw", daemon.images + "/old.raw")
    daemon.ok("clone", "a", "b")
    daemon.up("b")


@cure("vmkeep set %s Disk.%s.%s=%s")
def rename_what_paths_are_made_of(p, daemon):
    daemon.micro("a")
    daemon.ok("set", "a", "Disk.root.Path=%n.raw")
    daemon.ok(*p.refused("rename", "a", "c", code=3).partition("vmkeep ")[2].split())
    daemon.ok("rename", "a", "c")
    daemon.up("c")


@cure("vmkeep forget %s")
def delete_disks_that_a_lost_identity_may_name(p, daemon):
    daemon.micro("a")
    daemon.micro("b")
    daemon.up("b")
    daemon.ok("kill", "b")
    os.unlink(os.path.join(daemon.config, "b.vm"))
    daemon.ok("list")
    daemon.exec("sh", "-c", "echo {>%s/vms/b/identity.json" % daemon.state)
    p.types(p.refused("delete", "--yes", "--disks", "a", code=3))
    daemon.ok("delete", "--yes", "--disks", "a")


@cure("vmkeep kill %s")
def forget_what_runs(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    p.types(p.refused("forget", "a", code=5))
    daemon.ok("forget", "a")


@cure("vmkeep check names those whose file is gone", "restore the file, or: vmkeep forget %s")
def forgotten_already(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("kill", "a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    p.refused("forget", "b", code=4)
    row, = daemon.json("check")
    p.types(p.check(row["hint"]))
    assert daemon.ok("check") == "no problems\n"


@cure("restore the file; or shut the guest down with vmkeep stop %s")
def running_without_a_file(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    p.types(p.told())
    daemon.micro("a")
    assert daemon.ok("check", "a") == "no problems\n"


@cure("vmkeep resume %s")
def memory_of_a_paused_guest(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    daemon.ok("pause", "a")
    p.types(p.refused("set-memory", "a", "16M", code=5))
    assert "paused" not in daemon.vmkeep("set-memory", "a", "16M", "--timeout", "1").err


@cure("[Memory] Balloon=yes adds one at the next start")
def no_balloon(p, daemon):
    daemon.micro("a", extra="[Memory]\nBalloon=no\n")
    daemon.up("a")
    p.writes(p.refused("set-memory", "a", "16M", code=8))
    daemon.ok("reboot", "a")
    daemon.ok("set-memory", "a", "16M", "--timeout", "1")


@cure("raise [Memory] Max=, which applies at the next start")
def more_memory_than_there_is(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    p.writes(p.refused("set-memory", "a", "64M"), value="64M")
    daemon.ok("reboot", "a")
    daemon.ok("set-memory", "a", "64M", "--timeout", "1")


@cure("--force goes below it, down to 16M; [Memory] Min= changes it", "a guest that still boots has none yet; Linux's is virtio_balloon")
def less_memory_than_the_floor(p, daemon):
    daemon.micro("a", vm="")
    daemon.write("a.vm", vm(disk("a.raw"), head="[VM]\nMemory=128M\nNetworks=none\n"))
    daemon.up("a")
    hint = p.refused("set-memory", "a", "20M")
    option, = re.findall(r"--\w+", hint)
    p.refused("set-memory", "a", "20M", option, "--timeout", "1", code=8)
    p.writes(hint, value="16M")
    daemon.ok("reboot", "a")
    p.refused("set-memory", "a", "20M", "--timeout", "1", code=8)


@cure("set Enable=yes in [Agent], then restart the VM", "wait until the guest has booted, or install and start qemu-guest-agent in it")
def no_agent_port(p, daemon):
    daemon.micro("a", extra="[Agent]\nEnable=no\n")
    daemon.up("a")
    p.writes(p.refused("guest", "ping", "a", code=5))
    daemon.ok("reboot", "a")
    p.refused("guest", "ping", "a", code=5)


@cure("--timeout gives it more time", "%s %s", "vmkeep resume %s", "vmkeep guest thaw %s", "--collect runs a program without a shell")
def with_an_agent(p, daemon):
    from test_agent import boot
    console = boot(daemon)
    for how in ([], ["--collect"]):
        hint = p.refused("guest", "exec", "a", *how, "--timeout", "1", "/bin/sleep", "5", code=125)
        option, = re.findall(r"--\w+", hint)
        daemon.ok("guest", "exec", "a", *how, option, "60", "/bin/sleep", "1")
    console.run("mv /bin/sh /bin/no-sh")
    option, = re.findall(r"--\w+", p.refused("guest", "exec", "a", "/bin/echo", "x", code=125))
    assert daemon.ok("guest", "exec", "a", option, "/bin/echo", "x") == "x\n"
    console.run("mv /bin/no-sh /bin/sh")  # the guest's shutdown is a script
    daemon.ok("pause", "a")
    p.types(p.refused("guest", "ping", "a", code=5))
    daemon.ok("guest", "ping", "a")
    daemon.ok("guest", "freeze", "a", "--timeout", "60")
    p.types(p.refused("guest", "freeze", "a"))
    daemon.ok("guest", "freeze", "a", "--timeout", "60")
    daemon.ok("guest", "thaw", "a")
    p.types(p.refused("guest", "command", "a", '{"execute": "guest-shutdown"}', code=2))
    assert daemon.info("a")["state"] == "stopped"


# --- the daemon and the host ---


@cure("systemctl status vmkeepd, or start this one with another %s", "stop it first, or start this one with another --run directory")
def a_second_daemon(p, daemon):
    argv = daemon.daemon_argv()
    done = daemon.exec("sh", "-c", shlex.join(argv) + " 2>&1; true")
    option = re.search(r"another (--\w+)|own (--\w+)", done)
    assert option, done
    for line in done.splitlines():
        if "hint" in line:
            p.check(line.split("hint: ")[1])


@cure("MaxClientsPerUser= in vmkeep.conf", "members of the group vmkeep may have as many as MaxClientsPerUser=")
def too_many_clients(p, daemon):
    daemon.write("vmkeep.conf", vmk.DEFAULTS + "[Daemon]\nMaxClientsPerUser=2\n")
    daemon.ok("reload")
    clients = [vmk.Client(daemon.socket, uid=vmk.USERS["alice"]) for _ in range(2)]
    hint = p.refused("version", user="alice", groups=["vmkeep"])
    p.set("vmkeep.conf", "[Daemon]", p.keys(hint)[0][0], "9")
    daemon.ok("reload")
    daemon.ok("version", user="alice", groups=["vmkeep"])
    for client in clients:
        client.close()


@cure("join group vmkeep-view (look) or vmkeep (operate), or use sudo",
      "join group vmkeep-create (own VMs) or vmkeep (all), or use sudo",
      "join group vmkeep, or be named by Owner= in the VM's file, or use sudo", "join group vmkeep, or use sudo", "only root may do this: use sudo")
def not_allowed(p, daemon):
    daemon.micro("a")
    groups = re.findall(r"\bvmkeep(?:-view)?\b", p.refused("list", code=9, user="alice"))
    for group in groups:
        daemon.ok("list", user="alice", groups=[group])
    p.writes(p.refused("start", "a", code=9, user="alice"), 0, "[VM]", "alice")
    daemon.ok("start", "a", user="alice")
    for group in re.findall(r"\bvmkeep(?:-create)?\b", p.refused("create", "n", "--disk", "1M", code=9, user="alice")):
        daemon.ok("create", "n-" + group, "--disk", "1M", user="alice", groups=[group])
    group, = re.findall(r"\bvmkeep\b", p.refused("reload", code=9, user="alice"))
    daemon.ok("reload", user="alice", groups=[group])
    p.refused("reexec", code=9, user="alice")
    daemon.ok("reexec")


test_cure = rows_of(__name__)
