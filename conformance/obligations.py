"""Writes reports/obligations.md: each row of the obligations with the tests that bear its id, or why it is not met.

    python conformance/obligations.py [--check]

A test proves a row when its name begins with the row's id, among others: `test_t32_s_95_nothing_is_lost`.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "conformance/obligations.toml"
REPORT = ROOT / "conformance/reports/obligations.md"
TITLES = {"S": "Data protection for aesthetic clinics (S)", "T": "Photographs before and after (T)"}

_IDS = re.compile(r"test((?:_(?:r_[a-z]+(?:_\d{3})+|[a-z]_?\d{1,3}(?:_\d{1,3})*)(?=_))+)_")
_ONE = re.compile(r"_([st])_?(\d{1,3}(?:_\d{1,3})*)(?=_|$)")
_TEST = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
_NOBODY = "no test bears its id."

HEAD = """# Obligations

Made by `make obligations`; a test holds it to the tree. Each row is a duty or claim that a clinic must be able to
prove. It names the tests that prove it, or says why it is not met; with both, what the tests prove holds, and the rest
does not.
"""


def ids_of(name: str) -> frozenset[str]:
    """The rows whose ids stand before the words of a test's name."""
    found = _IDS.match(name)
    return frozenset(
        f"{family.upper()}{number}"
        for family, numbers in (_ONE.findall(found[1]) if found else ())
        for number in numbers.split("_")
    )


def tests_in(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob("test_*.py")):
        for name in _TEST.findall(path.read_text(encoding="utf-8")):
            yield path, name


def proofs(root: Path = ROOT) -> dict[str, list[tuple[str, str]]]:
    """Row -> file and name of each test that bears its id."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path, name in tests_in(root / "tests"):
        for row in ids_of(name):
            found.setdefault(row, set()).add((str(path.relative_to(root)), name))
    return {row: sorted(tests) for row, tests in found.items()}


def report(rows: Mapping[str, Mapping[str, str]], proven: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    about, not_met = rows["about"], rows["not_met"]
    whole = sum(row in proven and row not in not_met for row in about)
    partly = sum(row in proven and row in not_met for row in about)
    lines = [HEAD, f"{len(about)} rows: {whole} proven, {partly} in part, {len(about) - whole - partly} not met."]
    for letter, title in TITLES.items():
        lines += ["", f"## {title}", "", "| row | what | proof |", "|---|---|---|"]
        lines += [
            _line(row, about[row], proven.get(row, ()), not_met.get(row, "")) for row in about if row[0] == letter
        ]
    return "\n".join(lines) + "\n"


def _line(row: str, what: str, tests: Sequence[tuple[str, str]], reason: str) -> str:
    said = [f"[`{name}`](../../{file})" for file, name in tests]
    if reason or not tests:
        said.append(f"not met{' in part' if tests else ''}, because {reason or _NOBODY}")
    return f"| {row} | {what} | {'<br>'.join(said)} |"


def written() -> str:
    return report(tomllib.loads(ROWS.read_text(encoding="utf-8")), proofs())


def main(arguments: Sequence[str]) -> int:
    text = written()
    if "--check" in arguments:
        return 0 if REPORT.is_file() and REPORT.read_text(encoding="utf-8") == text else 1
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
