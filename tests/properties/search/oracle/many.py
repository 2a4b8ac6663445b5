"""`python -m tests.properties.search.oracle.many 100000`: so many searches, each held against the second opinion.

Prints how far it is and how many matched in all; ends with status 1 and the search at the first disagreement.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from fhir_server.store.embedded import EmbeddedMongo
from tests.properties.search.oracle.asked import compared

_TELL_EVERY = 1000
_TOGETHER = 8
"""Asked at the same time, so that they share commands as those of several callers do."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("queries", type=int, help="how many")
    parser.add_argument(
        "--first", type=int, default=0, help="the number of the first one; the same number, the same search"
    )
    parser.add_argument("--patients", type=int, default=1, help="how many synthetic patients, of eight")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fhir-server-") as folder, EmbeddedMongo(Path(folder) / "mongo") as mongo:
        return asyncio.run(_run(mongo.uri, Path(folder), asked.first, asked.queries, asked.patients))


async def _run(uri: str, folder: Path, first: int, queries: int, patients: int) -> int:
    async with compared(uri, "many", folder, patients) as both:
        began, matched = time.monotonic(), 0
        for number in range(0, queries, _TOGETHER):
            done = min(number + _TOGETHER, queries)
            try:
                matched += sum(await asyncio.gather(*(both.check(first + each) for each in range(number, done))))
            except AssertionError as disagreement:
                sys.stdout.write(f"{disagreement}\n{number} searches before it agreed.\n")
                return 1
            if done % _TELL_EVERY == 0:
                took = time.monotonic() - began
                sys.stdout.write(
                    f"{done} searches of {len(both.world.stored)} resources, {matched} matches, {took:.0f} s; "
                    f"go on with --first {first + done}\n"
                )
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
