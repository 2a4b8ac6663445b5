"""The rows of one CSV file: heading -> text, as many and as long as an export may have.

RFC 4180. A row with more or fewer fields than there are headings is refused: its values would stand under wrong ones.
"""

import csv
from collections.abc import Iterator
from io import StringIO

from mappers.csv_files.layout import File, Layout
from mappers.mapping.faults import UnusableError

MOST_ROWS = 1_000_000
MOST_COLUMNS = 200
MOST_FIELD = 65_536


def rows(raw: bytes, layout: Layout, file: File) -> Iterator[dict[str, str] | UnusableError]:
    """A row that cannot be read is told in its place, and does not stop the others."""
    reader = csv.reader(StringIO(_text(raw, layout), newline=""), delimiter=layout.delimiter, strict=True)
    headings = _next(reader)
    if headings is None or isinstance(headings, UnusableError):
        raise UnusableError(f"{file.name} has no headings.")
    if len(headings) > MOST_COLUMNS or len(set(headings)) != len(headings):
        raise UnusableError(f"{file.name} has too many headings, or one twice.")
    if missing := sorted(set(file.columns) - set(headings)):
        raise UnusableError(f"{file.name} has no column {missing[0]}.")
    for _ in range(MOST_ROWS):
        found = _next(reader)
        if found is None:
            return
        if isinstance(found, UnusableError):
            yield found
        elif len(found) != len(headings):
            yield UnusableError("The row has another number of fields than there are headings.")
        elif max(map(len, found)) > MOST_FIELD:
            yield UnusableError("A field is too long.")
        else:
            yield dict(zip(headings, (text.strip() for text in found), strict=True))
    raise UnusableError(f"{file.name} has too many rows.")


def _text(raw: bytes, layout: Layout) -> str:
    try:
        return raw.decode(layout.encoding).removeprefix("\ufeff")
    except UnicodeError:
        raise UnusableError("The file is not in the encoding that the column mapping names.") from None


def _next(reader: Iterator[list[str]]) -> list[str] | UnusableError | None:
    """The next row that is not empty."""
    try:
        return next((row for row in reader if row), None)
    except csv.Error:
        return UnusableError("The row is not CSV.")
