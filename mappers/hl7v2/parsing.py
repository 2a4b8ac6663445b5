"""HL7 v2 text as segments, fields, repetitions, components: tolerant of what senders do, strict in size.

HL7 v2.5.1 chapter 2. No structure is demanded and no required field: what is missing is missed by who needs it. Fields
that nobody asked for are lost, and are named (`PID-9`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mappers.mapping.faults import UnusableError
from mappers.mapping.result import Loss

MOST_BYTES = 32 * 1024 * 1024
MOST_SEGMENTS = 5_000
_CHARSETS = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    **{f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_ENDS = re.compile(r"\r\n|\r|\n")
_NULL = '""'
_NO_PLACE = "FHIR has no element for it that this mapper fills."
_ENVELOPE = frozenset({"MSH", "EVN", "SFT", "UAC"})


@dataclass(frozen=True, slots=True)
class Delimiters:
    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str

    def plain(self, text: str) -> str:
        """Without its escapes; a formatting command becomes a line's end, one that is unknown nothing."""
        if self.escape not in text:
            return text
        signs = {"F": self.field, "S": self.component, "R": self.repetition, "E": self.escape, "T": self.subcomponent}
        escape = re.escape(self.escape)

        def meant(found: re.Match[str]) -> str:
            command = found[1]
            if command in signs:
                return signs[command]
            if command[:1] == "X":
                return _hexadecimal(command[1:])
            return "\n" if command.startswith((".br", ".sp", ".ce")) else ""

        return re.sub(rf"{escape}([^{escape}]*){escape}", meant, text)


@dataclass(slots=True)
class Segment:
    """`taken`: which fields were asked for, shared by who reads it."""

    name: str
    fields: list[str] = field(repr=False)
    delimiters: Delimiters
    taken: set[int] = field(default_factory=set)

    def text(self, number: int, component: int = 1, sub: int = 1) -> str | None:
        return self.part(self.raw(number).split(self.delimiters.repetition, 1)[0], component, sub)

    def raw(self, number: int) -> str:
        self.taken.add(number)
        return self.fields[number] if number < len(self.fields) else ""

    def repetitions(self, number: int) -> list[str]:
        found = self.raw(number)
        return [one for one in found.split(self.delimiters.repetition) if one and one != _NULL] if found else []

    def part(self, repetition: str, component: int, sub: int = 1) -> str | None:
        """None for what is empty, and for the two quotes that mean "delete"."""
        components = repetition.split(self.delimiters.component)
        if component > len(components):
            return None
        subs = components[component - 1].split(self.delimiters.subcomponent)
        found = subs[sub - 1].strip() if sub <= len(subs) else ""
        return self.delimiters.plain(found) if found and found != _NULL else None

    def lost(self) -> Iterator[int]:
        return (n for n, text in enumerate(self.fields) if n > 1 and n not in self.taken and text and text != _NULL)


@dataclass(frozen=True, slots=True)
class Parsed:
    """`refused`: fields that were asked for, and may not be carried."""

    segments: list[Segment] = field(repr=False)
    refused: list[Loss] = field(default_factory=list, repr=False)

    @property
    def header(self) -> Segment:
        return self.segments[0]

    @property
    def type(self) -> str:
        return (self.header.text(9) or "").upper()

    @property
    def trigger(self) -> str:
        return (self.header.text(9, 2) or "").upper()

    @property
    def control_id(self) -> str:
        return self.header.text(10) or ""

    def all(self, name: str) -> list[Segment]:
        return [one for one in self.segments if one.name == name]

    def first(self, name: str) -> Segment | None:
        return next((one for one in self.segments if one.name == name), None)

    def need(self, name: str) -> Segment:
        found = self.first(name)
        if found is None:
            raise UnusableError(f"{name} is missing.")
        return found

    def losses(self) -> Iterator[Loss]:
        """Fields that were not asked for, once each; of the envelope none, since the raw message is kept with it."""
        named = dict.fromkeys(
            f"{one.name}-{number}" for one in self.segments if one.name not in _ENVELOPE for number in one.lost()
        )
        yield from self.refused
        yield from (Loss(path, _NO_PLACE) for path in named)


def parsed(raw: bytes) -> Parsed:
    """UnusableError where there is no header that can be read, or far too much of it."""
    if len(raw) > MOST_BYTES:
        raise UnusableError("The message is too large.")
    text = _decoded(raw)
    if not text.startswith("MSH") or "\r" in text[:8] or not text[8:]:
        raise UnusableError("The message does not begin with MSH.")
    separator = text[3]
    signs = text[4 : text.find(separator, 4)]
    if separator.isalnum() or not 1 <= len(signs) <= 5 or len(set(separator + signs)) != len(signs) + 1:  # noqa: PLR2004  MSH-2 has up to five
        raise UnusableError("MSH-1 and MSH-2 are not separators.")
    delimiters = Delimiters(separator, *(signs + "^~\\&"[len(signs) :])[:4])
    lines = [line for line in _ENDS.split(text) if line.strip()]
    if len(lines) > MOST_SEGMENTS:
        raise UnusableError("The message has too many segments.")
    return Parsed([_segment(line, delimiters) for line in lines if _SEGMENT.fullmatch(line[:3])])


def _segment(line: str, delimiters: Delimiters) -> Segment:
    fields = line.rstrip().split(delimiters.field)
    if fields[0] == "MSH":
        fields.insert(1, delimiters.field)
    return Segment(fields[0], fields, delimiters)


def _decoded(raw: bytes) -> str:
    """In the set that MSH-18 names, which is read byte by byte since all of them hold ASCII; none is UTF-8 here."""
    head = raw[:4096].split(b"\r", 1)[0].decode("latin-1")
    fields = head.split(head[3]) if len(head) > 3 else []  # noqa: PLR2004  "MSH" and its separator
    named = fields[17].split("~")[0].strip().upper() if len(fields) > 17 else ""  # noqa: PLR2004  where MSH-18 stands
    charset = _CHARSETS.get(named)
    if charset is None:
        raise UnusableError("MSH-18 names a character set that is not read.")
    try:
        return raw.decode(charset).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise UnusableError("The message is not in the character set that it names.") from None


def _hexadecimal(digits: str) -> str:
    try:
        return bytes.fromhex(digits).decode("latin-1")
    except ValueError:
        return ""
