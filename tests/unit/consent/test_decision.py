"""May it be done, and on what basis?"""

from typing import Any

import pytest

from fhir_server.consent.decision import decide, decide_use, under_broken_glass
from fhir_server.consent.facts import Facts
from fhir_server.consent.labels import CONFIDENTIALITY
from fhir_server.consent.law import law_of
from fhir_server.consent.purposes import ACT_REASON, PURPOSES
from fhir_server.consent.question import Deny, Permit, Reason
from fhir_server.consent.terms import CHANNEL, SUPERSEDED_BY, WITHDRAWN_AT, in_force, stands, withdrawn
from fhir_server.engine.change import ConsentBasis
from fhir_server.engine.ports import Head
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import EPOCH, PHOTO, PHOTOGRAPHY, SURGEON, ask, consent, head, purpose, rule

PERMIT = Permit(ConsentBasis(ResourceKey("Consent", "c1"), 2, "7", EPOCH))
REFUSED = Deny(Reason.REFUSED, ResourceKey("Consent", "c1"), 2)
RECIPIENT = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}


def verdict(*consents: Json, **asked: Any) -> Permit | Deny:
    return decide(ask(**asked), consents, head(consents))


def actor(reference: str, role: Json = RECIPIENT) -> Json:
    return {"role": role, "reference": {"reference": reference}}


def datum(reference: str, meaning: str = "instance") -> Json:
    return {"meaning": meaning, "reference": {"reference": reference}}


def test_a_consent_in_force_for_this_purpose_permits_and_is_the_basis() -> None:
    permit = verdict(consent(PHOTOGRAPHY))

    assert permit == PERMIT
    assert isinstance(permit, Permit)
    assert permit.basis == ConsentBasis(ResourceKey("Consent", "c1"), 2, "7", EPOCH)
    assert str(permit.basis) == "Consent/c1/_history/2"


def test_no_consent_means_no() -> None:
    denied = verdict()

    assert denied == Deny(Reason.NO_CONSENT)
    assert isinstance(denied, Deny)
    assert denied.text == "There is no consent on file."


def test_the_codes_of_the_reasons_are_what_logs_and_answers_say() -> None:
    assert [str(reason) for reason in Reason] == [
        "no-consent",
        "other-purpose",
        "outside-period",
        "withdrawn",
        "other-channel",
        "not-covered",
        "not-anonymised",
        "taken-before",
        "not-understood",
        "not-specific",
        "refused",
        "treatment-ended",
        "not-current",
    ]


def test_every_reason_has_a_sentence_of_its_own() -> None:
    sentences = {Deny(reason).text for reason in Reason}

    assert len(sentences) == len(Reason)
    assert all(sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "entered-in-error", None])
def test_only_an_active_consent_is_in_force(status: str | None) -> None:
    passive = consent(PHOTOGRAPHY, status=status)

    assert not in_force(passive)
    assert verdict(passive) == Deny(Reason.NO_CONSENT)
    assert in_force(consent(PHOTOGRAPHY))
    assert not in_force({"resourceType": "Media", "status": "active"})


def test_a_consent_that_the_head_does_not_list_does_not_exist() -> None:
    assert decide(ask(), [consent(PHOTOGRAPHY)], Head("7", EPOCH, {})) == Deny(Reason.NO_CONSENT)
    assert verdict(consent(PHOTOGRAPHY)) == decide(
        ask(), [consent(PHOTOGRAPHY), consent(rule("deny"), id="replayed")], head([consent(PHOTOGRAPHY)])
    )


@pytest.mark.parametrize("found", [1, 3])
def test_a_consent_older_or_newer_than_the_head_says_denies_everything(found: int) -> None:
    listed = [consent(PHOTOGRAPHY), consent(rule("permit", "research"), id="c2")]
    shown = [listed[0], consent(rule("permit", "research"), id="c2", version=found)]

    assert decide(ask(), shown, head(listed)) == Deny(Reason.NOT_CURRENT)
    assert decide(ask(), [*shown, listed[1]], head(listed)) == Deny(Reason.NOT_CURRENT)


