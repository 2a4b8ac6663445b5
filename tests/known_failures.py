"""The tables of conformance/known_failures: which published resources are refused, and how."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fhir_server.kernel.json import Json

FOLDER = Path(__file__).parents[1] / "conformance/known_failures"
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Refused:
    """`issues`: code and place of each kind of issue, without the indexes of places."""

    status: int
    issues: frozenset[str]


@cache
def known_failures(collection: str) -> dict[str, Refused]:
    tables = tomllib.loads((FOLDER / f"{collection}.toml").read_text())
    return {name: Refused(each["status"], frozenset(each["issues"])) for name, each in tables.items()}


def refused(status: int, outcome: Json) -> Refused:
    """The same of an answer."""
    issues = [(issue["code"], *issue.get("expression", ())) for issue in outcome["issue"]]
    return Refused(status, frozenset(_INDEX.sub("", " ".join(each)) for each in issues))
