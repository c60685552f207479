# SPDX-License-Identifier: MIT
"""Follows hints to the letter; shared by test_cures*.py."""
import json
import os
import re

import pytest

import vmk

ROWS = {}  # (module, name): (row, its hints)
NAMES = {"a", "b", "web1", "s1", "lab", "default", "qemu", "running"}  # words in commands besides verbs and options


def cure(*texts):
    """The hints that a row follows, as they appear in the sources."""
    def add(row):
        ROWS[row.__module__, row.__name__] = (row, texts)
        return row
    return add


def pattern(text):
    """Converts a printf format to a regular expression."""
    return re.compile("".join("(.*)" if part.startswith("%") and part != "%%" else re.escape(part.replace("%%", "%"))
                              for part in re.split(r"(%%|%[-.*\d]*l*[a-z])", text)), re.S)


class Person:
    """Types what hints say. Each hint that is printed must be one of the row's."""

    def __init__(self, world, texts):
        self.world, self.patterns = world, [pattern(text) for text in texts]

    def check(self, hint):
        assert any(p.fullmatch(hint) for p in self.patterns), "told %r, not %r" % (hint, [p.pattern for p in self.patterns])
        return hint

    def refused(self, *argv, code=None, **how):
        """The hint of a command that fails."""
        result = self.world.vmkeep(*argv, **how)
        assert result.code if code is None else result.code == code, result
        found = re.search(r"^hint: (.*)\Z", result.err.rstrip("\n"), re.M | re.S)
        assert found, result
        return self.check(found.group(1))

    def told(self, name="a"):
        """The row's hint, from the output of check."""
        rows = json.loads(self.world.vmkeep("--json", "check", name).out)
        found = [row["hint"] for row in rows if row["hint"] and any(p.fullmatch(row["hint"]) for p in self.patterns)]
        assert found, rows
        return found[0]

    def host(self, check):
        rows = json.loads(self.world.vmkeep("--json", "host", "check").out)
        return next(self.check(row["cure"]) for row in rows if row["check"] == check and row["cure"])

    # Following hints.

    def commands(self, hint):
        """The vmkeep commands in a hint, as lists of words."""
        for text in re.findall(r"\bvmkeep ([^;,]*)", hint):
            words = []
            for word in text.split():
                plain = word.rstrip("'.:)")
                if plain in NAMES | {"SNAPSHOT"} or plain.isdigit() or plain.startswith("-") or len(words) < (
                        2 if words[:1] in (["snapshot"], ["guest"], ["net"], ["host"], ["job"], ["image"]) else 1):
                    words.append(plain)
                else:
                    break
            yield words

    def types(self, hint, number=0, **how):
        return self.world.ok(*list(self.commands(hint))[number], **how)

    def runs(self, hint, program, **fill):
        """Runs the shell command in a hint that starts with this program, up to the end of its clause."""
        text = hint[hint.index(program + " "):]
        text = re.split(r"; |, (?:and|or) | (?:shows|makes|takes|tells|lists|names|removes|restores|first)\b|\)", text)[0]
        for word, value in fill.items():
            text = re.sub(r"\b%s\b" % word, value, text)
        return self.world.exec("sh", "-c", text)

    def keys(self, hint):
        return [(key, value.rstrip(",;.")) for key, value in re.findall(r"\b([A-Z][A-Za-z]+)=(\S*)", hint)]

    def writes(self, hint, number=0, section=None, value=None, file="a.vm"):
        """Writes the hint's key into its section; the caller supplies the value if the hint has none."""
        key, told = self.keys(hint)[number]
        named = re.search(r"\[([A-Z]\w+)\]", hint)
        self.set(file, section or "[%s]" % named.group(1), key, told or value)

    def set(self, file, section, key, value):
        path = os.path.join(self.world.config, file)
        lines = vmk.read_text(path).splitlines() if os.path.exists(path) else []
        at = lines.index(section) if section in lines else None
        if at is None:
            lines.append(section)
            at = len(lines) - 1
        end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("[")), len(lines))
        lines[at + 1:end] = [line for line in lines[at + 1:end] if not line.startswith(key + "=")]
        if value is not None:
            lines.insert(at + 1, "%s=%s" % (key, value))
        self.world.write(file, "\n".join(lines) + "\n")

    def removes(self, hint, section, number=0, file="a.vm"):
        self.set(file, section, self.keys(hint)[number][0], None)


def vm(*sections, head="[VM]\nMemory=16M\nNetworks=none\n"):
    return head + "".join(sections)


def disk(path, *more, name="root"):
    return "[Disk %s]\nPath=%s\n%s" % (name, path, "".join(line + "\n" for line in more))


def rows_of(module):
    """The test that runs the rows of a module."""
    names = sorted(name for of, name in ROWS if of == module)

    @pytest.mark.parametrize("name", names)
    def test_cure(request, world, name):
        row, texts = ROWS[module, name]
        if name in ("with_an_agent", "locked_tray"):
            request.getfixturevalue("linux")
        world.start()
        row(Person(world, texts), world)
    return test_cure
