"""The column-mapping file: which file of an export holds what, under which headings, and how its dates are written.

The clinic writes it once per system; nothing is guessed from headings. `docs/systems.md` has an example.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json

KINDS: Mapping[str, frozenset[str]] = {
    "patients": frozenset(
        {"id", "family", "given", "name", "birthDate", "gender", "email", "phone", "mobile"}
        | {"street", "city", "postalCode", "country"}
    ),
    "appointments": frozenset(
        {"id", "patient", "start", "end", "minutes", "status", "service", "practitioner", "place", "comment"}
    ),
    "photos": frozenset({"id", "patient", "file", "taken", "title"}),
    "forms": frozenset({"id", "patient", "completed"}),
}
"""Kind of file -> the elements that a column may be."""

_NEEDED = {
    "patients": {"id"},
    "appointments": {"id", "patient", "start", "status"},
    "photos": {"id", "patient", "file"},
    "forms": {"id", "patient"},
}


@dataclass(frozen=True, slots=True)
class File:
    """`columns`: heading -> element. `codes`: element -> word of the export -> code."""

    name: str
    kind: str
    columns: Mapping[str, str]
    codes: Mapping[str, Mapping[str, str]]
    dates: str
    times: str
    title: str

    @property
    def headings(self) -> Mapping[str, str]:
        """Element -> heading."""
        return {element: heading for heading, element in self.columns.items()}


@dataclass(frozen=True, slots=True)
class Layout:
    """`system`: a URI under which this system's own numbers are kept."""

    system: str
    encoding: str
    delimiter: str
    files: Mapping[str, File]


def layout(given: Json) -> Layout:
    _refuse_unknown(given, {"system", "encoding", "delimiter", "files"}, "The file")
    system, files = given.get("system"), given.get("files")
    if not isinstance(system, str) or ":" not in system or not isinstance(files, dict) or not files:
        raise UnusableError("The column mapping needs a system, which is a URI, and files.")
    delimiter, encoding = str(given.get("delimiter", ",")), str(given.get("encoding", "utf-8"))
    if len(delimiter) != 1 or encoding not in {"utf-8", "utf-16", "iso8859-1", "iso8859-15", "cp1252"}:
        raise UnusableError("The column mapping names a delimiter or an encoding that is none.")
    return Layout(system, encoding, delimiter, {name: _file(name, one) for name, one in files.items()})


def _file(name: str, given: Json) -> File:
    _refuse_unknown(given, {"kind", "columns", "codes", "dates", "times", "title"}, name)
    kind, columns = str(given.get("kind")), given.get("columns")
    if kind not in KINDS or not isinstance(columns, dict):
        raise UnusableError(f"{name} needs a kind that is known, and columns.")
    elements = list(columns.values())
    if set(elements) - KINDS[kind] or len(set(elements)) != len(elements):
        raise UnusableError(f"{name} names an element twice, or one that {kind} do not have.")
    if missing := sorted(_NEEDED[kind] - set(elements)):
        raise UnusableError(f"{name} has no column for {missing[0]}.")
    return File(
        name,
        kind,
        columns,
        given.get("codes", {}),
        str(given.get("dates", "%Y-%m-%d")),
        str(given.get("times", "%Y-%m-%dT%H:%M")),
        str(given.get("title", name)),
    )


def _refuse_unknown(given: Json, known: set[str], what: str) -> None:
    if unknown := sorted(set(given) - known):
        raise UnusableError(f"{what} has a word that is not known: {unknown[0]}.")
