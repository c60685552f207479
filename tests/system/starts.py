# SPDX-License-Identifier: MIT
"""Configurations and hosts for test_check_is_start.py: generated from the schema by scripts/gendoc, which generates
the manual from the same tables, and hand-written cases of what a host can do to a VM."""
import re
import subprocess

import vmk


class Key:
    """A row of the schema, as shown in the manual."""

    def __init__(self, section, named, name, kind):
        self.section, self.named, self.name, self.kind = section, named, name, kind
        self.title = "%s.%s" % (section, name)


def keys(schema="vm"):
    done = subprocess.run([vmk.BUILD + "/scripts/gendoc"], input="@keys %s\n" % schema, capture_output=True, text=True,
                          check=True)
    found, section, name = [], None, None
    for line in done.stdout.replace("\\&", "").replace("\\-", "-").splitlines():
        header = re.match(r'\.Ss "\[(\w+)( ID)?\]"', line)
        row = re.match(r'\.It Cm "(\w+)="', line)
        facts = re.match(r"\[(.*?); .*\]$", line)
        if header:
            section = header
        elif row:
            name = row.group(1)
        elif facts and name:
            found.append(Key(section.group(1), bool(section.group(2)), name, facts.group(1)))
            name = None
    return found


# Only a text's own check knows its valid values, so both kinds are listed here: (accepted, refused). {vm} is the VM's
# name.
WORDS = {
    "VM.Description": (["a line: with = and # in it"], ["a\x01b"]),
    "VM.Machine": (["q35", "pc", "pc-q35-7.2", "pc-i440fx-7.2", "pc-q35-0.1"], ["microvm", "virt-7.2"]),
    "VM.UUID": (["7f1d1d4e-7c3b-4a69-9f0e-0d8f1a2b3c4d", "7F1D1D4E-7C3B-4A69-9F0E-0D8F1A2B3C4E"], ["7f1d1d4e", "{vm}"]),
    "VM.Owner": (["alice", "@vmkeep-view", "nobody-knows"], ["al ice:", "@"]),
    "VM.Tags": (["web", "web db+1, x_y"], ["a!", "-x"]),
    "CPU.Model": (["max", "qemu64", "Nehalem", "host", "host-passthrough", "host-model", "no-such-cpu"], ["a b", "-x"]),
    "CPU.Features": (["+aes", "-svm", "+no-such-feature"], ["aes", "+", "=on"]),
    "Boot.Order": (["root"], ["nothing", "-"]),
    "Boot.Kernel": (["/etc/hostname", "/no/such/vmlinuz"], ["../vmlinuz"]),
    "Boot.Initrd": ([], ["/etc/hostname", "../initrd"]),
    "Boot.Append": ([], ["quiet"]),
    "Disk.Path": (["{vm}.raw", "no/such.raw", "/etc", "no.qcow2"], ["../{vm}.raw", "/var/../etc/x.raw", "{vm}.vmdk"]),
    "Disk.Store": (["default"], ["no-such-store", "a/b"]),
    "Disk.Base": ([], ["base.raw", "../base.raw"]),
    "Disk.Serial": (["WD-123_4.5", "a" * 20], ["a" * 21, "a,b"]),
    "CDROM.Path": (["{vm}.raw", "no.iso", "/etc"], ["../x.iso", "x.nrg"]),
    "CDROM.Store": (["default"], ["no-such-store", "a/b"]),
    "CDROM.Serial": (["cd"], ["a" * 21]),
    "NIC.Network": (["default", "no-such-net"], ["a b", "-x"]),
    "NIC.Bridge": (["no-such-br", "lo"], ["sixteen-bytes-xx", "a/b"]),
    "NIC.MACAddress": (["52:54:00:12:34:56", "02:00:00:00:00:00"], ["52:54:00:12:34", "01:00:5e:00:00:01", "x"]),
    "NIC.Address": (["192.168.122.77", "10.9.8.7", "192.168.122.0", "192.168.122.1"], ["192.168.122", "::1", "256.1.1.1", "10.0.0.5/24", "10.0.0.5/33"]),
    "NIC.Gateway": ([], ["10.0.0.1", "x"]),
    "NIC.DNS": ([], ["10.0.0.1", "x"]),
    "NIC.HostName": (["web1", "a" * 63], ["a.b", "a" * 64, "-a"]),
    "Display.Listen": (["unix"], ["127.0.0.1", "localhost"]),
    "Display.Password": (["no-such-file"], ["../secret", ".secret"]),
    "Display.Keymap": (["de", "en-us", "xx-yy"], ["a b"]),
    "RNG.Source": (["/dev/urandom", "/dev/random", "none", "/dev/no-such", "/etc/hostname"], ["urandom"]),
    "CloudInit.User": (["anna", "_x-1"], ["root", "an:na", "9a"]),
    "CloudInit.SSHKey": (["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7GVx1ZbW9rJ1d2cXl6a3Zta2VlcHZta2VlcHZta2Vl a: {b"],
                         ["AAAAC3NzaC1lZDI1NTE5", "-----BEGIN OPENSSH PRIVATE KEY-----"]),
    "CloudInit.PasswordFile": (["/etc/hostname", "/etc/mtab", "/no/such/password", "/etc"], ["password"]),
    "CloudInit.HostName": (["web1", "web1.example.org"], ["web_1", "-a"]),
    "CloudInit.UserData": (["/bin/bash", "/no/such/user-data", "/dev/null"], ["user-data"]),
    "CloudInit.NetworkConfig": (["/etc/hostname", "/no/such/config"], ["network-config"]),
    "VSock.CID": (["auto", "3", "4294967294"], ["2", "4294967295", "x"]),
    "Lifecycle.After": (["nobody", "default"], ["a b c/d"]),
    "Lifecycle.Requires": (["default"], ["a/b"]),
    "Lifecycle.TimeoutStartSec": (["1min", "1h"], ["soon", "999ms", "8d"]),  # nothing shorter: a start may take a while
    "Lifecycle.ReadyWhen": (["lease", "agent", "notify", "tcp:22", "log:login:"], ["tcp:0", "log:", "soon"]),
    "Limits.CPUQuota": (["1%", "150%"], ["0%", "50", "x%"]),
    "Hooks.Failed": (["/bin/true", "/no/such/hook"], ["true"]),
    "QEMU.Binary": (["/usr/bin/qemu-system-x86_64", "/usr/bin/no-such-qemu", "/usr/bin/true", "/etc/hostname"], ["qemu"]),
    # paths and programs in Args= are between the operator and QEMU: only QEMU knows which it accepts
    "QEMU.Args": (["-msg\nArgs=timestamp=on", "-nonsense", "-device no-such-device", "-device virtio-rng-pci,no-such=1",
                   "-fw_cfg no-such=1", "-fw_cfg name=opt/a b,string=it's \"quoted\" $HOME", "-monitor stdio",
                   "-serial stdio", "-bios /no/such/bios", "-chardev file,id=x,path=/no/such/log",
                   "-drive file=/no/such.img,if=none,id=x,format=raw", "-fw_cfg name=opt/x,file=/etc/hostname",
                   "-chardev socket,id=x,path=/run/x.sock,server=on,wait=off", "-device scsi-hd,drive=nowhere",
                   "-netdev tap,id=x,ifname=x,script=no,downscript=no", "-append quiet",
                   "-object memory-backend-file,id=x,size=1M,mem-path=/dev/hugepages", "-daemonize"], []),
}
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size_of(text):
    number, unit = re.match(r"(\d+)([KMGT]?)$", text).groups()
    return int(number) * UNITS[unit]


