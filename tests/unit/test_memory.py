"""Freed memory stays with a process that says so: the same buffers again cost it no page of the system's."""

import subprocess
import sys

import pytest

_PROBE = """
import sys
from resource import RUSAGE_SELF, getrusage
from fhir_server.cli.memory import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("cannot")
for turn in range(3):
    before = getrusage(RUSAGE_SELF).ru_minflt
    buffers = [b"x" * (4 << 20) for _ in range(10)]
    buffers.clear()
    fetched = getrusage(RUSAGE_SELF).ru_minflt - before
print(fetched)
"""
_PAGES = 10 * (4 << 20) // 4096


def fetched(how: str) -> int:
    """Pages, when the same buffers are there for the third time."""
    done = subprocess.run((sys.executable, "-c", _PROBE, how), capture_output=True, text=True, check=False)
    if done.stderr.strip() == "cannot":
        pytest.skip("this C library does not say what it keeps")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_buffers_are_fetched_from_the_system_anew_unless_they_are_kept() -> None:
    assert fetched("kept") < _PAGES // 10
    assert fetched("given back") > _PAGES // 2
