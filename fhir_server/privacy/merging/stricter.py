"""Which permissions end when two records become one: of two words on the same purpose the stricter holds; pure.

GDPR Art. 7(3), 25(2). A refusal needs nothing done: the gate lets it win over every permission. A withdrawal stands in
the way of nothing but of what it took back, so a permission in the other record would slip past it; and of two
permissions the gate would take the wider.
"""

from collections.abc import Iterator, Sequence

from fhir_server.consent.lifecycle import same_subject
from fhir_server.consent.terms import SUPERSEDED_BY, adding, channels, in_force, level, withdrawn
from fhir_server.engine.stored import Stored
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json


def ending(one: Sequence[Stored], other: Sequence[Stored]) -> dict[ResourceKey, Stored]:
    """The permissions of either record that give way, each with what it gives way to."""
    return dict([*_ending(one, other), *_ending(other, one)])


def ended(consent: Json, because: ResourceKey) -> Json:
    return adding(
        {**consent, "status": "inactive"}, {"url": SUPERSEDED_BY, "valueReference": {"reference": str(because)}}
    )


def _ending(mine: Sequence[Stored], theirs: Sequence[Stored]) -> Iterator[tuple[ResourceKey, Stored]]:
    for consent in mine:
        if not _permits(consent.resource):
            continue
        for other in theirs:
            if same_subject(consent.resource, other.resource) and _is_stricter(other.resource, consent.resource):
                yield consent.key, other
                break


def _permits(consent: Json) -> bool:
    return in_force(consent) and consent.get("provision", {}).get("type") == "permit"


def _is_stricter(other: Json, consent: Json) -> bool:
    """A withdrawal; or a permission for the same places that asks for more to be made unrecognisable."""
    if withdrawn(other):
        return True
    here, there = channels(consent), channels(other)
    meets = not here.isdisjoint(there) or here == there
    asked, shown = level(other), level(consent)
    return _permits(other) and meets and asked is not None and shown is not None and asked > shown