@pytest.mark.parametrize("version", ["", "x", "\uff12", "2.0", None])
def test_a_version_that_is_no_number_is_not_the_current_one(version: str | None) -> None:
    shown = {**consent(PHOTOGRAPHY), "meta": {"versionId": version}}

    assert decide(ask(), [shown], head([consent(PHOTOGRAPHY)])) == Deny(Reason.NOT_CURRENT)


def test_a_listed_consent_that_is_missing_denies_everything() -> None:
    listed = [consent(PHOTOGRAPHY), consent(rule("permit", "research"), id="c2")]

    assert decide(ask(), listed[:1], head(listed)) == Deny(Reason.NOT_CURRENT)


def test_the_head_of_another_patient_decides_nothing() -> None:
    assert decide(ask(), [consent(PHOTOGRAPHY)], head([consent(PHOTOGRAPHY)], patient="8")) == Deny(Reason.NOT_CURRENT)


def test_the_consent_of_another_patient_permits_nothing() -> None:
    assert verdict(consent(PHOTOGRAPHY, patient={"reference": "Patient/8"})) == Deny(Reason.NO_CONSENT)
    assert verdict(consent(rule("deny"), patient={"reference": "Patient/8"})) == Deny(Reason.NO_CONSENT)


@pytest.mark.parametrize("named", ["https://elsewhere.example/Patient/7", "Patient/7/_history/1", "#p", None])
def test_a_patient_that_cannot_be_told_leaves_refusals_and_takes_permissions(named: str | None) -> None:
    assert verdict(consent(PHOTOGRAPHY, patient={"reference": named})) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(rule("deny"), patient={"reference": named})) == REFUSED


def test_only_a_privacy_consent_counts() -> None:
    system = "http://terminology.hl7.org/CodeSystem/consentscope"
    for_research = {"coding": [{"system": system, "code": "research"}]}
    in_words = {"text": "privacy"}
    in_other_words = {"coding": ["privacy", {"system": "urn:x", "code": "patient-privacy"}]}

    assert verdict(consent(PHOTOGRAPHY, scope=for_research)) == Deny(Reason.NO_CONSENT)
    assert verdict(consent(rule("deny"), scope=for_research)) == Deny(Reason.NO_CONSENT)
    for unsure in (in_words, in_other_words):
        assert verdict(consent(PHOTOGRAPHY, scope=unsure)) == Deny(Reason.NOT_UNDERSTOOD)
        assert verdict(consent(rule("deny"), scope=unsure)) == REFUSED
        assert verdict(consent(rule("deny"), scope=unsure, patient={"reference": "Patient/8"})) == Deny(
            Reason.NO_CONSENT
        )


def test_s69_consent_to_treatment_is_no_consent_to_photography() -> None:
    treatment = rule("permit", purpose=[purpose("TREAT", ACT_REASON)])

    assert verdict(consent(treatment)) == Deny(Reason.OTHER_PURPOSE)
    assert verdict(consent(treatment), purpose="treatment") == PERMIT


@pytest.mark.parametrize(
    "asked",
    ["photo-followup", "photo-social", "photo-marketing", "training", "research", "publication-journal", "marketing"],
)
def test_s70_s71_t21_t22_t23_t24_a_purpose_is_permitted_by_its_own_consent_and_no_other(asked: str) -> None:
    codes = [one.code for one in PURPOSES if one.code != asked]
    others = [consent(rule("permit", code), id=code) for code in codes]

    assert isinstance(verdict(*others, purpose=asked), Deny)
    assert isinstance(verdict(*others, consent(rule("permit", asked), id="own"), purpose=asked), Permit)


def test_s40_s72_each_purpose_is_decided_on_its_own() -> None:
    care = consent(PHOTOGRAPHY)
    no_marketing = consent(rule("deny", "photo-marketing"), id="c2")

    assert verdict(care, no_marketing) == PERMIT
    assert verdict(care, no_marketing, purpose="photo-marketing") == Deny(
        Reason.REFUSED, ResourceKey("Consent", "c2"), 2
    )
    assert verdict(care, no_marketing, purpose="photo-social") == Deny(Reason.OTHER_PURPOSE)


