"""The compliance report's lines on professional bodies: is everybody who stands under one registered now? Pure.

Rows T5 to T7, T28. A line for each body that somebody stands under, and one for bodies whose rules are not here.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from fhir_server.kernel.json import Json
from fhir_server.privacy.register.compliance import AMBER, GREEN, PROFESSIONS, RED, Duty
from fhir_server.professions.body import ERROR, REGISTERED, Bodies, Body
from fhir_server.professions.membership import Membership, is_unknown, memberships


def registrations(bodies: Bodies, staff: Sequence[tuple[str, Json]], now: datetime) -> tuple[Duty, ...]:
    """`staff`: the reference of each Practitioner who is active, and the resource."""
    under: dict[str, list[tuple[str, Membership]]] = {}
    for reference, practitioner in staff:
        for one in memberships(practitioner, bodies):
            under.setdefault(one.body.code, []).append((reference, one))
    found = [_of(bodies[code], under[code], now) for code in sorted(under)]
    strange = [reference for reference, practitioner in staff if is_unknown(practitioner, bodies)]
    return (*found, *_unknown(strange))


def _of(body: Body, people: Sequence[tuple[str, Membership]], now: datetime) -> Duty:
    rules = body.of_kind(REGISTERED)
    basis = "; ".join(rule.cited for rule in rules) or body.name
    lacking = [f"{reference}: {lacks}" for reference, one in people if (lacks := one.lacks(now))] if rules else []
    state = RED if any(rule.broken == ERROR for rule in rules) else AMBER
    says = (
        " ".join(lacking) or f"{len(people)} on record, {'each registered now' if rules else 'no rule asks for more'}."
    )
    told = f"{says} {len(body.rules)} rules are loaded; no lawyer and not the body itself has verified them."
    return Duty(f"professional-body-{body.code}", PROFESSIONS, basis, state if lacking else GREEN, told)


def _unknown(strange: Sequence[str]) -> Iterator[Duty]:
    if strange:
        says = f"Rules of a body that they name are not here: {', '.join(strange)}."
        yield Duty("professional-bodies", PROFESSIONS, "Practitioner.qualification", AMBER, says)
