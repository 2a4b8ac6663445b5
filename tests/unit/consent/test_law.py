"""What holds where no consent speaks: packs of jurisdictions, and IHE PCF's implicit policies."""

import pytest

from fhir_server.consent.decision import decide
from fhir_server.consent.law import Policy, law_of, packs
from fhir_server.consent.purposes import ACT_REASON, BREAK_GLASS, coded
from fhir_server.consent.question import Deny, Matter, Permit, Reason
from fhir_server.consent.terms import CHANNEL
from fhir_server.engine.change import CareBasis, LegalObligation
from fhir_server.engine.ports import Head
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import EPOCH, PHOTOGRAPHY, ask, consent, head, rule

NOBODY = Head("7", EPOCH, {})
WITHDRAWN = [{"url": "urn:aesthetic-fhir-server:withdrawn-at", "valueInstant": "2026-03-01T00:00:00Z"}]
OWN = ResourceKey("Patient", "7")
OVER, ELSEWHERE = {"end": "2026-03-01"}, [{"url": CHANNEL, "valueCode": "print"}]


def withdrawn(provision: Json) -> Json:
    return consent(provision, status="inactive", extension=WITHDRAWN)


def test_m16_every_pack_is_whole_and_to_be_verified_locally() -> None:
    assert set(packs()) == {"eu", "fr", "gb"}
    for pack in packs().values():
        assert pack.name
        assert 14 <= pack.majority <= 21
        assert pack.professions
        assert pack.verify_locally
        assert all(ban.text and ban.source and ban.below_age for ban in pack.bans)


def test_a_ban_holds_below_its_age_and_for_what_it_names() -> None:
    injectables = packs()["gb"].banned("cosmetic-injectables", 17)

    assert injectables is not None
    assert (injectables.code, injectables.below_age) == ("cosmetic-injectables", 18)
    assert packs()["gb"].banned("cosmetic-injectables", 18) is None
    assert packs()["gb"].banned("peeling", 17) is None
    assert packs()["eu"].banned("cosmetic-injectables", 17) is None


def test_m16_the_pack_decides_on_care_photography() -> None:
    asked = ask(profession="nurse")

    assert decide(asked, [], NOBODY, law_of("gb")) == Permit(CareBasis("gb", "7", EPOCH))
    assert str(CareBasis("gb", "7", EPOCH)) == "care:gb"
    for code in ("fr", "eu"):
        assert decide(asked, [], NOBODY, law_of(code)) == Deny(Reason.NO_CONSENT)


@pytest.mark.parametrize("profession", [None, "receptionist", "administrator", "system"])
def test_care_is_the_basis_of_those_bound_to_secrecy_alone(profession: str | None) -> None:
    assert decide(ask(profession=profession), [], NOBODY, law_of("gb")) == Deny(Reason.NO_CONSENT)


def test_t79_care_is_a_basis_for_no_other_purpose() -> None:
    for purpose in ("photo-marketing", "photo-followup", "research", "training"):
        assert isinstance(decide(ask(purpose=purpose, profession="nurse"), [], NOBODY, law_of("gb")), Deny)


def test_patients_see_their_own_photos_where_care_is_the_basis() -> None:
    assert isinstance(decide(ask(actor=OWN), [], NOBODY, law_of("gb")), Permit)
    assert isinstance(decide(ask(actor=OWN), [], NOBODY, law_of("eu")), Deny)


def test_a_withdrawal_leaves_the_file_to_care_and_lets_nothing_new_in() -> None:
    for provision in (PHOTOGRAPHY, rule("permit", "treatment")):
        ended = withdrawn(provision)
        there = ask(profession="nurse")
        assert isinstance(decide(there, [ended], head([ended]), law_of("gb")), Permit)
        new = ask(profession="nurse", taking=True)
        assert isinstance(decide(new, [ended], head([ended]), law_of("gb")), Deny)


def test_a_withdrawn_consent_says_so_where_it_was_the_basis() -> None:
    ended = withdrawn(PHOTOGRAPHY)

    assert decide(ask(), [ended], head([ended])) == Deny(Reason.WITHDRAWN)


