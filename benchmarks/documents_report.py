"""The page that a run of `benchmarks.documents` leaves."""

import platform
from collections.abc import Sequence
from os import cpu_count

from fhir_server.kernel.clock import SystemClock, instant

_COLUMNS = ("size", "figure", "clients", "requests/s", "MB/s", "p50 ms", "CPU ms", "peak MB", "rate ÷ floor")


def page(rows: Sequence[tuple[str, ...]], seconds: float, rounds: int, others: float) -> str:
    """`others`: processors that other programs used meanwhile."""
    return f"""# Large documents beside plain GridFS: the last run of `python -m benchmarks.documents`

Server, database, floors and load driver shared {cpu_count()} processors; Python {platform.python_version()}, {rounds}
times {seconds:g} seconds a figure, each number the median of its rounds, {instant(SystemClock().now())[:10]}. Other
programs used {others:.1f} processors meanwhile (median).

{_table(rows)}

What counts is `rate ÷ floor`: the floor is a bare handler that puts the same bytes into GridFS, or streams them back,
by the same driver with the same write concern, in the same run. The server checks token and scopes, validates, decides
whether the bytes are a picture, seals, and records durably. JSON carries a third more bytes than the content has, and
a body of JSON is in memory as a whole. `CPU ms` is processor time of the process that answers, per request; `peak MB`
by how much that process was larger at its peak than before, for all clients together.
"""


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    cells = [_COLUMNS, *rows]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_COLUMNS))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
