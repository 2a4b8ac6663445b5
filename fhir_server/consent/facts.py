"""What a consent's restrictions look at in a resource: who wrote it, when it was, what it refers to, its labels.

https://hl7.org/fhir/R4/fivews.html; IHE PCF 1.1 (data, dataPeriod, securityLabel). Elements are known by their names,
whatever the type: an author is an author in an Observation as in a Procedure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fhir_server.consent.labels import sensitivities, stated_confidentiality
from fhir_server.engine.pictured import is_imported
from fhir_server.fhir.elements import children
from fhir_server.fhir.reference_places import reference_places
from fhir_server.kernel.identity import ResourceKey, parse_reference
from fhir_server.kernel.json import Json

_AUTHORS = ("author", "performer", "recorder", "asserter", "operator", "requester", "informationSource", "sender")
_WHEN = (
    *("effective", "onset", "performed", "occurrence", "occurred", "period", "started", "date", "created"),
    *("whenHandedOver", "dateTime", "authoredOn", "authored", "recordedDate", "issued", "recorded", "sent"),
)
"""In the order in which they tell the time of what the data is about; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """`authors`: None among them for one that cannot be told; None for all where a type that has authors names none.

    `imported`: a photo that came without evidence of a consent. `when`: dateTimes and Periods as they stand.
    `confidentiality`: a code of v3-Confidentiality.
    """

    authors: frozenset[ResourceKey | None] | None = None
    related: frozenset[ResourceKey] = frozenset()
    when: tuple[object, ...] = ()
    confidentiality: str = "N"
    sensitivities: frozenset[str] = frozenset()
    imported: bool = False


def facts_of(resource: Json) -> Facts:
    elements = children(str(resource.get("resourceType")))
    authors = frozenset(_authors(resource))
    can_name_authors = any(name in elements for name in _AUTHORS)
    return Facts(
        authors=authors if authors or not can_name_authors else None,
        related=frozenset(key for _, text in reference_places(resource) if (key := parse_reference(text)) is not None),
        when=tuple(_times(resource)),
        confidentiality=stated_confidentiality(resource),
        sensitivities=sensitivities(resource),
        imported=is_imported(resource),
    )


def _authors(resource: Json) -> Iterator[ResourceKey | None]:
    for name in _AUTHORS:
        value = resource.get(name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                # A performer may be a Reference, or somebody who acted in a function.
                actor = one.get("actor") or one.get("individual") or one
                text = actor.get("reference") if isinstance(actor, dict) else None
                yield parse_reference(text) if isinstance(text, str) else None


def _times(resource: Json) -> Iterator[object]:
    known = children(str(resource.get("resourceType")))
    for name in _WHEN:
        for element in known.get(name, ()):
            value = resource.get(element.json_name)
            if value is not None:
                yield value
                return
