"""One row of an export -> Patient, Appointment, Media or QuestionnaireResponse.

A row says not when it was changed: what is imported later is the later word. A column without an element is lost by its
heading, but in a form, where every column is a question.
"""

from datetime import UTC, datetime

from mappers.csv_files.layout import File, Layout
from mappers.mapping.appointments import STATUSES, appointment, attending, codes, participant
from mappers.mapping.assembly import mapping
from mappers.mapping.entries import kept, once, under
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import IMPORTED, actor, full_url, identifier, resource_id
from mappers.mapping.instants import later, local, sortable, written
from mappers.mapping.json_text import Json, decode_object
from mappers.mapping.message import Message, Tables
from mappers.mapping.patients import address, contact_points, human_name, patient
from mappers.mapping.result import Loss, Mapping, Order

NAME = "csv"
NO_COLUMN = "The column mapping gives it no element."
_TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"GIF8": "image/gif", b"RIFF": "image/webp"}
_MOST_MINUTES = 1440


class Row:
    """The texts of a row by element."""

    __slots__ = ("_row", "file", "layout", "tables")

    def __init__(self, row: dict[str, str], file: File, layout: Layout, tables: Tables) -> None:
        self._row, self.file, self.layout, self.tables = row, file, layout, tables

    def text(self, element: str) -> str | None:
        return self._row.get(self.file.headings.get(element, "")) or None

    def need(self, element: str) -> str:
        found = self.text(element)
        if found is None:
            raise UnusableError(f"{self.file.headings.get(element, element)} is empty.")
        return found

    def code(self, element: str) -> str | None:
        """A word that the mapping file does not know is not guessed."""
        word = self.text(element)
        if word is None:
            return None
        known = self.file.codes.get(element, {})
        if word not in known:
            raise UnusableError(f"{self.file.headings[element]} holds a word that the column mapping does not know.")
        return known[word]

    def day(self, element: str) -> str | None:
        text = self.text(element)
        return self._parsed(text, self.file.dates, element).date().isoformat() if text else None

    def time(self, element: str) -> datetime | None:
        text = self.text(element)
        if text is None:
            return None
        return local(self._parsed(text, self.file.times, element).isoformat(), self.tables.zone, element)

    def questions(self) -> list[tuple[str, str]]:
        return [(heading, text) for heading, text in self._row.items() if heading not in self.file.columns and text]

    def _parsed(self, text: str, form: str, element: str) -> datetime:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  the clinic's zone is given to it by who asks
        except ValueError:
            raise UnusableError(f"{self.file.headings[element]} is not written as the mapping says.") from None


def read(message: Message, tables: Tables, layout: Layout) -> Mapping:
    """`message.raw`: `{file, row}` and, of a photograph, `data` in base64 with what it begins with."""
    given = decode_object(message.raw, most_bytes=128 * 1024 * 1024)
    file = layout.files[given["file"]]
    row = Row(given["row"], file, layout, tables)
    who = once(patient(f"{layout.system}:patient", row.need("id" if file.kind == "patients" else "patient"), None))
    entries: list[Json]
    if file.kind == "patients":
        who = kept(_patient(row))
        entries = [who]
    elif file.kind == "appointments":
        entries = [who, kept(_appointment(row, who))]
    elif file.kind == "photos":
        entries = [who, once(_photo(row, who, given))]
    else:
        entries = [who, _form(row, who)]
    lost = (
        [] if file.kind == "forms" else [Loss(f"{file.name}: {heading}", NO_COLUMN) for heading, _ in row.questions()]
    )
    order = Order(0, sortable(message.received))
    key = f"{file.name}|{row.need('id')}|{message.sha256}"
    return mapping(NAME, message, key, order, entries, lost, unsure=[who] if file.kind == "patients" else [])


def _patient(row: Row) -> Json:
    return patient(
        f"{row.layout.system}:patient",
        row.need("id"),
        human_name(row.text("name"), row.text("family"), row.text("given")),
        contact_points(row.text("email"), row.text("mobile"), row.text("phone")),
        gender=row.code("gender"),
        birthDate=row.day("birthDate"),
        address=address((row.text("street"),), row.text("city"), None, row.text("postalCode"), row.text("country")),
    )


def _appointment(row: Row, who: Json) -> Json:
    status = row.code("status") or ""
    if status not in STATUSES:
        raise UnusableError("The column mapping gives a status that FHIR does not have.")
    start = row.time("start")
    if start is None:
        raise UnusableError(f"{row.file.headings['start']} is empty.")
    system = row.layout.system
    named = (("Practitioner", row.text("practitioner")), ("Location", row.text("place")))
    others = [
        participant(actor(type, f"{system}:{type.lower()}", name, name, row.tables), attends=type == "Practitioner")
        for type, name in named
        if name
    ]
    return appointment(
        [identifier(f"{system}:appointment", row.need("id"))],
        status,
        (start, row.time("end") or later(start, _minutes(row))),
        [attending(who), *others],
        serviceType=codes(row.text("service")),
        comment=row.text("comment"),
    )


def _minutes(row: Row) -> int:
    text = row.text("minutes") or ""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:5]) <= _MOST_MINUTES):
        raise UnusableError("The row has neither an end nor a duration in minutes.")
    return int(text)


def _photo(row: Row, who: Json, given: Json) -> Json:
    """What it is, its first bytes say; the server looks closer, and keeps it for care until a consent names it."""
    head = bytes.fromhex(str(given.get("head", "")))
    type = next((name for signature, name in _TYPES.items() if head.startswith(signature)), None)
    if type is None or not given.get("data"):
        raise UnusableError(f"{row.file.headings['file']} leads to no photograph of a kind that is taken.")
    taken = row.time("taken")
    found: Json = {
        "resourceType": "Media",
        "meta": {"tag": [IMPORTED]},
        "identifier": [identifier(f"{row.layout.system}:photo", row.need("id"))],
        "status": "completed",
        "subject": {"reference": who["fullUrl"]},
        "createdDateTime": written(taken.astimezone(UTC)) if taken else None,
        "content": {"contentType": type, "title": row.text("title"), "data": given["data"]},
    }
    found["content"] = {name: value for name, value in found["content"].items() if value}
    return {name: value for name, value in found.items() if value}


def _form(row: Row, who: Json) -> Json:
    """Every column that is not one of the form's own is a question, answered in words."""
    system, id, completed = f"{row.layout.system}:form", row.need("id"), row.time("completed")
    answers = [
        {"linkId": str(place), "text": heading, "answer": [{"valueString": text}]}
        for place, (heading, text) in enumerate(row.questions(), 1)
    ]
    found: Json = {
        "resourceType": "QuestionnaireResponse",
        "identifier": identifier(system, id),
        "status": "completed",
        "subject": {"reference": who["fullUrl"]},
        "authored": written(completed.astimezone(UTC)) if completed else None,
        "item": [{"linkId": "0", "text": row.file.title, "item": answers}] if answers else None,
    }
    entry = under(resource_id(system, id), {name: value for name, value in found.items() if value})
    return {"fullUrl": full_url("QuestionnaireResponse", system, id), **entry}
