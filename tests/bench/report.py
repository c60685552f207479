# SPDX-License-Identifier: MIT
"""The table that `make bench` prints: a row per figure, with its baseline and its limit."""
import json


def spread(samples):
    """Median, minimum and 90th percentile."""
    ordered = sorted(samples)
    count = len(ordered)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return middle, ordered[0], ordered[min(count * 9 // 10, count - 1)]


def text(value):
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return "%.*f" % (3 if abs(value) < 1 else 2 if abs(value) < 10 else 1, value)


class Report:
    HEAD = ("what", "ours", "min", "p90", "baseline", "ratio", "limit", "verdict")

    def __init__(self):
        self.rows = []

    def section(self, title):
        self.rows.append({"section": title})
        print("  ... " + title, flush=True)

    def add(self, what, ours, baseline=None, times=None, limit=None):
        """ours, baseline: samples or a single value. times: limit of our median relative to the baseline's. Machines
        differ by a factor of six, so milliseconds have no limit; `limit` is for figures that are the same on all of
        them."""
        middle, least, most = spread(ours) if isinstance(ours, list) else (ours, None, None)
        base = spread(baseline)[0] if isinstance(baseline, list) else baseline
        row = {"what": what, "ours": middle, "min": least, "p90": most, "baseline": base,
               "samples": len(ours) if isinstance(ours, list) else 1}
        if base:
            row["ratio"] = middle / base
        if times is not None:
            row.update(limit=times, ok=middle <= base * times)
        elif limit is not None:
            row.update(limit=limit, ok=middle <= limit)
        self.rows.append(row)

    @staticmethod
    def cells(row):
        verdict = "" if "ok" not in row else "ok" if row["ok"] else "MISSED"
        return (row["what"], text(row["ours"]), text(row["min"]), text(row["p90"]), text(row["baseline"]),
                "%.2f" % row["ratio"] if "ratio" in row else "", text(row.get("limit")), verdict)

    def table(self):
        lines = [(row["section"],) if "section" in row else self.cells(row) for row in self.rows]
        full = [line for line in lines if len(line) > 1] + [self.HEAD]
        widths = [max(len(line[i]) for line in full) for i in range(len(self.HEAD))]

        def show(line):
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:7], widths[1:7])]
            return ("  " + "  ".join(cells) + "  " + line[7]).rstrip()

        out = [show(self.HEAD)]
        for line in lines:
            out += ["", line[0]] if len(line) == 1 else [show(line)]
        missed = self.missed()
        held = sum("ok" in row for row in self.rows) - len(missed)
        out += ["", "%d figures hold, %d missed%s" % (
            held, len(missed), "".join("\n  missed: " + row["what"] for row in missed))]
        return "\n".join(out)

    def missed(self):
        return [row for row in self.rows if not row.get("ok", True)]

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(self.rows, f, indent=1)
            f.write("\n")
