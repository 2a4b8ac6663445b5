"""What a broken glass opens: a refusal of treatment that takes emergencies out, and no other refusal.

IHE PCF 1.1, its example dissent-break-glass.
"""

from typing import Any

import pytest

from fhir_server.consent.decision import decide
from fhir_server.consent.law import law_of
from fhir_server.consent.purposes import ACT_REASON
from fhir_server.consent.question import Deny, Matter, Permit, Reason
from fhir_server.engine.change import CareBasis, ConsentBasis
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import PHOTOGRAPHY, ask, consent, head, purpose, rule


def coded(kind: str | None, *codes: str, **more: Any) -> Json:
    """A rule for purposes of v3-ActReason."""
    return rule(kind, **({"purpose": [purpose(code, ACT_REASON) for code in codes]} if codes else {}), **more)


def refusal(*codes: str, but: Json | list[Json] | None = None) -> Json:
    listed = but if isinstance(but, list) or but is None else [but]
    return consent(coded("deny", *codes, **({"provision": listed} if listed else {})))


def of_record(*consents: Json, emergency: bool = True, **asked: Any) -> Permit | Deny:
    asking = ask(**{"matter": Matter.RECORD, "purpose": "treatment", "emergency": emergency, **asked})
    return decide(asking, consents, head(consents))


def of_photo(*consents: Json, emergency: bool = True, **asked: Any) -> Permit | Deny:
    return decide(ask(emergency=emergency, **asked), consents, head(consents))


BTG, ETREAT, BOTH = coded("permit", "BTG"), coded("permit", "ETREAT"), coded("permit", "BTG", "ETREAT")


@pytest.mark.parametrize("named", [BTG, ETREAT, BOTH])
@pytest.mark.parametrize("refused", [("TREAT",), ()])
def test_a_refusal_that_takes_emergencies_out_is_opened_by_a_broken_glass(refused: tuple[str], named: Json) -> None:
    found = refusal(*refused, but=named)

    opened = of_record(found)

    assert isinstance(opened, Permit)
    assert isinstance(opened.basis, ConsentBasis)
    assert isinstance(shut := of_record(found, emergency=False), Deny)
    assert shut.reason is Reason.REFUSED


@pytest.mark.parametrize(
    "found",
    [
        refusal("TREAT"),
        refusal(),
        refusal("TREAT", "BTG", "ETREAT"),
        refusal("TREAT", but=coded("permit", "HRESCH")),
        refusal(but=[coded("permit", "HCOMPL"), coded("permit", "HLEGAL"), coded("permit", "PATRQT")]),  # a restriction
        refusal("TREAT", but=coded("permit")),
        refusal("TREAT", but=coded("permit", "BTG", "HMARKT")),
        refusal("TREAT", but=coded("permit", "BTG", **{"class": [{"code": "Observation"}]})),
        refusal("TREAT", but=coded("permit", "BTG", period={"end": "2020-01-01"})),
        refusal("TREAT", but=[BTG, coded("deny", "ETREAT")]),
        refusal("TREAT", but=[ETREAT, coded("deny", "BTG")]),
        consent(coded(None, "TREAT", provision=[BTG])),
    ],
)
def test_any_other_refusal_stays(found: Json) -> None:
    denied = of_record(found)

    assert isinstance(denied, Deny)
    assert denied.reason is Reason.REFUSED


def test_who_refuses_emergencies_is_not_looked_at_by_breaking_the_glass() -> None:
    found = refusal("BTG")

    assert isinstance(of_record(found), Deny)
    assert isinstance(of_record(found, emergency=False), Permit)


def test_a_refusal_beside_one_that_takes_emergencies_out_stays() -> None:
    opened, shut = refusal("TREAT", but=BTG), {**refusal("TREAT"), "id": "c2"}

    assert isinstance(of_record(opened, shut), Deny)
    assert isinstance(of_record(shut, consent(coded("permit", "BTG"), id="c3")), Deny), "it names none itself"


@pytest.mark.parametrize("asked", ["marketing", "research", "training", "communications"])
def test_it_opens_nothing_for_another_purpose(asked: str) -> None:
    for found in (refusal(but=BTG), consent(coded("permit", "BTG"))):
        assert isinstance(of_record(found, purpose=asked), Deny)
        assert isinstance(of_photo(found, purpose=f"photo-{asked}"), Deny)


def test_a_photo_that_care_rests_on_is_shown_again_and_no_other() -> None:
    taken, refused = {**consent(PHOTOGRAPHY), "id": "c2"}, refusal("TREAT", but=BTG)

    opened = of_photo(taken, refused)

    assert isinstance(opened, Permit)
    assert str(opened.basis) == "Consent/c2/_history/2"
    assert isinstance(of_photo(taken, refused, emergency=False), Deny)
    assert isinstance(of_photo(taken, refusal("TREAT")), Deny)
    assert of_photo(refused) == Deny(Reason.OTHER_PURPOSE), "no consent is for photographs"
    assert isinstance(of_photo(taken, refused, taking=True), Permit)
    assert of_photo(taken, refused, taking=True, emergency=False) == Deny(Reason.TREATMENT_ENDED)


def test_r_pcf_006_break_glass_only_means_that() -> None:
    law = law_of("eu", "break-glass-only")
    asking = ask(matter=Matter.RECORD, purpose="treatment")

    denied = decide(asking, (), head(()), law)
    opened = decide(ask(matter=Matter.RECORD, purpose="treatment", emergency=True), (), head(()), law)

    assert denied == Deny(Reason.NO_CONSENT)
    assert isinstance(opened, Permit)
    assert isinstance(opened.basis, CareBasis)


def test_why_not_is_told_of_what_was_asked_and_not_of_emergencies() -> None:
    over = consent(coded("permit", "TREAT", period={"end": "2026-03-01"}))
    law = law_of("eu", "deny")
    asking = ask(matter=Matter.RECORD, purpose="treatment", emergency=True)

    assert decide(asking, [over], head([over]), law) == Deny(Reason.OUTSIDE_PERIOD)
    assert decide(asking, [refusal("HRESCH")], head([refusal("HRESCH")]), law) == Deny(Reason.OTHER_PURPOSE)