@pytest.mark.parametrize(
    "purposes",
    [
        [],
        [purpose("care-photography"), purpose("photo-marketing")],
        [purpose("care-photography"), purpose("*")],
        [purpose("care-photography"), {"code": "care-photography"}],
    ],
)
def test_s36_t30_a_permit_with_several_purposes_or_none_permits_nothing(purposes: list[Json]) -> None:
    assert verdict(consent(rule("permit", purpose=purposes))) == Deny(Reason.NOT_SPECIFIC)
    assert verdict(consent(rule("deny", purpose=purposes))) == REFUSED


@pytest.mark.parametrize(
    "wildcard", [purpose("*"), purpose("PurposeOfUse", ACT_REASON), {"code": "care-photography"}, {}]
)
def test_s36_a_wildcard_permits_nothing_and_refuses_everything(wildcard: Json) -> None:
    assert verdict(consent(rule("permit", purpose=[wildcard]))) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(rule("deny", purpose=[wildcard]))) == REFUSED


def test_two_codings_of_one_purpose_are_one_purpose() -> None:
    twice = rule("permit", purpose=[purpose("research"), purpose("HRESCH", ACT_REASON)])

    assert verdict(consent(twice), purpose="research") == PERMIT


def test_a_refusal_wins_over_a_permission_whichever_comes_first() -> None:
    permit, deny = consent(PHOTOGRAPHY, id="c2"), consent(rule("deny", "care-photography"))

    assert verdict(permit, deny) == verdict(deny, permit) == REFUSED


def test_of_several_permissions_the_basis_does_not_depend_on_their_order() -> None:
    one, other = consent(PHOTOGRAPHY), consent(PHOTOGRAPHY, id="c2")

    assert verdict(one, other) == verdict(other, one) == PERMIT


def test_outside_its_period_a_consent_says_nothing() -> None:
    over = {"end": "2026-03-13"}

    assert verdict(consent({**PHOTOGRAPHY, "period": over})) == Deny(Reason.OUTSIDE_PERIOD)
    assert verdict(consent(PHOTOGRAPHY), consent(rule("deny", period=over), id="c2")) == PERMIT
    assert verdict(consent({**PHOTOGRAPHY, "period": {"end": "2026-03-14"}})) == PERMIT


def test_an_element_id_restricts_nothing() -> None:
    assert verdict(consent({**PHOTOGRAPHY, "id": "rule"})) == PERMIT


def test_a_consent_for_listed_photos_covers_those() -> None:
    listed = {**PHOTOGRAPHY, "data": [datum("Media/other"), datum(str(PHOTO))]}

    assert verdict(consent(listed)) == PERMIT
    assert verdict(consent(listed), resource=ResourceKey("Media", "third")) == Deny(Reason.NOT_COVERED)
    assert verdict(consent(listed), resource=None) == Deny(Reason.NOT_UNDERSTOOD)


@pytest.mark.parametrize(
    "data",
    [
        [datum(str(PHOTO), "related")],
        [datum(str(PHOTO), "authoredby")],
        [datum(f"{PHOTO}/_history/1")],
        [datum("https://elsewhere.example/Media/profile-left")],
        [],
    ],
)
def test_data_that_cannot_be_told_leaves_refusals_and_takes_permissions(data: list[Json]) -> None:
    assert verdict(consent({**PHOTOGRAPHY, "data": data})) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(rule("deny", data=data))) == REFUSED


def test_a_consent_for_named_recipients_covers_those() -> None:
    named = {**PHOTOGRAPHY, "actor": [actor("Practitioner/colleague"), actor(str(SURGEON))]}

    assert verdict(consent(named)) == PERMIT
    assert verdict(consent(named), actor=ResourceKey("Practitioner", "other")) == Deny(Reason.NOT_COVERED)
    assert verdict(consent(named), actor=None) == Deny(Reason.NOT_UNDERSTOOD)


@pytest.mark.parametrize("kind", ["Practitioner", "Patient", "RelatedPerson", "Device"])
def test_two_of_a_kind_are_two(kind: str) -> None:
    named = {**PHOTOGRAPHY, "actor": [actor(f"{kind}/one")]}

    assert verdict(consent(named), actor=ResourceKey(kind, "one")) == PERMIT
    assert verdict(consent(named), actor=ResourceKey(kind, "other")) == Deny(Reason.NOT_COVERED)