def sizes(kind):
    """Values at the limits, and just past them."""
    least, most, step = (re.search(word + r" (\d+[KMGT]?)", kind) for word in ("at least", "at most", "multiple of"))
    good, bad = [], ["much", "1X"]
    if least:
        good.append(least.group(1))
        bad.append(size_of(least.group(1)) - 1)
    if most:
        good.append(most.group(1))
        bad.append(size_of(most.group(1)) * 2)
    if step:
        bad.append(size_of((least or step).group(1)) + 1)
    return good or ["1M"], bad


def times(kind):
    least, most = (re.search(word + r" (\d+)(s|min|h)", kind) for word in ("at least", "at most"))
    good = [limit.group(1) + limit.group(2) for limit in (least, most) if limit] or ["90s", "1h 30min"]
    return good, ["soon"] + ["1ms"] * bool(least) + ["8d"] * bool(most)


def values(key):
    """(values that the schema accepts, values that it refuses); a start may still refuse the former."""
    if key.title in WORDS:
        return WORDS[key.title]
    numbers = re.search(r"a number from (\d+) to (\d+)", key.kind)
    if numbers:
        low, high = (int(n) for n in numbers.groups())
        return [low, high] + ["auto"] * key.kind.startswith("auto or"), [high + 1, "x"] + [low - 1] * (low > 1)
    if key.kind.startswith("a size"):
        return sizes(key.kind)
    if key.kind.startswith("a time"):
        return times(key.kind)
    words = re.split(r", | or ", key.kind)
    assert all(re.match(r"[\w-]+$", word) for word in words), "%s needs a row in WORDS: %s" % (key.title, key.kind)
    return words, ["no-" + words[0], words[0].upper() + "!"]


IDS = {"Disk": "root", "CDROM": "cd", "NIC": "lan", "Serial": "com"}


class Case:
    """One configuration on one host. before: a context manager, called with (world, name of the VM), that prepares
    the host while it is open."""

    def __init__(self, title, lines=(), before=None, text=None):
        self.title, self.lines, self.before, self.text = title, lines, before, text

    def file(self, name):
        if self.text is not None:
            return self.text.replace("{vm}", name)
        sections = {"VM": ["Memory=16M", "Networks=none"], "Disk root": ["Path=%s.raw" % name]}
        for section, line in self.lines:
            sections.setdefault(section, []).append(str(line).replace("{vm}", name))
        return "".join("[%s]\n%s\n" % (section, "\n".join(lines)) for section, lines in sections.items())


def line(key, value):
    return "%s %s" % (key.section, IDS[key.section]) if key.named else key.section, "%s=%s" % (key.name, value)


def of_keys():
    """(cases that the schema accepts, cases that it refuses): each key at its limits and past them."""
    good, bad = [], []
    for key in keys():
        takes, refuses = values(key)
        good += [Case("%s=%s" % (key.title, value), [line(key, value)]) for value in takes]
        bad += [Case("%s=%s" % (key.title, value), [line(key, value)]) for value in refuses]
    return good, bad


def of_chance(rng, n):
    """Random machines with several keys each; the schema accepts each value by itself."""
    every = [(key, value) for key in keys() for value in values(key)[0] if key.title not in ("QEMU.Binary", "QEMU.Args")]
    return [Case("of chance %d" % i, [line(*pair) for pair in rng.sample(every, rng.randrange(3, 7))]) for i in range(n)]
