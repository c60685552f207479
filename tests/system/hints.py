# SPDX-License-Identifier: MIT
"""What our sources tell people to do: finds the string literals in the C code, and those that are hints."""
import functools
import glob
import os
import re

from talk import ROOT

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|[A-Za-z_]\w*|\S', re.S)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}

# Calls whose argument (counted from 0) is a hint; fields that hold one; tables of hints: file, variable, column.
CALLS = {"err_hint": 1, "host_row": 2, "check_row": 5, "ignored_tell": 2}
FIELDS = {"hint", "cure", "install"}
TABLES = {"supervisor/check/duplicates.c": ("kinds", 1),
          "supervisor/vm/said.c": ("known", 2), "supervisor/client/option.c": ("refusals", 1),
          "supervisor/control/dispatch.c": ("hint", 0), "supervisor/host/kvm.c": ("kvm_in_firmware", 0)}


def sources():
    return sorted(f for room in ("base", "conf", "net", "qmp", "supervisor")
                  for f in glob.glob(os.path.join(ROOT, room, "**", "*.c"), recursive=True))


def tokens(text):
    found = [m.group() for m in TOKEN.finditer(text) if not m.group().startswith(("/*", "//"))]
    return ['"u"' if re.fullmatch("PRI[du](64|32)", word) else word for word in found]


def unquote(token):
    return re.sub(r"\\(.)", lambda m: ESCAPES.get(m.group(1), m.group(1)), token[1:-1])


def literals(words):
    """The strings among these tokens; adjacent literals are joined, as by the compiler."""
    found, joined = [], None
    for word in words + [""]:
        if word.startswith('"'):
            joined = (joined or "") + unquote(word)
        elif joined is not None:
            found.append(joined)
            joined = None
    return found


def arguments(words, at):
    """The list in parentheses or braces at words[at], split at commas into lists of tokens, and its end."""
    found, depth = [[]], 0
    for word in words[at:]:
        if word in ("(", "[", "{"):
            depth += 1
            if depth == 1:
                continue
        elif word in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                break
        if word == "," and depth == 1:
            found.append([])
        else:
            found[-1].append(word)
    return found


@functools.lru_cache(None)
def all_literals():
    """{file: [text]} for all sources."""
    found = {}
    for path in sources():
        with open(path, encoding="utf-8") as f:
            found[os.path.relpath(path, ROOT)] = literals(tokens(f.read()))
    return found


def of_calls(words):
    for i, word in enumerate(words[:-1]):
        made = words[i + 1] == "(" and {"snprintf": words[i + 2] == "cure", "xasprintf": words[i - 2:i] == ["cure", "="]}.get(word)
        if words[i + 1] == "(" and (word in CALLS or made):
            given = arguments(words, i + 1)
            column = CALLS.get(word, 2 if word == "snprintf" else 0)
            if len(given) > column:
                yield from literals(given[column])
        if word in FIELDS and words[i - 1] == "." and words[i + 1] == "=" and words[i + 2].startswith('"'):
            yield from literals(words[i + 2:i + 8])[:1]


def of_table(words, variable, column):
    """The literals in a column of the table's initializer."""
    at = next(i for i, word in enumerate(words) if word == variable and words[i + 1] in "[=" and "=" in words[i:i + 6])
    at = words.index("=", at) + 1
    if words[at].startswith('"'):
        yield literals(words[at:at + 8])[0]
        return
    for row in arguments(words, at):
        row = row[row.index("=") + 1:] if "=" in row else row  # [NAME] = ...
        cells = arguments(row, 0) if row[:1] == ["{"] else [row]
        if len(cells) > column:
            yield from literals(cells[column])


def all_hints():
    """(file, text) of each hint in the sources, except those for commands of other programs."""
    found = []
    for path in sources():
        name = os.path.relpath(path, ROOT)
        with open(path, encoding="utf-8") as f:
            words = tokens(f.read())
        texts = list(of_calls(words))
        if name in TABLES:
            texts += of_table(words, *TABLES[name])
        found += [(name, text) for text in texts if text not in ("", "%s") and not text.startswith(" ")]
    return found
