# SPDX-License-Identifier: MIT
"""Hints about keys, networks and snapshots are followed to the letter, and then what was refused works."""
import json
import os
import re

import pytest

from cures import cure, disk, rows_of, vm


# --- keys ---


@cure("write UUID=%s, or remove the line; another machine needs a file of another name")
def another_uuid(p, daemon):
    daemon.micro("a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    p.set("a.vm", "[VM]", "UUID", "11111111-2222-3333-4444-555555555555")
    p.writes(p.refused("start", "a"), 0, "[VM]")
    daemon.ok("start", "a")


@cure("remove UUID= from the copy; if the VM was renamed, remove the old file", "stop that VM first; its state then moves here",
      "%svmkeep start %s says how to fix it")
def a_copied_file(p, daemon):
    daemon.micro("a", vm="UUID=11111111-2222-3333-4444-555555555555\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.image("b.raw", "deaf")
    daemon.write("b.vm", vm(disk("b.raw"), head="[VM]\nMemory=16M\nNetworks=none\nUUID=11111111-2222-3333-4444-555555555555\n"))
    p.removes(p.refused("start", "b"), "[VM]", file="b.vm")
    daemon.ok("start", "b")


@cure("set Machine= to one that it supports, such as %s")
def an_unknown_machine(p, daemon):
    daemon.micro("a", vm="Machine=pc-q35-9.9\n")
    known = re.findall(r"pc-[\w.-]+", p.refused("start", "a", code=2))
    p.set("a.vm", "[VM]", "Machine", known[-1])
    daemon.ok("start", "a")








@cure("install qemu-system-x86, or correct Binary=", "install QEMU below /usr",
      "install the package qemu-system-x86, or write Binary= in [QEMU]")
def no_qemu(p, daemon):
    daemon.micro("a", extra="[QEMU]\nBinary=/usr/bin/qemu-system-none\n")
    p.refused("start", "a")
    p.set("a.vm", "[QEMU]", "Binary", "/usr/bin/qemu-system-x86_64")
    daemon.ok("start", "a")


@cure("%swrite Accel=tcg or Accel=auto in [VM] to continue without KVM", "mknod -m 660 /dev/kvm c %d %d; a container must be given the device",
      "modprobe %s; if that fails, dmesg shows why",
      "enable VT-x or AMD-V in the firmware (BIOS) setup; if this host is itself a virtual machine, its own host must "
      "allow nested virtualisation")
def no_kvm(p, daemon):
    daemon.micro("a", "deaf", vm="Accel=kvm\n")
    with daemon.devices():
        hint = p.refused("start", "a", code=11)
        p.writes(hint if "Accel=tcg" in hint else "write Accel=tcg", 0, "[VM]")
        daemon.ok("start", "a")
        daemon.ok("kill", "a")


@cure("stop other guests, add memory or swap, or write a smaller Memory=")
def too_much_memory(p, daemon):
    daemon.micro("a")
    p.set("a.vm", "[VM]", "Memory", "60T")
    p.writes(p.refused("start", "a", code=11), 0, "[VM]", "16M")
    daemon.ok("start", "a")


@cure("stop it, or use Port=auto in [Display] for a free one")
def a_port_that_is_taken(p, daemon):
    daemon.micro("a", extra="[Display]\nListen=127.0.0.1\nPort=5977\nAllowNoPassword=yes\n")
    holder = daemon.stream_of("python3", "-c", "import socket,time\ns=socket.create_server(('127.0.0.1',5977))\n"
                              "print('listens',flush=True)\ntime.sleep(999)")
    try:
        holder.until("listens")
        p.writes(p.told())
        assert daemon.json("check", "a") == []
        daemon.ok("start", "a")
    finally:
        holder.end()


@cure("modprobe vhost_vsock, or remove CID= from [VSock]")
def no_vsock(p, daemon):
    daemon.micro("a", extra="[VSock]\nCID=auto\n")
    with daemon.devices():
        p.removes(p.refused("start", "a"), "[VSock]")
        daemon.ok("start", "a")
        daemon.ok("kill", "a")


@cure("run vmkeepd under systemd, mount that controller, or remove the line from [Limits]")
def limits_without_control_groups(p, daemon):
    daemon.micro("a", extra="[Limits]\nCPUQuota=50%\n")
    result = daemon.vmkeep("start", "a")
    if result.code == 0:
        pytest.skip("control groups are here")
    p.check(re.search(r"hint: (.*)", result.err).group(1))
    p.set("a.vm", "[Limits]", "CPUQuota", None)
    daemon.ok("start", "a")


@cure("%s -cpu help lists all", "%s%s%s%s -cpu help lists all", "qemu-system-x86_64 -cpu help lists what CPU.Model= may be",
      "did you mean %c%s?", "remove it from Features= in [CPU]")
def an_unknown_processor(p, daemon):
    daemon.micro("a", extra="[CPU]\nModel=i386\n")
    told = p.refused("start", "a").split("; ")[-1]
    assert "qemu64" in daemon.exec("sh", "-c", told.replace(" lists all", ""))
    p.set("a.vm", "[CPU]", "Model", "qemu64")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    p.set("a.vm", "[CPU]", "Features", "+avxx")
    hint = p.refused("start", "a")
    p.set("a.vm", "[CPU]", "Features", None)
    daemon.ok("start", "a")


@cure("write a smaller Max= in [Memory], or add memory or swap", "stop other guests, add memory or swap, or write a smaller Memory=")
def too_much_memory_later(p, daemon):
    daemon.micro("a", extra="[Memory]\nMax=60T\n")
    p.writes(p.refused("start", "a"), 0, "[Memory]", "32M")
    daemon.ok("start", "a")


@cure("ls /usr/share/qemu/keymaps lists what Keymap= may be")
def an_unknown_keymap(p, daemon):
    daemon.micro("a", extra="[Display]\nKeymap=xx\n")
    hint = p.refused("start", "a")
    known = daemon.exec("sh", "-c", hint.split(" lists")[0]).split()
    p.writes(hint, 0, "[Display]", "de" if "de" in known else known[0])
    p.set("a.vm", "[Display]", "Keymap", "de")
    daemon.ok("start", "a")


@cure("without MACAddress= each NIC has one of its own", "without Address= each NIC has one of its own",
      "Port=auto takes a free one", "CID=auto takes a free one")
def claimed_twice(p, daemon):
    for section, lines in (("[NIC lan]", "MACAddress=52:54:00:00:00:07"), ("[NIC lan]", "Address=192.168.122.7"),
                           ("[Display]", "Listen=127.0.0.1\nPort=5977\nAllowNoPassword=yes"), ("[VSock]", "CID=77")):
        for name in "ab":
            daemon.micro(name, extra="%s\n%s\n" % (section, lines))
        rows = json.loads(daemon.vmkeep("--json", "check", "b").out)
        key, value = p.keys(p.check(next(row["hint"] for row in rows if "VM 'a' also has" in row["reason"])))[0]
        p.set("b.vm", section, key, value or None)
        assert "also has" not in daemon.vmkeep("check", "b").out


@cure("give each VM an address of its own")
def told_twice(p, daemon):
    for name in "ab":
        daemon.micro(name, extra="[NIC lan]\nBridge=br0\nAddress=10.0.0.5/24\n[CloudInit]\nUser=anna\n")
    rows = json.loads(daemon.vmkeep("--json", "check", "b").out)
    p.check(next(row["hint"] for row in rows if "VM 'a' also has" in row["reason"]))
    p.set("b.vm", "[NIC lan]", "Address", "10.0.0.6/24")
    assert "also has" not in daemon.vmkeep("check", "b").out


@cure("chmod o-r %s", "write it to that file, in the first line")
def a_password_file(p, daemon):
    path = daemon.write("secret", "")
    daemon.micro("a", extra="[Display]\nListen=127.0.0.1\nPassword=secret\n")
    os.chmod(path, 0o640)
    p.told()
    daemon.write("secret", "sesam\n")
    os.chmod(path, 0o644)
    p.runs(p.told(), "chmod")
    assert daemon.json("check", "a") == []
    daemon.ok("start", "a")


# --- create and set ---


@cure("--image for a disk based on an image, --disk 20G for a new disk, --disk PATH for one that is there, --iso for a CD",
      "write address= behind the network: --network default,address=%s", "vmkeep edit %s changes it",
      "choose a name that differs in more than case, and as a DNS name", "vmkeep forget %s removes it; or choose another name")
def a_new_vm_that_cannot_be(p, daemon):
    p.refused("create", "new", code=2)
    for words in (["--disk", "20G"], ["--disk", daemon.image("b.raw")], ["--iso", "x.iso"]):
        daemon.ok("create", "new", "--dry-run", *words)
    two = ["new", "--disk", "20G", "--network", "default", "--network", "lab"]
    told = p.refused("create", *two, "--address", "192.168.122.7", code=2).split()[-1]
    daemon.ok("create", *two[:-4], "--network", told)
    p.refused("create", "new", "--disk", "20G", code=3)
    daemon.ok("edit", "new", env={"VISUAL": "true"})
    p.refused("create", "New", "--disk", "20G", code=3)
    daemon.ok("create", "newer", "--disk", "20G", "--network", "none")
    daemon.micro("a")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    p.types(p.refused("create", "a", "--disk", "20G", code=3))
    daemon.ok("create", "a", "--disk", "20G", "--network", "none")


@cure("did you mean '%s%s%s.%s'?", "write = in place of += and -=", "write Section.Key=value, such as VM.Memory=2G", "write %.*s",
      "--force changes it all the same")
def a_change_that_is_mistyped(p, daemon):
    daemon.micro("a")
    for word in ("Memory=32M", "vm.Memory=32M", "VM.Memry=32M", "Memory.Memory=32M", "VM.x.Memory=32M"):
        told, = re.findall("'(.*)'", p.refused("set", "a", word, code=2))
        daemon.ok("set", "a", told + "=32M")
    told, = re.findall("'(.*)'", p.refused("set", "a", "Disk.Cache=unsafe", code=2))
    daemon.ok("set", "a", told.replace("ID", "root") + "=unsafe")
    p.refused("set", "a", "VM.Memory+=32M", code=2)
    daemon.ok("set", "a", "VM.Memory=32M")
    daemon.ok("set", "a", p.refused("set", "a", "bananas", code=2).split()[-1])
    daemon.ok("unset", "a", p.refused("unset", "a", "VM.Memory=2G", code=2).split()[-1])
    p.set("a.vm", "[VM]", "X-Managed", "ansible")
    daemon.ok("set", "a", "VM.Memory=32M", p.refused("set", "a", "VM.Memory=32M", code=3).split()[0])


@cure("VISUAL or EDITOR in the environment names another editor")
def an_editor_that_fails(p, daemon):
    daemon.micro("a")
    p.refused("edit", "a", env={"VISUAL": "", "EDITOR": "false"}, code=1)
    daemon.ok("edit", "a", env={"VISUAL": "", "EDITOR": "sed -i s/16M/32M/"})


# --- networks ---


NIC = "[NIC lan]\nNetwork=lab\n"
LAB = "[Network]\nBridge=vklab\nAddress=10.77.0.1/24\n"


@cure("its file would be %s/%s.network")
def no_such_network(p, daemon):
    daemon.micro("a", extra=NIC)
    path = p.refused("start", "a").split("would be ")[1]
    with open(path, "w", encoding="utf-8") as f:
        f.write(LAB)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "lab")
    os.unlink(path)


@cure("write the lines in the file itself")
def drop_ins_of_a_network(p, daemon):
    daemon.write("lab.network", "[Network]\n")
    daemon.write("lab.network.d/dns.conf", "[DNS]\nEnable=no\n")
    p.check(daemon.json("check")[0]["hint"])
    os.rename(os.path.join(daemon.config, "lab.network.d/dns.conf"), os.path.join(daemon.config, "lab.network"))
    os.rmdir(os.path.join(daemon.config, "lab.network.d"))
    assert daemon.json("check") == [] and not daemon.one("net", "show", "lab")["dns"]["enabled"]


@cure("stop the VMs first, or disconnect them: vmkeep net stop --force %s")
def a_network_in_use(p, daemon):
    daemon.write("lab.network", LAB)
    daemon.micro("a", extra=NIC)
    daemon.ok("start", "a")
    p.types(p.refused("net", "stop", "lab"))
    daemon.ok("net", "stop", "lab")
    daemon.ok("kill", "a")


@cure("write the name of a bridge, or Network= instead")
def no_bridge(p, daemon):
    daemon.exec("ip", "link", "add", "br7", "type", "veth", "peer", "name", "br7x")
    daemon.exec("sh", "-c", "ip link add br8 type bridge && ip link set br8 up")
    daemon.micro("a", extra="[NIC lan]\nBridge=br7\n")
    p.refused("start", "a")
    daemon.micro("a", extra="[NIC lan]\nBridge=br8\n")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("ip", "link", "del", "br7")
    daemon.exec("ip", "link", "del", "br8")


@cure("create it (ip link add %s type bridge), or write Network= instead")
def no_such_bridge(p, daemon):
    daemon.micro("a", extra="[NIC lan]\nBridge=br7\n")
    p.refused("start", "a")
    p.runs(p.told(), "ip")
    daemon.exec("ip", "link", "set", "br7", "up")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.exec("ip", "link", "del", "br7")


@cure("write another name at Bridge= in %s.network, or use it as it is with Bridge= in the [NIC] section")
def a_bridge_of_others(p, daemon):
    daemon.exec("ip", "link", "add", "vklab", "type", "bridge")
    daemon.write("lab.network", LAB)
    p.writes(p.refused("net", "start", "lab"), 0, "[Network]", "vklab2", "lab.network")
    daemon.ok("net", "start", "lab")
    daemon.ok("net", "stop", "lab")
    daemon.exec("ip", "link", "del", "vklab")


@cure("write another Address= in %s.network, or Address=auto", "write a free one: Address= in %s.network")
def an_address_of_others(p, daemon):
    daemon.exec("sh", "-c", "ip link add br7 type bridge && ip addr add 10.77.0.9/24 dev br7 && ip link set br7 up")
    daemon.write("lab.network", LAB)
    hint = p.refused("net", "start", "lab")
    p.writes(hint, len(p.keys(hint)) - 1, "[Network]", "10.78.0.1/24", "lab.network")
    daemon.ok("net", "start", "lab")
    daemon.ok("net", "stop", "lab")
    daemon.exec("ip", "link", "del", "br7")


SMALL = LAB + "[DHCPServer]\nRange=10.77.0.10-10.77.0.10\n"


@cure("give it a larger Address= or Range=", "%s%s hold%s addresses, but no file: vmkeep forget %s",
      "VM '%s' has no file: restore it, or vmkeep forget %s")
def a_full_network(p, daemon):
    daemon.write("lab.network", SMALL)
    for name in "ab":
        daemon.micro(name, extra=NIC)
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    os.unlink(os.path.join(daemon.config, "a.vm"))
    p.types(p.refused("start", "b"))
    daemon.ok("start", "b")
    daemon.ok("kill", "b")
    os.unlink(daemon.images + "/a.raw")  # marked as the one's that was forgotten
    daemon.micro("a", extra=NIC)
    hint = p.refused("start", "a")
    p.writes(hint, 1, "[DHCPServer]", "10.77.0.10-10.77.0.99", "lab.network")
    daemon.ok("net", "stop", "lab")
    daemon.ok("start", "a")
    daemon.ok("kill", "a")
    daemon.ok("net", "stop", "lab")


@cure("vmkeep reload switches it on again")
def forwarding_was_switched_off(p, daemon):
    daemon.ok("net", "start", "default")
    daemon.exec("sysctl", "-qw", "net.ipv4.ip_forward=0")
    p.types(p.host("IP forwarding"))
    assert daemon.exec("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    daemon.ok("net", "stop", "default")


@cure("restrict it to addresses of its own (listen-on, interface=), or write [DNS] Enable=no in the .network file",
      "restrict it to interfaces of its own, or stop it")
def port_53_is_taken(p, daemon):
    holder = daemon.stream_of("python3", "-c", "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                              "s.bind(('0.0.0.0',53))\nprint('listens',flush=True)\ntime.sleep(999)")
    try:
        holder.until("listens")
        section, key, value = re.search(r"(\[\w+\]) (\w+)=(\w+)", p.host("port 53")).groups()
        daemon.write("lab.network", LAB)
        p.set("lab.network", section, key, value)
        daemon.ok("net", "start", "lab")
        daemon.ok("net", "stop", "lab")
    finally:
        holder.end()


# --- snapshots ---


@cure("vmkeep snapshot list %s lists them")
def no_such_snapshot(p, daemon):
    daemon.micro("a", disk="qcow2")
    daemon.ok("snapshot", "create", "a", "s1")
    assert "s1" in p.types(p.refused("snapshot", "revert", "a", "s2", code=4))
    daemon.ok("snapshot", "revert", "a", "s1")


@cure("a letter or _ first, then at most 62 letters, digits, '_', '.' and '-'")
def a_snapshot_with_an_odd_name(p, daemon):
    daemon.micro("a", disk="qcow2")
    p.refused("snapshot", "create", "a", "1")
    daemon.ok("snapshot", "create", "a", "s1")


@cure("stop it, qemu-img convert -f raw -O qcow2 OLD NEW.qcow2, and name that in Path=; or ReadOnly=yes")
def a_snapshot_of_a_raw_disk(p, daemon):
    daemon.micro("a")
    daemon.up("a")
    hint = p.refused("snapshot", "create", "a", "s1")
    daemon.ok("stop", "a")
    p.runs(hint.replace(" OLD NEW.qcow2", " %s/a.raw %s/a.qcow2" % (daemon.images, daemon.images)), "qemu-img")
    p.set("a.vm", "[Disk root]", "Path", "a.qcow2")
    daemon.up("a")
    daemon.ok("snapshot", "create", "a", "s1")


@cure("vmkeep stop %s first")
def a_snapshot_without_memory(p, daemon):
    daemon.micro("a", disk="qcow2")
    daemon.ok("snapshot", "create", "a", "s1")
    daemon.up("a")
    p.types(p.refused("snapshot", "revert", "a", "s1", code=5))
    daemon.ok("snapshot", "revert", "a", "s1")


test_cure = rows_of(__name__)
