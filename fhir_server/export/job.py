"""One bulk export as it stands: what was asked, by whom, how far it is, which files it has.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html; kept sealed between two steps, so that any worker can go on with it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from fhir_server.engine.call import Principal
from fhir_server.engine.position import Position
from fhir_server.export.asked import Asked
from fhir_server.kernel import json
from fhir_server.kernel.clock import microseconds
from fhir_server.kernel.json import Json

State: TypeAlias = Literal["active", "done", "failed"]
Stage: TypeAlias = Literal["current", "changed", "deleted", "end"]
Kind: TypeAlias = Literal["output", "deleted", "error"]

RUN_EXPORT = "bulk-export"
"""The name of the worker's task; its cause is the id of the job."""

LONGEST_COMMIT = timedelta(seconds=4)
CLOCK_SKEW = timedelta(seconds=1)
"""Between two of the clinic's machines. A job starts this and LONGEST_COMMIT after its kick-off, which is its
transactionTime: what was being written then is to be seen (R-BULK-024)."""

LIFETIME = timedelta(hours=24)
"""How long files can be fetched, counted from the kick-off."""


@dataclass(frozen=True, slots=True)
class File:
    """`lines` versions of one type; of deletions and outcomes the type is theirs."""

    id: str
    kind: Kind
    type: str
    lines: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next step begins: in `stage`, at the type of this index, behind `after`."""

    stage: Stage = "current"
    index: int = 0
    after: Position | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """`types` are those that the client may read. `until` is transactionTime in microseconds since 1970.

    `members`: of a group, or the patients named; None where nobody is. `url`: the kick-off as the manifest repeats it.
    `revision` counts what was saved: two workers never go on from the same one.
    """

    id: str
    principal: Principal
    purpose: str
    asked: Asked
    types: tuple[str, ...]
    members: tuple[str, ...] | None
    url: str
    until: int
    expires: datetime
    cursor: Cursor = Cursor()
    files: tuple[File, ...] = ()
    state: State = "active"
    failure: tuple[int, str, str] | None = None
    revision: int = 0

    @property
    def since(self) -> int | None:
        """In microseconds since 1970."""
        return None if self.asked.since is None else microseconds(self.asked.since)

    @property
    def exported(self) -> int:
        return sum(file.lines for file in self.files if file.kind == "output")

    def of(self, kind: Kind) -> Sequence[File]:
        return [file for file in self.files if file.kind == kind]

    def file(self, id: str) -> File | None:
        return next((file for file in self.files if file.id == id), None)

    def next(self, cursor: Cursor, file: File | None) -> "Job":
        """One step further, perhaps with one file more."""
        return replace(self, cursor=cursor, files=(*self.files, file) if file else self.files)

    def saved(self) -> "Job":
        """As it is after it was saved once more."""
        return replace(self, revision=self.revision + 1)

    def encode(self) -> bytes:
        """As it is sealed; the revision stands beside the seal."""
        asked = {**asdict(self.asked), "since": self.asked.since and self.asked.since.isoformat()}
        plain = {**asdict(self), "asked": asked, "expires": self.expires.isoformat(), "revision": 0}
        return json.encode(plain)

    @classmethod
    def decode(cls, raw: bytes, revision: int) -> "Job":
        found = json.decode_trusted(raw)
        asked, cursor = found["asked"], found["cursor"]
        after = cursor["after"]
        position = after and Position(after["seq"], after["id"], tuple(after["keys"]))
        since = asked["since"] and datetime.fromisoformat(asked["since"])
        tuples = {name: tuple(asked[name]) for name in ("types", "elements", "patients", "ignored")}
        filters = tuple((type, query) for type, query in asked["filters"])
        holder = found["principal"].items()
        principal: Json = {name: tuple(value) if isinstance(value, list) else value for name, value in holder}
        return cls(
            **{
                **found,
                "principal": Principal(**principal),
                "asked": Asked(**{**asked, **tuples, "since": since, "filters": filters}),
                "types": tuple(found["types"]),
                "members": None if found["members"] is None else tuple(found["members"]),
                "expires": datetime.fromisoformat(found["expires"]),
                "cursor": Cursor(cursor["stage"], cursor["index"], position),
                "files": tuple(File(**each) for each in found["files"]),
                "failure": found["failure"] and tuple(found["failure"]),
                "revision": revision,
            }
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A version that a file holds; `version` 0 of a deletion."""

    id: str
    version: int


def encode_lines(lines: Sequence[Line]) -> bytes:
    return "\n".join(f"{line.version} {line.id}" for line in lines).encode()


def decode_lines(raw: bytes) -> list[Line]:
    found = [text.partition(" ") for text in raw.decode().split("\n") if text]
    return [Line(id, int(version)) for version, _, id in found]
