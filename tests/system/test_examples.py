# SPDX-License-Identifier: MIT
"""Documentation is tested: every example of the manuals and the README, and every value that a message gives as one.

New examples are found automatically. What a test cannot run is listed here, with the reason.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess

import pytest

import test_stores_program
import vmk

PAGES = sorted(glob.glob(vmk.ROOT + "/conf/*.in") + glob.glob(vmk.ROOT + "/supervisor/*.in")
               + glob.glob(vmk.ROOT + "/supervisor/*/*.in"))
# parts of examples that this machine cannot provide, and their replacements
ADAPTED = {
    "/dev/vg0/db1-data": "/srv/db1-data.raw",  # no volume group
    "Memory=8G": "Memory=128M", "Max=16G": "Max=256M", "Min=4G": "Min=64M", "Memory=2G": "Memory=64M",
    "Owner=alice @dba": "Owner=alice @bob",
}
# blocks that are not files of ours, by a word in them
OTHERS = {
    "[Service]": "a unit inside the guest",
    "mail -s": "a hook of the operator's, needs a mailer",
    "chattr +P": "ext4 with project quotas", "xfs_quota": "XFS with project quotas",
    "snapshot revert web1 monday finishes it": "what a torn revert looks like: test_torn.py",
    "ssh root@": "a guest with an SSH server: its other lines are in COMMANDS",
    '{"QMP"': "messages of the protocol: test_control.py", '{"execute": "vm-start"': "likewise",
    '{"error"': "likewise", '{"event"': "likewise",
    "make demo": "it is what builds and tests this", "scripts/setup": "installs packages",
}
# the VM and network files that an example names
NAMED = re.compile(r"^# (?:/etc/vmkeep/)?([\w.-]+\.(?:vm|network)(?:\.d/[\w.-]+)?)(?:: .*)?$", re.M)


def blocks():
    """(page:line, text) of each displayed example."""
    found = []
    for page in PAGES + [vmk.ROOT + "/README.md"]:
        text, begin = vmk.read_text(page), r"^```(?:ini|sh)\n" if page.endswith(".md") else r"^\.Bd -literal[^\n]*\n"
        for match in re.finditer(begin + r"(.*?)^(?:```|\.Ed)$", text, re.M | re.S):
            found.append(("%s:%d" % (os.path.basename(page), text[:match.start(1)].count("\n")),
                          match.group(1).replace("\\e", "\\").replace("\\-", "-").replace("\\&", "")))
    assert len(found) > 20
    return found


def other(text):
    return any(word in text for word in OTHERS)


def is_conf(text):
    return re.search(r"^\[\w+[^]]*\]$", text, re.M) and not other(text)


@contextlib.contextmanager
def host(world):
    """What the examples expect of their host. (Not on a tmpfs, on which a guest can write to an image only from Linux
    6.3 on.)"""
    for place in ("/srv", "/boot"):
        os.mkdir(world.base + place)
        world.exec("mount", "--bind", world.base + place, place)
    for bridge in ("br0", "br-storage"):
        world.exec("ip", "link", "add", bridge, "type", "bridge")
    os.makedirs(world.inner("/srv/iso"))
    shutil.copy(os.path.join(vmk.GUEST, "vmlinuz"), world.inner("/boot/vmlinuz"))
    os.makedirs(os.path.join(world.state, "guest"))
    shutil.copy(os.path.join(vmk.GUEST, "initrd"), os.path.join(world.state, "guest"))
    image = world.image("any.raw", "polite", "up\r\n")
    shutil.copy(image, world.inner("/srv/db1-data.raw"))
    shutil.copy(image, world.inner("/srv/iso/debian-12.iso"))
    yield
    world.ok("kill", "*") if world.states() else None
    for bridge in ("br0", "br-storage"):
        world.exec("ip", "link", "del", bridge)
    for place in ("/srv", "/boot"):
        world.exec("umount", "--lazy", place)


def write_files(world, text):
    """Writes the files of one block; returns the names of its VMs. A part of a file is put into a complete one."""
    for old, new in ADAPTED.items():
        text = text.replace(old, new)
    names = NAMED.findall(text)
    parts = NAMED.split(text)[2::2] if names else [text]
    vms = set()
    for name, part in zip(names or ["lone.vm"], parts):
        whole = "[VM]" in part or "[Network]" in part
        disk = "" if re.search(r"^\[Disk|^Kernel=|\.network$|\.d/", part + name, re.M) else "[Disk root]\nPath=%s.raw\n" % name.split(".")[0]
        if name == "lone.vm" and not whole:
            part = "[VM]\nMemory=64M\n" + part
        world.write(name, part + disk)
        if disk:
            world.image(name.split(".")[0] + ".raw", "polite", "up\r\n")
        bases = re.findall(r"^Base=(.*)", part, re.M)
        for base in bases:
            world.image(base, "polite", "up\r\n")
        for path in re.findall(r"^Path=([\w.-]+\.(?:raw|qcow2))$", part, re.M):
            full = os.path.join(world.images, path)
            if bases:
                world.exec("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
                           os.path.join(world.images, bases[0]), full)
            elif "Size=" not in part and not os.path.exists(full):
                world.image(path, "polite", "up\r\n")
        if ".vm" in name:
            vms.add(name.split(".")[0])
    for name in vms:
        if not os.path.exists(os.path.join(world.config, name + ".vm")):  # only a drop-in
            world.image(name + ".raw", "polite", "up\r\n")
            world.write(name + ".vm", "[VM]\nNetworks=none\n[Disk root]\nPath=%s.raw\n" % name)
    return sorted(vms)


@pytest.mark.parametrize("where,text", [pytest.param(*b, id=b[0]) for b in blocks() if is_conf(b[1])])
def test_files(world, linux, where, text):
    needs_lab = "lab" in text and "[Network]" not in text
    with host(world):
        if "[Daemon]" in text or "[Store" in text:
            os.makedirs(world.inner("/srv/images"))
            shutil.copy(os.path.join(world.images, "any.raw"), world.inner("/srv/images/lone.raw"))
            defaults = "" if "[Daemon]" in text else vmk.DEFAULTS
            path = world.write("vmkeep.conf", defaults + text.replace("VM.Accel=auto", "VM.Accel=tcg"))
            world.start()
            assert world.ok("check", path) == "no problems\n"
            text = "[VM]\nMemory=64M\n[NIC lan]\n"
        else:
            if "Store=nas" in text:
                store = os.path.join(world.state, "nas")
                os.mkdir(store, 0o700)
                path = os.path.join(world.config, "vmkeep.conf")
                world.write("vmkeep.conf", vmk.read_text(path) + "[Store nas]\nPath=%s\n" % store)
            if "Store=fast" in text:
                test_stores_program.Store(world)
            world.start()
        if needs_lab:
            lab, = (t for _, t in blocks() if "lab.network" in t)
            write_files(world, lab)
        vms = write_files(world, text)
        rows = vmk.json.loads(world.vmkeep("--json", "check").out)
        assert all("may still grow" in row["reason"] for row in rows), (where, rows)  # depends on this host
        for name in vms:
            how = ["--no-wait"] if "tcp:5432" in text else []  # there is no database to answer
            world.ok("start", *how, name)
            world.wait_state(name, "running")
        if not vms:
            world.ok("net", "start", "lab")
            world.ok("net", "stop", "lab")


# --- commands ---

# placeholders in the manuals, and their values
VARIABLES = {"create kvm-demo": "create kvm-new --dry-run", "create web1": "create web-new", "NAME": "web1", "COMMAND": "list", "FILE": "web1.vm", "/etc/vmkeep/": "%(config)s/", "monday --disks-only": "monday", "image prune --all": "image prune --all --yes",
             "vmkeep console web1": "timeout 3 vmkeep console web1"}
# Exit codes other than 0 that are right, by a part of the command
CODES = {"timeout 3 ": 124, "timeout 5 ": 124}
# Commands that are not run, by a part of the command, and why
NOT_RUN = {
    "\\|": "several verbs in a cell of a table", "set-memory": "no balloon in 512 bytes: test_tutorial.py",
    "scp notes": "there is no guest with an SSH server", "vmkeep ssh": "likewise: test_ssh.py",
    "clone kvm-demo": "kvm-demo runs here: test_clone.py", "rename kvm-demo": "likewise: test_rename.py",
    "delete --disks shop": "likewise: test_trash.py",
    "image fetch": "no network: test_image_fetch.py", "--image ": "it was not fetched: test_create_seed.py",
    "prepare debian": "no VM here has that name: test_template_prepare.py", "clone debian": "likewise: test_template_clones.py", "--template debian": "likewise",
    "guest exec": "no guest agent in 512 bytes: test_exec.py", "guest push": "likewise", "guest pull": "likewise",
    "run builder": "likewise: test_run_command.py",
    "wait web1 ip": "web1 of this test is no Linux: test_network.py",
}


def commands():
    """Each command line once: from displays, from the text, and from the README."""
    found = []
    for page in PAGES:
        for match in re.finditer(r"^\.(?:Ql|Dl) (vmkeep .*)$", vmk.read_text(page), re.M):
            found.append(re.sub(r"(?: [,.;:()]+)+$", "", match.group(1)))
    found += re.findall(r"`(vmkeep [^`]*)`", vmk.read_text(vmk.ROOT + "/README.md").replace("\n", " "))
    for _, text in blocks():
        if not is_conf(text):
            found += [line for line in text.splitlines() if re.search(r"\bvmkeep [-a-z]", line) and not other(line)]
    clean = [re.sub(r"\s+#.*|^\$ |\bsudo ", "", c.replace("\\-", "-").replace("\\&", "").rstrip()) for c in found]
    return sorted({c for c in clean if not c.startswith(("hint:", "vmkeep: "))})


def test_commands(world, linux):
    """A command that only mentions a verb must name an existing one; a line with arguments is run, in order from
    start to stop."""
    verbs, lines = set(), []
    for command in commands():
        words = command.split()
        if any(part in command for part in NOT_RUN):
            continue
        if command.startswith("vmkeep ") and re.fullmatch(r"vmkeep( [a-z]+(-[a-z]+)*){1,2}", command) \
                and not re.search(r"web|demo| default$", command):
            verbs.add(" ".join(words[1:]))
        else:
            lines.append(command)
    assert len(verbs) > 20 and len(lines) > 20, (verbs, lines)
    for name in ("web1", "web2", "kvm-demo"):
        world.micro(name, "polite", "up\r\n", disk="qcow2")
        world.write(name + ".vm", "[VM]\nMemory=400M\n[Disk root]\nPath=%s.qcow2\n" % name)
    place = os.path.join(world.base, "bin")
    os.makedirs(place)
    with open(os.path.join(place, "vmkeep"), "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexec %s --run %s \"$@\"\n" % (world.program("vmkeep"), world.run))
    os.chmod(f.name, 0o755)
    world.start()
    for verb in sorted(verbs):
        assert verb == "help" or world.ok("help", *verb.split()), verb
    first = ["start", "console", "snapshot create"]
    last = ["reboot", "revert", "stop", "kill", "shutdown", "forget", "destroy"]

    def order(line):
        return next((i for i, w in enumerate(first) if w in line), 3 + next((i for i, w in enumerate(last, 1) if w in line), 0))
    for line in sorted(lines, key=order):
        for old, new in VARIABLES.items():
            line = line.replace(old, new % {"config": world.config} if "%" in new else new)
        line = re.sub(r"\bweb1\.vm\b", world.config + "/web1.vm", line)
        if "forget" in line:  # works only for a VM without a file
            os.unlink(os.path.join(world.config, "web1.vm"))
        if "revert" in line:
            world.ok("snapshot", "create", "web1", "monday")
        code, out = run(world, line, place)
        assert code == next((c for part, c in CODES.items() if part in line), 0), (line, code, out)
        if "kvm-demo" in line and ("stop" in line or "kill" in line):
            world.ok("start", "kvm-demo")


def run(world, line, place):
    done = subprocess.run(world.inside(["env", "-C", "/", "VISUAL=true", "PATH=%s:%s" % (place, os.environ["PATH"]), "bash", "-c", line]),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * vmk.SLOW, check=False)
    return done.returncode, done.stdout + done.stderr


# --- values ---

# Values that need something that this host may lack: (key, value): what check then reports
NEEDS = {("Model", "host"): "KVM", ("Model", "EPYC-Rome"): "TCG lacks CPU features", ("CPUQuota", "150%"): "control group",
         ("TimeoutStopSec", "infinity"): "when the host shuts down", ("Size", "512M"): "applies only"}


def complaints(world):
    """{(file, section with its id, key): message} for the lines of check."""
    found = {}
    for line in world.vmkeep("check").out.splitlines() + world.vmkeep("check").err.splitlines():
        match = re.match(r"(.*?):(\d+): (\w+): (.*)", line)
        if match:
            lines = vmk.read_text(match.group(1)).splitlines()[:int(match.group(2))]
            section = [text for text in lines if text.startswith("[")][-1]
            found[os.path.basename(match.group(1)), section, match.group(3)] = match.group(4)
    return found


def test_values(daemon):
    """A value that a message gives after "such as" is accepted."""
    daemon.micro("a", extra="[CDROM c]\n[NIC n]\nBridge=x\n")
    shown = daemon.ok("cat", "a", "--effective")
    nonsense = re.sub(r"^(\w+)=.*", r"\1=?!", shown, flags=re.M)
    daemon.write("a.vm", nonsense)
    daemon.write("lab.network", "[Network]\nAddress=?!\n[DHCPServer]\nRange=?!\n")
    tried = 0
    for (file, section, key), text in complaints(daemon).items():
        match = re.search(r"such as ([^ ,]+)(?:(?:, ([^ ,]+))? or ([^ ,]+))?", text)
        for value in filter(None, match.groups() if match else ()):
            os.unlink(os.path.join(daemon.config, "lab.network"))
            base = "[VM]\nMemory=512M\nNetworks=none\n[Disk root]\nPath=a.raw\n"
            if file == "a.vm":
                head = section + "\n" if section not in base else ""
                body = "%s%s=%s\n" % (head, key, value)
                if head:
                    daemon.write("a.vm", base + body)
                else:
                    daemon.write("a.vm", re.sub(r"(%s\n)" % re.escape(section), r"\1%s" % body,
                                                re.sub(r"^%s=.*\n" % key, "", base, flags=re.M)))
            daemon.write("lab.network", "[Network]\nAddress=192.168.122.1/24\n%s\n%s=%s\n" % (section, key, value)
                         if section == "[DHCPServer]" else "[Network]\nAddress=%s\n" % (
                             value if file == "lab.network" else "192.168.122.1/24"))
            said = {where: what for where, what in complaints(daemon).items() if where == (file, section, key)}
            need = NEEDS.get((key, value))
            assert not said or (need and need in str(said)), (key, value, said)
            tried += 1
    assert tried >= 20, tried
