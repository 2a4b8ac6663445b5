"""The page that runs of `benchmarks.search` leave: a table for each size, and how the sizes compare."""

from collections.abc import Sequence

from benchmarks.report import aligned
from benchmarks.searches import SEARCHES
from fhir_server.kernel.json import Json

_COLUMNS = (
    "search",
    "asked for",
    "requests/s",
    "p50 ms",
    "p95 ms",
    "server CPU ms",
    "database CPU ms",
    "plain requests/s",
    "plain database CPU ms",
    "sealed ÷ plain, database",
    "sealed ÷ plain, all CPU",
)
_MOST_GROWTH = 1.3


def page(sizes: Sequence[Json]) -> str:
    """`sizes` in rising order."""
    meanings = "\n".join(f"- **{search.name}**: {search.says}." for search in SEARCHES)
    tables = "\n".join(_of_one_size(size) for size in sizes)
    return f"""# Searches over sealed data beside the same ones on plain documents: the last runs of `make bench-search`

Server, database, plain handler and load driver share the processors; 16 clients; audit and scopes are on, as always.
`plain` is a bare handler that finds the same resources, stored as they are beside their search values, by a native
index of MongoDB each, in the same run: it checks nobody, records nothing, and does not look at what it found. What
counts is `sealed ÷ plain`: processor time of the database alone, and of the database with the process that answers.

{meanings}
{tables}{_growth(sizes)}"""


def _of_one_size(size: Json) -> str:
    others = max(row[how]["others"] for row in size["searches"] for how in ("sealed", "plain"))
    return f"""
## {size["patients"]:,} patients

{size["processors"]} processors, {size["answering"]} of the server's processes; Python {size["python"]}, MongoDB
{size["mongod"]}, {size["rounds"]} times {size["seconds"]:g} seconds, each number the median of its rounds,
{size["measured"][:10]}. Other programs used up to {others:.1f} processors meanwhile.

{aligned([_COLUMNS, *map(_cells, size["searches"])])}
"""


def _cells(row: Json) -> tuple[str, ...]:
    sealed, plain = row["sealed"], row["plain"]
    return (
        row["search"],
        f"{row['least']:g}",
        f"{sealed['rate']:.0f}",
        *(f"{sealed[name]:.1f}" for name in ("p50", "p95")),
        *(f"{sealed[name]:.2f}" for name in ("server", "database")),
        f"{plain['rate']:.0f}",
        f"{plain['database']:.2f}",
        f"{sealed['database'] / plain['database']:.2f}",
        f"{_cost(sealed) / _cost(plain):.1f}",
    )


def _cost(figures: Json) -> float:
    return float(figures["server"]) + float(figures["database"])


def _growth(sizes: Sequence[Json]) -> str:
    if len(sizes) == 1:
        return ""
    small, large = sizes[0], sizes[-1]
    rows = [
        (
            few["search"],
            f"{few['sealed']['rate'] / many['sealed']['rate']:.2f}",
            f"{_cost(many['sealed']) / _cost(few['sealed']):.2f}",
        )
        for few, many in zip(small["searches"], large["searches"], strict=True)
    ]
    return f"""
## From {small["patients"]:,} to {large["patients"]:,} patients

How many times slower; at most {_MOST_GROWTH:g} is asked for.

{aligned([("search", "by rate", "by processor time"), *rows])}
"""
