# SPDX-License-Identifier: MIT
"""Every key, command, path and program named in our texts exists: in the sources, the manual pages and the README.
The real parsers decide: vmkeep's for commands, `vmkeep check FILE` for keys and their values."""
import glob
import importlib
import os
import re
import subprocess

import pytest

import cures
import hints
import vmk
from cures_skipped import SKIPPED

for module in glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "test_cures*.py")):  # their rows
    importlib.import_module(os.path.basename(module)[:-len(".py")])

NO_DAEMON = 10  # the command line was accepted
SECTION = r"\[([A-Z]\w*)(?: [^\]]*)?\]"
KEY = r"(?<![\w$./-])([A-Z][A-Za-z]*[a-z][A-Za-z]*|AIO|CID|CPUs|UUID|DNS)=([\w.%-]*)"
KEYS = r"((?:%s(?:, | and | or )?)+)" % KEY.replace("(", "(?:").replace("(?:?", "(?")
FILES = {"x.vm": "[VM]\nMemory=64M\n", "x.network": "", "vmkeep.conf": ""}

# Foreign keys: systemd's, ssh's, and the example in the text about keys.
OTHERS_KEYS = {"DeviceAllow", "LimitNOFILE", "Key", "RuntimeWatchdogSec", "WatchdogSec", "ExecStartPost", "SystemCallFilter",
               "ProtectSystem", "PrivateTmp", "DevicePolicy", "HostKeyAlias", "StrictHostKeyChecking"}

# "the vmkeep that started it", "vmkeep needs ...": not commands.
PROSE = {"needs", "runs", "brings", "speaks", "knows", "did", "may", "talks", "that", "and", "which", "or", "is", "has", "for", "does",
         "makes", "never", "then", "as", "a", "from", "to", "sets", "can", "made", "itself", "in", "on", "of", "package"}

# Programs that a hint may name: on every Debian host, or from packages that ours depends on.
PROGRAMS = {
    "apt", "systemctl", "dmesg", "mount", "chmod", "chown", "rm", "df", "free", "top", "taskset", "lscpu", "man", "mknod",
    "modprobe", "ip", "ss", "pgrep", "nft", "qemu-img", "findmnt", "mkdir", "setcap", "getfacl", "setfacl", "getfattr", "setfattr", "chattr",
    "ausearch", "iptables", "iptables-legacy", "firewall-cmd", "sysctl", "truncate", "head", "virsh", "vmkeepd", "vmkeep", "scp", "nsenter", "virt-aa-status", "realpath"}
PACKAGES = {"qemu-system-x86", "qemu-utils", "ovmf", "nftables", "dnsmasq-base", "chrony", "qemu-system-gui", "qemu-block-extra", "xorriso"}

PLACES = re.compile(
    r"/etc/vmkeep(/(NAME\.vm(\.d(/\*\.conf)?)?|NAME\.network|vmkeep\.conf|[a-z0-9-]+\.(vm|network)(\.d(/[a-z*]+\.conf)?)?|\w+))?"
    r"|/var/lib/vmkeep(/(vms|images|networks|import)(/\S*)?)?|/var/log/vmkeep(/\S*)?|/run/vmkeep(/(control\.sock|vms/\S*))?"
    r"|/usr/(lib|share/doc)/vmkeep(/\S*)?")


def accepted(*words):
    argv = [os.path.join(vmk.BUILD, "vmkeep"), "--run", "/nonexistent/run"] + list(words)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30 * vmk.SLOW, check=False, stdin=subprocess.DEVNULL)
    return done.returncode in (0, NO_DAEMON) or "vmkeepd is not running" in done.stderr or "No such file or directory" in done.stderr, done.stderr


def commands(text):
    """Possible commands after "vmkeep", as lists of words: as far as they look like a command line, with formats
    filled in."""
    for match in re.finditer(r"\bvmkeep ((?:--\w+ )*[a-z][^\n]*)", text):
        words = []
        for word in re.split(r"\s+", re.sub(r"%[a-z]", "x", re.sub(r"%l*[udz]+\b", "7", match.group(1)))):
            plain = word.rstrip("',;:.)`")
            placeholder = re.fullmatch(r"\[?[A-Z][A-Z|*]*(\.\.\.)?\]?|x|7|--?[a-z-]*|web1|\d\w*|[\w-]+\.(?:iso|qcow2)|bios|[A-Z]\w+(?:\.\w+)+[-+]?=\w+", plain)
            if len(words) < 2 or placeholder or plain in ("qemu", "running", "ip", "default", "kvm-demo", "monday", "inject-nmi", "query-status", "system_wakeup", "insert", "eject"):
                words.append("7" if plain in ("JOB", "N") else plain.strip("[]").replace("...", ""))
            else:
                break
            if not words[-1]:
                words.pop()
            if plain != word and not word.endswith("..."):
                break
        yield match.group(0), words


def wrong_commands(text, whole=False):
    """Commands that the real parser refuses. Text may name just the command; a hint must give it in full."""
    for found, words in commands(text):
        if words[0] in PROSE or words[0] == "help" or re.fullmatch("[a-z]+ed", words[0]):
            continue
        second = len(words) == 2 and re.fullmatch("[a-z-]+", words[1])  # may be the sentence's next word
        tries = [accepted(*words)] + ([accepted(*words[:1])] if second else [])
        if any(good or (not whole and re.search(r"is missing|missing subcommand|\|", said)) for good, said in tries):
            continue
        yield "%s: %s" % (found, tries[0][1])


