"""Golden fixtures: what a system sends (`case.json`), and the mapping that comes of it (`case.mapped.json`).

`make snapshots` writes the second anew; the diff is what is reviewed.
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from mappers.mapping import result
from mappers.mapping.loss_report import loss_report
from mappers.mapping.message import Message, Tables

FOLDER = Path(__file__).parents[1] / "golden"
RENEW = "RENEW_SNAPSHOTS"
RECEIVED = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)

Reader = Callable[[Message, Tables], result.Mapping]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    reader: str
    message: Message
    tables: Tables

    def mapped(self) -> result.Mapping:
        return reader(self.reader)(self.message, self.tables)


def reader(name: str) -> Reader:
    found: Reader = import_module(f"mappers.{name}").read
    return found


def case(path: Path) -> Case:
    """The body stands in the file as JSON or, of other formats, as lines of text."""
    given = json.decode(path.read_bytes())
    body = given["body"]
    raw = "\r\n".join(body).encode(given.get("charset", "utf-8")) if isinstance(body, list) else json.encode(body)
    return Case(
        f"{path.parent.name}/{path.stem}",
        given["reader"],
        Message(raw, RECEIVED, given.get("object_id")),
        tables(given.get("tables", {})),
    )


def tables(given: Mapping[str, Any]) -> Tables:
    zone = ZoneInfo(given["zone"]) if "zone" in given else None
    return Tables(zone, given.get("actors", {}), given.get("statuses", {}))


def cases(system: str = "*") -> list[Path]:
    return [path for path in sorted(FOLDER.glob(f"{system}/*.json")) if not path.name.endswith(".mapped.json")]


def named(name: str) -> Case:
    return case(FOLDER / f"{name}.json")


def shown(mapping: result.Mapping) -> Json:
    return {
        "key": mapping.key,
        "questions": [{"patient": one.patient, "known_by": list(one.known_by)} for one in mapping.questions],
        "bundle": mapping.bundle,
        "losses": loss_report(mapping.losses),
    }


def require_golden(path: Path, mapping: result.Mapping) -> None:
    text = json.pretty(json.encode(shown(mapping))).decode() + "\n"
    kept = path.with_suffix(".mapped.json")
    if os.environ.get(RENEW):
        kept.write_text(text)
    before = kept.read_text() if kept.exists() else ""
    difference = list(difflib.unified_diff(before.splitlines(), text.splitlines(), "kept", "now", lineterm="", n=1))
    assert not difference, "\n".join(["The mapping has changed; if that is meant: make snapshots", *difference])
