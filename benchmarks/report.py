"""The table on the screen, and the two files that a run leaves: one for machines, one for people."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import standing
from benchmarks.figures import BUDGET_CLIENTS, BUDGET_FACTOR, FIGURES
from benchmarks.results import Result, as_json
from benchmarks.standing import Standing
from fhir_server.kernel import json
from fhir_server.kernel.json import Json

_COLUMNS = (
    "figure",
    "clients",
    "requests/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "server CPU ms",
    "database CPU ms",
    "rate ÷ floor",
    "CPU ÷ floor",
    "allowed CPU ms",
    "kept",
)


def table(found: Sequence[Result]) -> str:
    return aligned([_COLUMNS, *map(_cells, found)])


def standing_table(found: Sequence[Standing]) -> str:
    """What a process costs beside its work."""
    rows = [
        (one.name, f"{one.value:.3g} {one.unit}", f"{one.allowed:g}" if one.allowed else "", _YES[one.kept], one.says)
        for one in found
    ]
    return aligned([("figure", "value", "allowed", "kept", "what"), *rows])


_YES = {True: "yes", False: "no", None: ""}


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """As Markdown that reads on a screen as well."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def write(folder: Path, found: Sequence[Result], stood: Sequence[Standing], around: Json) -> None:
    """`latest.json` and `README.md`."""
    folder.mkdir(exist_ok=True)
    content = json.encode({**around, "figures": as_json(found), "process": standing.as_json(stood)})
    (folder / "latest.json").write_bytes(msgspec.json.format(content, indent=2) + b"\n")
    (folder / "README.md").write_text(_page(found, stood, around), encoding="utf-8")


def _page(found: Sequence[Result], stood: Sequence[Standing], around: Json) -> str:
    meanings = "\n".join(f"- **{figure.name}**: {figure.says}." for figure in FIGURES)
    others = max((one.others for one in found), default=0.0)
    return f"""# The last run of `make bench`

Server ({around["answering"]} answering), database, floors and load driver shared {around["processors"]} processors;
Python {around["python"]}, MongoDB {around["mongod"]} as a replica set of one, {around["rounds"]} times
{around["seconds"]:g} seconds a figure, each number the median of its rounds, {around["measured"][:10]}. Other programs
took up to {others:.0%} of the processors meanwhile.

What counts is the **ratios to the floors**, which were measured in the same run, and the processor time per request;
absolute rates say more about the machine than about the server. Audit and scopes are on, as they always are: every
request is checked against the token's scopes and recorded durably before its answer leaves.

{table(found)}

{meanings}

`CPU ms` is processor time per request, all threads, user and system. `rate ÷ floor` compares requests a second with
the floor at the same number of clients, `CPU ÷ floor` the processor time of server and database together; a search is
compared with one `find_one` although it opens 20 resources and records 20 accesses, a transaction with one
`insert_one` although it stores 100 resources. `allowed` is {BUDGET_FACTOR:g} times what a prototype without scopes and
consent spent, server + database, at {BUDGET_CLIENTS} clients on another machine of two processors; `kept` compares the
sums.

## Start and memory

{standing_table(stood)}
"""


def _cells(one: Result) -> tuple[str, ...]:
    return (
        one.figure.name,
        str(one.clients),
        f"{one.rate:.1f}" if one.rate < 100 else f"{one.rate:.0f}",
        *(f"{value:.1f}" for value in (one.p50, one.p95, one.p99)),
        f"{one.server:.2f}",
        f"{one.database:.2f}",
        f"{one.rate_ratio:.2f}" if one.rate_ratio else "",
        f"{one.cost_ratio:.2f}" if one.cost_ratio else "",
        f"{one.budget[0]:.2f} + {one.budget[1]:.2f}" if one.budget else "",
        _YES[one.within],
    )