@pytest.mark.parametrize(
    "actors",
    [
        [actor("Group/staff")],
        [actor("Organization/clinic")],
        [actor("Device/camera")],
        [actor(str(SURGEON), {"text": "sees it"})],
        [actor("https://elsewhere.example/Practitioner/surgeon")],
        ["nobody"],
        [],
    ],
)
def test_a_party_that_cannot_be_told_leaves_refusals_and_takes_permissions(actors: list[Json | str]) -> None:
    assert verdict(consent({**PHOTOGRAPHY, "actor": actors})) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(rule("deny", actor=actors))) == REFUSED


@pytest.mark.parametrize(
    "element",
    ["securityLabel", "dataPeriod", "class", "code", "action", "extension", "modifierExtension", "_type", "new"],
)
def test_a_restriction_that_nobody_evaluates_leaves_refusals_and_takes_permissions(element: str) -> None:
    more: Json = {element: [{}]}

    assert verdict(consent({**PHOTOGRAPHY, **more})) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(rule("deny", "care-photography", **more))) == REFUSED


@pytest.mark.parametrize("element", ["modifierExtension", "implicitRules"])
def test_an_unknown_modifier_leaves_refusals_and_takes_permissions(element: str) -> None:
    more: Json = {element: ["x"]}

    assert verdict(consent(PHOTOGRAPHY, **more)) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(rule("deny"), **more)) == REFUSED


def test_two_organisations_may_be_parts_of_one() -> None:
    named = {**PHOTOGRAPHY, "actor": [actor("Organization/one")]}

    assert verdict(consent(named), actor=ResourceKey("Organization", "two")) == Deny(Reason.NOT_UNDERSTOOD)


def test_a_rule_without_type_or_with_an_unknown_one_refuses() -> None:
    assert verdict(consent(rule(None, "care-photography"))) == REFUSED
    assert verdict(consent(rule("allow", "care-photography"))) == REFUSED
    assert verdict(consent(rule("allow", provision=[PHOTOGRAPHY]))) == REFUSED


def test_a_consent_without_a_rule_says_nothing() -> None:
    assert verdict(consent(None)) == Deny(Reason.NO_CONSENT)


def test_an_exception_inside_a_permit_takes_back_what_it_names() -> None:
    but = {**PHOTOGRAPHY, "provision": [rule("deny", data=[datum(str(PHOTO))])]}

    assert verdict(consent(but)) == REFUSED
    assert verdict(consent(but), resource=ResourceKey("Media", "other")) == PERMIT


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (rule("deny"), REFUSED),
        (rule(None), REFUSED),
        (rule("deny", "photo-marketing"), PERMIT),
        (rule("deny", "care-photography"), REFUSED),
        (rule("deny", period={"end": "2026-03-13"}), PERMIT),
        (rule("deny", period={"start": "2026-03-14"}), REFUSED),
        (rule("deny", actor=[actor("Practitioner/other")]), PERMIT),
        (rule("deny", actor=[actor("Practitioner/surgeon")]), REFUSED),
        (rule("deny", securityLabel=[{"code": "R"}]), REFUSED),
        (rule("deny", "care-photography", provision=[rule("permit", "care-photography")]), REFUSED),
        (rule("permit", "care-photography"), Deny(Reason.NOT_UNDERSTOOD)),
        ("not a rule", REFUSED),
    ],
)
def test_what_an_exception_does_to_a_permit(exception: Json | str, expected: Permit | Deny) -> None:
    assert verdict(consent({**PHOTOGRAPHY, "provision": [exception]})) == expected


def test_an_exception_speaks_only_where_its_permit_does() -> None:
    marketing = rule("permit", "photo-marketing", provision=[rule("deny")])

    assert verdict(consent(PHOTOGRAPHY, id="c2"), consent(marketing)) == Permit(
        ConsentBasis(ResourceKey("Consent", "c2"), 2, "7", EPOCH)
    )


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (PHOTOGRAPHY, PERMIT),
        (rule("permit"), REFUSED),
        (rule("permit", "care-photography", "research"), REFUSED),
        (rule("permit", "research"), REFUSED),
        (rule("deny", "care-photography"), REFUSED),
        ({**PHOTOGRAPHY, "securityLabel": [{"code": "R"}]}, REFUSED),
        ({**PHOTOGRAPHY, "provision": []}, REFUSED),
    ],
)
def test_what_an_exception_does_to_a_refusal(exception: Json, expected: Permit | Deny) -> None:
    assert verdict(consent(rule("deny", provision=[exception]))) == expected