def test_a_withdrawn_treatment_consent_stops_new_photos_until_a_new_one_is_given() -> None:
    ended, photography = withdrawn(rule("permit", "treatment")), consent(PHOTOGRAPHY, id="c2")
    given = consent(rule("permit", "treatment"), id="c3")
    taking = ask(taking=True)

    assert decide(taking, [ended, photography], head([ended, photography])) == Deny(Reason.TREATMENT_ENDED)
    assert isinstance(decide(ask(), [ended, photography], head([ended, photography])), Permit)
    assert isinstance(decide(taking, [photography], head([photography])), Permit)
    for there in ([given, photography], [ended, given, photography]):
        assert isinstance(decide(taking, there, head(there)), Permit)


def test_a_treatment_consent_that_has_run_out_stops_new_photos() -> None:
    over, photography = consent(rule("permit", "treatment", period=OVER)), consent(PHOTOGRAPHY, id="c2")

    assert decide(ask(taking=True), [over, photography], head([over, photography])) == Deny(Reason.TREATMENT_ENDED)
    assert isinstance(decide(ask(), [over, photography], head([over, photography])), Permit)


def test_new_photos_are_stopped_by_a_treatment_refused_and_by_no_other_purpose() -> None:
    photography, research = consent(PHOTOGRAPHY, id="c2"), consent(rule("permit", "research"), id="c3")
    refused, given = consent(rule("deny", "treatment")), consent(rule("permit", "treatment"), id="c4")
    both = [refused, given, photography]

    assert isinstance(decide(ask(taking=True), [photography, research], head([photography, research])), Permit)
    assert decide(ask(taking=True), both, head(both)) == Deny(Reason.TREATMENT_ENDED)


def test_a_refused_treatment_leaves_no_photo_to_be_seen() -> None:
    refused, photography = consent(rule("deny", "treatment")), consent(PHOTOGRAPHY, id="c2")
    marketing = consent(rule("permit", "photo-marketing"), id="c3")
    both = [refused, photography, marketing]

    assert decide(ask(), both, head(both)) == Deny(Reason.REFUSED, ResourceKey("Consent", "c1"), 2)
    # S73: publication is a purpose of its own.
    assert isinstance(decide(ask(purpose="photo-marketing"), both, head(both)), Permit)


def test_what_is_no_photograph_is_not_asked_for_a_treatment_beside() -> None:
    refused = consent(rule("deny", "treatment"))

    assert decide(ask(matter=Matter.RECORD), [refused], head([refused])) == Deny(Reason.OTHER_PURPOSE)


def test_a_consent_that_restricts_care_photography_stands_above_the_pack() -> None:
    only = consent(
        rule("permit", "care-photography", data=[{"meaning": "instance", "reference": {"reference": "Media/x"}}])
    )

    assert decide(ask(profession="nurse"), [only], head([only]), law_of("gb")) == Deny(Reason.NOT_COVERED)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (withdrawn(rule("deny")), Reason.NO_CONSENT),
        (consent(rule("permit", "research")), Reason.OTHER_PURPOSE),
        (consent({**PHOTOGRAPHY, "period": OVER}), Reason.OUTSIDE_PERIOD),
        (withdrawn(PHOTOGRAPHY), Reason.WITHDRAWN),
        (consent(rule("permit")), Reason.NOT_SPECIFIC),
        (consent(PHOTOGRAPHY, extension=ELSEWHERE), Reason.OTHER_CHANNEL),
        (consent({**PHOTOGRAPHY, "actor": ["nobody"]}), Reason.NOT_UNDERSTOOD),
        (consent(PHOTOGRAPHY, modifierExtension=["x"]), Reason.NOT_UNDERSTOOD),
    ],
)
def test_r_pcf_007_what_says_nothing_leaves_the_rules_and_what_restricts_does_not(found: Json, reason: Reason) -> None:
    asked = ask(profession="nurse", channel="website")
    opened = reason not in {Reason.OTHER_CHANNEL, Reason.NOT_UNDERSTOOD}

    assert decide(asked, [found], head([found]), law_of("eu")) == Deny(reason)
    by_rule = decide(asked, [found], head([found]), law_of("gb"))
    assert by_rule == (Permit(CareBasis("gb", "7", EPOCH)) if opened else Deny(reason))
    # A new photo stays out once an end was put to what it rested on.
    new = decide(ask(profession="nurse", channel="website", taking=True), [found], head([found]), law_of("gb"))
    assert isinstance(new, Permit) is (opened and reason not in {Reason.OUTSIDE_PERIOD, Reason.WITHDRAWN})


