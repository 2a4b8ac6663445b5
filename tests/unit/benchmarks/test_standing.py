"""What a process costs beside its work is measured on this very process, and told with what is allowed."""

import os

from benchmarks.processor_time import resident
from benchmarks.report import standing_table
from benchmarks.standing import Standing, as_json

FOUND = [
    Standing("start", 1.234, "s", 3.0, "from the command on"),
    Standing("memory", 301.0, "MB", 300.0, "resident"),
    Standing("processor time", 0.9, "s", None, "of it"),
]


def test_the_table_says_what_is_kept_and_what_is_not() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in standing_table(FOUND).splitlines()]

    assert rows[0] == ["figure", "value", "allowed", "kept", "what"]
    assert [row[3] for row in rows[2:]] == ["yes", "no", ""]
    assert rows[2][1:3] == ["1.23 s", "3"]


def test_machines_read_the_same() -> None:
    assert [(one["figure"], one["kept"]) for one in as_json(FOUND)] == [
        ("start", True),
        ("memory", False),
        ("processor time", None),
    ]


def test_memory_is_that_of_the_process_that_is_asked_for() -> None:
    assert 10e6 < resident() < 10e9
    assert abs(resident(os.getpid()) - resident()) < 10e6