def known_keys():
    found = set()
    for path in glob.glob(os.path.join(vmk.ROOT, "conf", "schema_*.c")):
        text = vmk.read_text(path)
        found |= set(re.findall(r'\.name = "([A-Z]\w+)"', text[:text.index("conf_section sections[]")]))
    return found


def allowed(tmp_path, section, key, value):
    """Whether a file of some kind accepts this line. Only errors about the key itself count."""
    for name, before in FILES.items():
        path = tmp_path / name
        path.write_text("%s[%s%s]\n%s=%s\n" % (
            "" if section == "VM" and "VM" in before else before, section,
            " a" if section in ("Disk", "CDROM", "NIC", "Serial") and name == "x.vm" else "", key, value))
        done = subprocess.run([os.path.join(vmk.BUILD, "vmkeep"), "check", str(path)], capture_output=True, text=True, check=False,
                              timeout=30 * vmk.SLOW)
        said = done.stdout + done.stderr
        if "unknown section" not in said and not re.search(r": %s: " % re.escape(key), said):
            return True
        if value == "" and "unknown" not in said:
            return True
    return False


def wrong_keys(text, tmp_path, keys):
    for key, _ in re.findall(KEY, text):
        if key not in keys | OTHERS_KEYS:
            yield "%s= is no key: %s" % (key, text)
    placed = [(m.group(1), m.group(2)) for m in re.finditer(SECTION + r":? (?:has )?" + KEYS, text)]
    placed += [(m.group(2), m.group(1)) for m in re.finditer(KEYS + r" in (?:the |a )?" + SECTION, text)]
    for section, run in placed:
        for key, value in re.findall(KEY, run):
            if not allowed(tmp_path, section, key, value.rstrip(".") if "%" not in value else ""):
                yield "[%s] does not take %s=%s: %s" % (section, key, value, text)


def wrong_places(text):
    for path in re.findall(r"(?<![\w.%])/(?:etc|var/lib|var/log|run|usr/lib|usr/share/doc)/vmkeep[\w./*%-]*", text):
        if not PLACES.fullmatch(path.rstrip(".,").replace("%s", "x").replace("%n", "NAME")):
            yield "%s is no place of ours: %s" % (path, text)


def test_each_literal_names_what_there_is(tmp_path):
    keys, wrong = known_keys(), []
    for path, texts in hints.all_literals().items():
        for text in texts:
            wrong += ["%s: %s" % (path, w) for w in list(wrong_places(text)) + list(wrong_commands(text))]
            wrong += ["%s: %s" % (path, w) for w in wrong_keys(text, tmp_path, keys)]
    assert not wrong, "\n".join(wrong)


def test_each_hint_is_a_command_that_can_be_typed():
    wrong = []
    for path, text in hints.all_hints():
        wrong += ["%s: %s" % (path, w) for w in wrong_commands(text, whole=True)]
        for program in re.findall(r"(?:^|[:;,(] |then |and |run )([a-z][a-z0-9-]+) (?:-{1,2}[a-zA-Z]|[ugoa]*[+-][rwxs]+ |install )", text):
            if program not in PROGRAMS | {"or", "and"}:
                wrong.append("%s: %s: %s" % (path, program, text))
        for package in re.findall(r"(?:apt install|the package) (?!that)([a-z0-9-]+)", text):
            if package not in PACKAGES:
                wrong.append("%s: package %s: %s" % (path, package, text))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", sorted(glob.glob(os.path.join(vmk.ROOT, "README.md")) +
                                        glob.glob(os.path.join(vmk.ROOT, "*", "*.in")) +
                                        glob.glob(os.path.join(vmk.ROOT, "*", "*", "*.in"))))
def test_each_page_names_what_there_is(tmp_path, page):
    keys, wrong = known_keys(), []
    for line in vmk.read_text(page).splitlines():
        if line.startswith((".\\\"", "[")) or re.match(r"\s*[a-z]+ = ", line):
            continue
        quoted = re.findall(r"`([^`]*)`", line) if page.endswith(".md") else re.findall(r"^\.Ql (.*)", line)
        for text in quoted:
            text = re.sub(r"\\(.)", r"\1", text)
            wrong += list(wrong_commands(text)) + list(wrong_places(text))
        wrong += [w for w in wrong_keys(line, tmp_path, keys)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("text", [
    "let it listen elsewhere, or write Resolver=no in the network", "write Enable=no in [Network]", "[VM] Model=host", "write Enable=perhaps in [VM]",
    "[Dsk data] Path=", "vmkeep frobnicate NAME", "vmkeep net frob", "vmkeep snapshot list tells which there are", "vmkeep kill --hard %s",
    "vmkeep job cancel NAME", "vmkeep stop %s --timeout soon", "see /etc/vmkeep/vms/x/y", "look into /run/vmkeep/sock"])
def test_what_does_not_exist_is_found(tmp_path, text):
    assert list(wrong_commands(text, whole=True)) + list(wrong_places(text)) + list(wrong_keys(text, tmp_path, known_keys()))


def test_each_hint_has_a_row():
    """In the tests that follow hints, or in the table of exceptions with a reason."""
    there = {text for _, text in hints.all_hints()}
    known = {text for _, texts in cures.ROWS.values() for text in texts} | {text for texts in SKIPPED.values() for text in texts}
    assert not there - known, "no row follows these hints, and no reason says why:\n" + "\n".join(sorted(there - known))
    assert not known - there, "nobody prints these any more:\n" + "\n".join(sorted(known - there))