def test_an_opened_refusal_that_is_not_fully_understood_neither_permits_nor_refuses() -> None:
    labelled = rule("deny", securityLabel=[{"code": "R"}], provision=[PHOTOGRAPHY])

    assert verdict(consent(labelled)) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent(PHOTOGRAPHY), consent(labelled, id="c2")) == PERMIT


def test_an_exception_that_opens_a_refusal_and_one_that_repeats_it_leave_it_shut() -> None:
    both = rule("deny", provision=[PHOTOGRAPHY, rule("deny", "care-photography")])

    assert verdict(consent(both)) == REFUSED


def test_the_nearest_reason_is_told() -> None:
    other, late = consent(rule("permit", "research")), consent({**PHOTOGRAPHY, "period": {"start": "2027"}}, id="c2")

    assert verdict(other, late) == verdict(late, other) == Deny(Reason.OUTSIDE_PERIOD)


def test_s_76_a_consent_that_ended_speaks_of_its_own_channels_alone() -> None:
    ended = [{"url": CHANNEL, "valueCode": "website"}, {"url": WITHDRAWN_AT, "valueInstant": "2026-02-01T00:00:00Z"}]
    withdrawn = consent(rule("permit", "photo-marketing"), status="inactive", extension=ended)

    assert verdict(withdrawn, purpose="photo-marketing", channel="website") == Deny(Reason.WITHDRAWN)
    assert verdict(withdrawn, purpose="photo-marketing", channel="print") == Deny(Reason.OTHER_CHANNEL)


def test_an_exception_of_a_level_widens_a_permission_that_is_surely_of_this_patient() -> None:
    """IHE PCF 1.1: what is permitted of normal data, and of restricted data besides."""
    normal, restricted = ([{"system": CONFIDENTIALITY, "code": code}] for code in ("N", "R"))
    wider = rule("permit", "care-photography", securityLabel=restricted)
    permission = rule("permit", "care-photography", securityLabel=normal, provision=[wider])
    asked = {"facts": Facts(confidentiality="R")}

    assert isinstance(verdict(consent(permission), **asked), Permit)
    narrow = rule("permit", "care-photography", securityLabel=normal)
    assert verdict(consent(narrow), **asked) == Deny(Reason.NOT_COVERED)
    unsure = consent(permission, modifierExtension=[{"url": "urn:x", "valueBoolean": True}])
    assert isinstance(verdict(unsure, **asked), Deny)


def ended(provision: Json, *extensions: Json) -> Json:
    """Withdrawn."""
    at = {"url": WITHDRAWN_AT, "valueInstant": "2026-02-01T00:00:00Z"}
    return consent(provision, status="inactive", extension=[at, *extensions])


def test_only_an_inactive_consent_that_nothing_replaced_is_withdrawn() -> None:
    given = ended(PHOTOGRAPHY)

    assert withdrawn(given)
    assert stands(given)
    assert not withdrawn({**given, "status": "active"})
    assert not withdrawn({**given, "resourceType": "Media"})
    assert not withdrawn(consent(PHOTOGRAPHY, status="inactive"))
    superseded = ended(PHOTOGRAPHY, {"url": SUPERSEDED_BY, "valueReference": {"reference": "Consent/c9"}})
    assert not withdrawn(superseded)
    assert not stands(superseded)
    assert not withdrawn({**given, "extension": [WITHDRAWN_AT]})


def test_a_withdrawal_is_told_of_a_consent_that_has_run_out_since() -> None:
    over = {**PHOTOGRAPHY, "period": {"end": "2026-03-01"}}

    assert verdict(ended(over)) == Deny(Reason.WITHDRAWN)
    assert verdict(consent(over)) == Deny(Reason.OUTSIDE_PERIOD)


def test_what_a_permission_took_out_stays_out_when_it_has_ended() -> None:
    but = {**PHOTOGRAPHY, "period": {"end": "2026-03-01"}, "provision": [rule("deny", data=[datum(str(PHOTO))])]}

    assert verdict(consent(but)) == verdict(ended(but)) == REFUSED
    assert verdict(consent(but), resource=ResourceKey("Media", "other")) == Deny(Reason.OUTSIDE_PERIOD)


