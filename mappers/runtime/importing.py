"""An export, from the archive into the server: patients first, then what is theirs; or, dry, only what would be.

A dry run asks nobody and writes nothing.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from mappers.csv_files.layout import KINDS, File, Layout
from mappers.csv_files.reading import read
from mappers.csv_files.rows import rows
from mappers.mapping.faults import UnusableError
from mappers.mapping.json_text import Json, decode_object, encode
from mappers.mapping.message import Message, Tables
from mappers.runtime.archive import Archive
from mappers.runtime.clock import Clock
from mappers.runtime.delivery import Delivery, Read

_HEAD = 12


@dataclass(slots=True)
class Report:
    """Counts by file, and names of columns: no value of any row."""

    counts: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        for what, count in sorted(self.counts.items()):
            yield f"{count:8} {what}"
        for what, count in sorted(self.losses.items()):
            yield f"{count:8} lost: {what}"


@dataclass(frozen=True, slots=True)
class Importing:
    layout: Layout
    tables: Tables
    clock: Clock

    @property
    def reader(self) -> Read:
        return partial(read, layout=self.layout)

    def dry(self, archive: Archive) -> Report:
        report = Report()
        for file, message in self._messages(archive, report):
            try:
                mapped = self.reader(message, self.tables)
            except UnusableError as error:
                report.counts[f"{file.name}: cannot be taken: {error}"] += 1
                continue
            report.counts[f"{file.name}: would be taken"] += 1
            report.losses.update(loss.path for loss in mapped.losses)
        return report

    async def run(self, archive: Archive, delivery: Delivery) -> Report:
        report = Report()
        for file, message in self._messages(archive, report):
            outcome = await delivery.deliver(message)
            report.counts[f"{file.name}: {outcome.value}"] += 1
        return report

    def _messages(self, archive: Archive, report: Report) -> Iterator[tuple[File, Message]]:
        now = self.clock()
        order = list(KINDS)
        for file in sorted(self.layout.files.values(), key=lambda one: order.index(one.kind)):
            if file.name not in archive.names:
                report.counts[f"{file.name}: is not in the archive"] += 1
                continue
            for row in rows(archive.read(file.name), self.layout, file):
                if isinstance(row, UnusableError):
                    report.counts[f"{file.name}: cannot be taken: {row}"] += 1
                    continue
                try:
                    body = self._body(archive, file, row)
                except UnusableError as error:
                    report.counts[f"{file.name}: cannot be taken: {error}"] += 1
                    continue
                yield file, Message(encode(body), now)

    def _body(self, archive: Archive, file: File, row: dict[str, str]) -> Json:
        body: Json = {"file": file.name, "row": row}
        if file.kind == "photos":
            raw = archive.read(row[file.headings["file"]])
            body |= {"head": raw[:_HEAD].hex(), "data": b64encode(raw).decode()}
        return body


def without_data(raw: bytes) -> bytes:
    """The row alone: a photograph lies nowhere but behind its gate."""
    body = decode_object(raw, most_bytes=128 * 1024 * 1024)
    return encode({name: value for name, value in body.items() if name not in {"data", "head"}})
