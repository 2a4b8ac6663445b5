"""`python -m benchmarks.decisions`: what a decision on a photo costs whose patient's consents were looked up before.

Processor time, beside the floor: one look into a dictionary, awaited. A few seconds; it starts no server.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from time import process_time
from typing import cast

from benchmarks.report import standing_table
from benchmarks.standing import Standing as Figure
from fhir_server.consent.facts import facts_of
from fhir_server.consent.law import law_of
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, PURPOSES, coded
from fhir_server.consent.question import Ask, Deny, Permit
from fhir_server.consent.standing import Standing
from fhir_server.engine.call import Trace
from fhir_server.engine.ports import Head, ResourceStore
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
MEDIA = ResourceKey("Media", "m")
_ALLOWED_MS = 0.1
_TIMES, _ROUNDS = 2_000, 9


def main() -> int:
    found = figures()
    print(standing_table(found))
    return 0 if all(one.kept is not False for one in found) else 1


def figures(times: int = _TIMES, rounds: int = _ROUNDS) -> list[Figure]:
    """Of patients with one consent and with one for every purpose."""
    floor = asyncio.run(_milliseconds(_floor, times, rounds))
    measured = [Figure("the floor", floor, "ms", None, "a look into a dictionary, awaited")]
    for consents in (_consents(1), _consents(len(PURPOSES))):
        taken = asyncio.run(_milliseconds(_deciding(consents), times, rounds))
        said = f"{len(consents)} on file: {taken / floor:.0f} times the floor"
        measured.append(Figure(f"a cached decision, {len(consents)} consents", taken, "ms", _ALLOWED_MS, said))
    return measured


async def _milliseconds(make: Callable[[], Awaitable[object]], times: int, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        begun = process_time()
        for _ in range(times):
            await make()
        taken.append((process_time() - begun) / times * 1000)
    return median(taken)


async def _floor() -> object:
    return {"ann": 1}.get("ann")


def _deciding(consents: Sequence[Stored]) -> Callable[[], Awaitable[object]]:
    place = _Place(consents)
    # Of all that a store can do, a decision asks for consents by their keys alone.
    standing = Standing(cast("ResourceStore", place), place, law_of("eu"))
    facts = facts_of(
        {"resourceType": "Media", "createdDateTime": "2026-02-01", "subject": {"reference": "Patient/ann"}}
    )
    ask = Ask("ann", CARE_PHOTOGRAPHY, NOW, MEDIA, ResourceKey("Practitioner", "p"), facts=facts)

    async def decide() -> Permit | Deny:
        decided = await standing.decide(replace(ask, instant=NOW), Trace(remembering=True))
        assert isinstance(decided, Permit)
        return decided

    return decide


def _consents(most: int) -> list[Stored]:
    """One for each purpose, that for photographs in care among them."""
    codes = sorted((purpose.code for purpose in PURPOSES), key=lambda code: code != CARE_PHOTOGRAPHY)[:most]
    return [_stored(ResourceKey("Consent", f"c{number}"), code) for number, code in enumerate(codes)]


def _stored(key: ResourceKey, code: str) -> Stored:
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    resource: Json = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "patient": {"reference": "Patient/ann"},
        "dateTime": "2026-01-05",
        "provision": {"type": "permit", "period": {"end": "2030-01-01"}, "purpose": [coded(code)]},
    }
    return Stored(key, 1, 1, NOW, truth(key, resource), subjects=("ann",))


class _Place:
    """Head row and consents, as a database would have them."""

    def __init__(self, consents: Sequence[Stored]) -> None:
        self._consents = {one.key: one for one in consents}

    async def heads(self, patients: Collection[str]) -> Mapping[str, Head]:
        return {one: Head(one, 1, dict.fromkeys(self._consents, 1)) for one in patients}

    async def read_many(self, keys: Collection[ResourceKey]) -> Mapping[ResourceKey, Stored]:
        return {key: self._consents[key] for key in keys}


if __name__ == "__main__":
    sys.exit(main())