def test_a_withdrawn_refusal_says_nothing() -> None:
    assert verdict(ended(rule("deny"))) == Deny(Reason.NO_CONSENT)
    assert verdict(ended(rule(None))) == Deny(Reason.NO_CONSENT)


def test_a_treatment_refused_counts_whatever_the_photo_is_for_in_care() -> None:
    """A channel says where photographs go; nobody is treated in one."""
    refused = consent(rule("deny", "treatment"), extension=[{"url": CHANNEL, "valueCode": "email"}])

    assert verdict(refused, consent(PHOTOGRAPHY, id="c2"), channel="website") == REFUSED


def test_an_imported_photo_is_covered_beyond_care_by_a_consent_that_names_it_alone() -> None:
    named, any_photo = rule("permit", "research", data=[datum(str(PHOTO))]), rule("permit", "research")
    asked = {"purpose": "research", "facts": Facts(imported=True)}

    assert verdict(consent(named), **asked) == PERMIT
    assert verdict(consent(any_photo), **asked) == Deny(Reason.NOT_COVERED)
    assert verdict(consent(any_photo), purpose="research", facts=Facts()) == PERMIT
    assert verdict(consent(PHOTOGRAPHY), facts=Facts(imported=True)) == PERMIT


def test_who_asks_for_another_purpose_learns_that_and_nothing_of_its_terms() -> None:
    marketing = rule("permit", "photo-marketing", provision=[rule("deny", "photo-marketing")])
    printed = consent(marketing, extension=[{"url": CHANNEL, "valueCode": "print"}])

    assert verdict(printed, channel="website") == Deny(Reason.OTHER_PURPOSE)


def test_s_76_a_channel_is_looked_for_where_photos_are_published_and_nowhere_else() -> None:
    named = [{"url": CHANNEL, "valueCode": "journal"}]
    for code, answer in (("publication-journal", PERMIT), ("research", Deny(Reason.NOT_UNDERSTOOD))):
        given = consent(rule("permit", code), extension=named)

        assert decide_use(ask(purpose=code), [given], head([given]), law_of("eu")) == answer
        assert decide_use(ask(purpose=code, channel="journal"), [given], head([given]), law_of("eu")) == PERMIT
        other = decide_use(ask(purpose=code, channel="print"), [given], head([given]), law_of("eu"))
        assert other == Deny(Reason.OTHER_CHANNEL)


def test_data_of_another_time_is_not_covered() -> None:
    of_this_year = {**PHOTOGRAPHY, "dataPeriod": {"start": "2026"}}

    assert verdict(consent(of_this_year), facts=Facts(when=("2025-12-31",))) == Deny(Reason.NOT_COVERED)
    assert verdict(consent(of_this_year), facts=Facts(when=("2026-01-01",))) == PERMIT
    assert verdict(consent(of_this_year), facts=Facts()) == Deny(Reason.NOT_UNDERSTOOD)


def test_a_refusal_that_takes_photographs_out_refuses_treatment_alone() -> None:
    but = rule("deny", "treatment", "care-photography", provision=[PHOTOGRAPHY])

    assert verdict(consent(but)) == PERMIT
    assert verdict(consent(but), purpose="treatment") == REFUSED


def test_an_exception_with_labels_leaves_one_without_not_understood() -> None:
    labelled = rule("permit", securityLabel=[{"system": CONFIDENTIALITY, "code": "R"}])
    exceptions = [labelled, rule("permit", "care-photography")]

    assert verdict(consent({**PHOTOGRAPHY, "provision": exceptions})) == Deny(Reason.NOT_UNDERSTOOD)
    assert verdict(consent({**PHOTOGRAPHY, "provision": exceptions[:1]}), facts=Facts()) == PERMIT


def test_only_treatment_and_photographs_in_care_are_asked_as_an_emergency() -> None:
    asked = ("treatment", "care-photography", "research", "photo-marketing")

    assert [under_broken_glass(ask(purpose=code)).emergency for code in asked] == [True, True, False, False]
    assert not under_broken_glass(ask(purpose="research", emergency=True)).emergency
