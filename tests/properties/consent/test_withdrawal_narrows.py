"""Withdrawal and expiry only ever narrow: whatever is asked, by whom, of what, under whichever law.

M19; GDPR Art. 7(3). Exhaustive over what is asked, random over the consents.
"""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.consent.decision import decide
from fhir_server.consent.facts import Facts
from fhir_server.consent.law import Law, Policy, packs
from fhir_server.consent.purposes import BREAK_GLASS, PURPOSES
from fhir_server.consent.question import Ask, Matter, Permit
from fhir_server.consent.terms import ANONYMISATION, CHANNEL, WITHDRAWN_AT
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import NOON, PHOTO, SURGEON, consent, head, purpose

LABEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LAWS = [Law(pack, policy) for pack, policy in product(packs().values(), Policy)]
PURPOSE = st.sampled_from(["treatment", "care-photography", "photo-marketing", "communications"])
DATA = [{"meaning": "instance", "reference": {"reference": str(PHOTO)}}]
RESTRICTIONS: st.SearchStrategy[Json] = st.fixed_dictionaries(
    {},
    optional={
        "data": st.just(DATA),
        "dataPeriod": st.just({"start": "2026-01-01", "end": "2026-12-31"}),
        "securityLabel": st.sampled_from([[{"system": LABEL, "code": code}] for code in ("N", "R")]),
        "actor": st.just(
            [
                {
                    "role": {
                        "coding": [
                            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
                        ]
                    },
                    "reference": {"reference": str(SURGEON)},
                }
            ]
        ),
    },
)
TERMS = st.lists(
    st.sampled_from(
        [
            {"url": CHANNEL, "valueCode": "website"},
            {"url": CHANNEL, "valueCode": "print"},
            {"url": ANONYMISATION, "valueCode": "eyes-masked"},
        ]
    ),
    max_size=2,
)


def rule(kind: str, code: str, more: Json, nested: list[Json]) -> Json:
    inner = {"provision": nested} if nested else {}
    return {"type": kind, "purpose": [purpose(code)], **more, **inner}


EXCEPTIONS = st.lists(
    st.builds(lambda kind, more: {"type": kind, **more}, st.sampled_from(["permit", "deny"]), RESTRICTIONS), max_size=2
)
CONSENTS = st.lists(
    st.builds(
        lambda code, kind, more, nested, terms: (rule(kind, code, more, nested), terms),
        PURPOSE,
        st.sampled_from(["permit", "permit", "deny"]),
        RESTRICTIONS,
        EXCEPTIONS,
        TERMS,
    ),
    min_size=1,
    max_size=4,
)
ASKS = [
    Ask("7", code, NOON, PHOTO, actor, matter, facts, role, channel, rendition, taking)
    for code in ("treatment", "care-photography", "photo-marketing", "communications", "research", BREAK_GLASS)
    for actor in (SURGEON, ResourceKey("Patient", "7"))
    for matter in (Matter.PHOTO, Matter.RECORD)
    for facts in (Facts(frozenset(), when=("2026-02-01",)), Facts(None, when=("2025-02-01",), confidentiality="R"))
    for role in ("nurse", None)
    for channel in (None, "website")
    for rendition in (0, 1)
    for taking in ((False, True) if matter is Matter.PHOTO else (False,))
]


def written(consents: Any, ended: int | None, how: str) -> list[Json]:
    found = []
    for number, (provision, terms) in enumerate(consents):
        over = number == ended
        status, extension, said = "active", terms, provision
        if over and how == "withdrawn":
            status, extension = "inactive", [*terms, {"url": WITHDRAWN_AT, "valueInstant": "2026-03-01T00:00:00Z"}]
        if over and how == "expired":
            said = {**provision, "period": {"end": (NOON - timedelta(days=2)).date().isoformat()}}
        found.append(consent(said, id=f"c{number}", status=status, **({"extension": extension} if extension else {})))
    return found


@pytest.mark.parametrize("how", ["withdrawn", "expired"])
@settings(max_examples=30, deadline=None)
@given(CONSENTS, st.sampled_from(LAWS))
def test_m19_the_end_of_a_permission_never_opens_anything(how: str, consents: Any, law: Law) -> None:
    permits = [number for number, (provision, _) in enumerate(consents) if provision["type"] == "permit"]
    before = written(consents, None, how)
    for number in permits:
        after = written(consents, number, how)
        for ask in ASKS:
            if isinstance(decide(ask, after, head(after), law), Permit):
                assert isinstance(decide(ask, before, head(before), law), Permit), ask


@settings(max_examples=40, deadline=None)
@given(CONSENTS, st.sampled_from(LAWS))
def test_a_refusal_beside_a_permission_of_the_same_instant_wins(consents: Any, law: Law) -> None:
    """Every purpose is refused, one by one and without restriction: then nothing rests on a consent any more."""
    refusals: list[tuple[Json, list[Json]]] = [
        ({"type": "deny", "purpose": [purpose(each.code)]}, []) for each in PURPOSES
    ]
    found = written([*consents, *refusals], None, "")
    for ask in ASKS:
        decision = decide(ask, found, head(found), law)
        allowed = isinstance(decision, Permit)
        assert not allowed or ask.purpose == BREAK_GLASS or (ask.is_own and ask.matter is Matter.RECORD), ask
