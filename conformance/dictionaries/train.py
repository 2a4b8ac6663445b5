"""Makes `fhir_server/crypto/data/1.zdict`: what nearly all sealed things have in common, kept once outside of them.

sealed-storage section 1: trained on invented data only, for a dictionary holds fragments of what it was trained on. Run
from the root of the repository: `.venv/bin/python conformance/dictionaries/train.py`. A dictionary that has sealed
anything never changes; a better one gets the next number.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import zstandard

from fhir_server.audit.event import Happening, draft
from fhir_server.engine.call import Call, Interaction, Principal
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey

ROOT = Path(__file__).parents[2]

BYTES = 16 * 1024
_EVENTS_EACH = 30
_TYPES = ("Patient", "Observation", "Media", "Consent", "Appointment", "Procedure", "Encounter", "DocumentReference")
_START = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    samples = [*_events(), *_resources()]
    trained = zstandard.train_dictionary(BYTES, samples)
    target = ROOT / "fhir_server/crypto/data/1.zdict"
    target.write_bytes(trained.as_bytes())
    print(f"{len(samples)} samples, {sum(map(len, samples))} bytes -> {target.stat().st_size} bytes")


def _events() -> Iterator[bytes]:
    """AuditEvents of each interaction, by a person and by a system, of success and of failure."""
    numbers = count()
    for interaction in Interaction:
        for number in (next(numbers) for _ in range(_EVENTS_EACH)):
            yield _event(interaction, number)


def _event(interaction: Interaction, number: int) -> bytes:
    type = _TYPES[number % len(_TYPES)]
    person = f"Practitioner/{_id('person', number)}" if number % 2 else None
    principal = Principal(
        _id("subject", number),
        _id("client", number)[:12],
        f"https://{_id('clinic', number)[:9]}.example",
        _id("token", number),
        fhir_user=person,
    )
    call = Call(
        interaction,
        principal,
        _START,
        type,
        request=f"GET /fhir/{type}?name={_id('name', number)[:7]}",
        request_id=_id("request", number),
        client_address=f"10.{number % 250}.{number * 7 % 250}.{number * 11 % 250}",
    )
    failed = number % 9 == 0
    happening = Happening(
        call,
        "4" if failed else "0",
        "404: There is no resource with this id." if failed else "",
        ResourceKey(type, _id("resource", number)) if number % 3 else None,
        1 + number % 4,
        _id("patient", number),
        f"Consent/{_id('consent', number)}/_history/1" if number % 7 == 0 else None,
        _START,
        issue="not-found" if failed else "",
    )
    recorded = _START + timedelta(milliseconds=number * 7_654_321)
    return draft(happening, server=f"{principal.issuer}/fhir").event(f"{_id('writer', number)[:16]}-{number}", recorded)


def _resources() -> Iterator[bytes]:
    """The demo clinic, whose people are invented, with ids as the server would give them."""
    clinic = json.decode((ROOT / "fhir_server/cli/demo_clinic.json").read_bytes())
    for turn in range(6):
        for number, entry in enumerate(clinic["entry"]):
            resource = entry["resource"]
            yield json.encode(
                {
                    "resourceType": resource["resourceType"],
                    "id": _id(f"copy{turn}", number),
                    "meta": resource.get("meta", {}),
                    **{name: value for name, value in resource.items() if name not in {"resourceType", "id", "meta"}},
                }
            )


def _id(what: str, number: int) -> str:
    """Looks like an id, differs each time, is the same in each run."""
    return hashlib.sha256(f"{what}{number}".encode()).hexdigest()[:32]


if __name__ == "__main__":
    main()