def test_r_pcf_007_however_many_say_nothing_the_rules_hold() -> None:
    silent = [
        withdrawn(rule("deny")),
        consent(rule("permit", "research")),
        consent({**PHOTOGRAPHY, "period": OVER}),
        withdrawn(PHOTOGRAPHY),
        consent(rule("permit")),
    ]
    found = [{**one, "id": f"c{number}"} for number, one in enumerate(silent)]

    assert isinstance(decide(ask(profession="nurse"), found, head(found), law_of("gb")), Permit)
    assert decide(ask(profession="nurse"), found, head(found), law_of("eu")) == Deny(Reason.NOT_SPECIFIC)


RECORD = {"matter": Matter.RECORD, "resource": ResourceKey("Observation", "o")}
TREAT, BTG, PAYMENT, RESEARCH = "treatment", BREAK_GLASS, f"{ACT_REASON}|HPAYMT", "research"


@pytest.mark.parametrize(
    ("policy", "purpose", "profession", "allowed"),
    [
        (Policy.ALL_NORMAL, TREAT, None, True),
        (Policy.ALL_NORMAL, BTG, None, True),
        (Policy.ALL_NORMAL, f"{ACT_REASON}|ETREAT", None, True),
        (Policy.ALL_NORMAL, PAYMENT, "nurse", True),
        (Policy.ALL_NORMAL, f"{ACT_REASON}|HCOMPL", None, True),
        (Policy.ALL_NORMAL, "marketing", "nurse", False),
        (Policy.ALL_NORMAL, "https://x.example|y", "nurse", False),
        (Policy.ALL_NORMAL, RESEARCH, "nurse", False),
        (Policy.BASIC_NORMAL, TREAT, "nurse", True),
        (Policy.BASIC_NORMAL, TREAT, "receptionist", False),
        (Policy.BASIC_NORMAL, TREAT, None, False),
        (Policy.BASIC_NORMAL, RESEARCH, "nurse", False),
        (Policy.BREAK_GLASS_ONLY, TREAT, "nurse", False),
        (Policy.BREAK_GLASS_ONLY, BTG, "nurse", True),
        (Policy.DENY, TREAT, "nurse", False),
        (Policy.DENY, BTG, "nurse", False),
    ],
)
def test_r_pcf_006_each_implicit_policy(policy: Policy, purpose: str, profession: str | None, allowed: bool) -> None:  # noqa: FBT001  a column of the table
    decision = decide(ask(purpose=purpose, profession=profession, **RECORD), [], NOBODY, law_of("eu", policy))

    assert isinstance(decision, Permit) is allowed
    assert policy.uri == f"https://profiles.ihe.net/ITI/PCF/Policy-{policy.value}"


def test_proof_and_ones_own_file_are_shown_whatever_was_refused() -> None:
    refusal = consent(rule("deny"))
    strict = law_of("eu", "deny")

    proof = decide(ask(matter=Matter.PROOF), [refusal], head([refusal]), strict)
    own = decide(ask(**{**RECORD, "actor": OWN}), [refusal], head([refusal]), strict)

    assert proof == Permit(LegalObligation("gdpr-5-2", "7", EPOCH))
    assert own == Permit(LegalObligation("gdpr-15", "7", EPOCH))
    assert str(LegalObligation("gdpr-15", "7", EPOCH)) == "obligation:gdpr-15"
    assert decide(ask(matter=Matter.PROOF, patient="8"), [], NOBODY) == Deny(Reason.NOT_CURRENT)


def test_a_purpose_is_written_as_others_understand_it() -> None:
    assert coded("treatment")["code"] == "TREAT"
    assert coded("photo-social")["system"] == "urn:aesthetic-fhir-server:purpose"
