"""What a Consent must say to come into force, each fault at its place."""

from datetime import timedelta, timezone
from typing import Any

import pytest

from fhir_server.consent.purposes import ACT_REASON, BY_CODE
from fhir_server.consent.rules import require_sound
from fhir_server.consent.terms import ANONYMISATION, CHANNEL, CHANNELS, LEVELS, USE
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import NOON, PHOTOGRAPHY, consent, purpose, rule

EXTENSION, END = "Consent.extension", "Consent.provision.period.end"
WHERE = {"url": CHANNEL, "valueCode": "website"}
HOW = {"url": USE, "valueString": "Before and after"}
MASKED = {"url": ANONYMISATION, "valueCode": "eyes-masked"}
PUBLISHED: Json = {"extension": [WHERE, HOW, MASKED], "sourceAttachment": {"title": "Signed form"}}


def faults(resource: Json, **more: Any) -> list[tuple[str, str]]:
    try:
        require_sound(resource, more.get("now", NOON))
    except UnprocessableError as refused:
        return [(str(issue.expression), issue.diagnostics) for issue in refused.issues if issue.code == "invalid"]
    return []


def places(resource: Json, **more: Any) -> list[str]:
    return [place for place, _ in faults(resource, **more)]


def publishing(code: str, **more: Any) -> Json:
    return consent(rule("permit", code, period={"end": "2027"}), **{**PUBLISHED, **more})


def without(url: str) -> Json:
    return {"extension": [one for one in PUBLISHED["extension"] if one["url"] != url]}


def test_s_36_a_consent_is_for_one_purpose() -> None:
    both = rule("permit", "care-photography", "research")
    basic = rule("permit", purpose=[purpose(code, ACT_REASON) for code in ("TREAT", "HPAYMT", "HOPERAT")])

    assert places(consent(both)) == places(consent({**both, "type": "deny"})) == ["Consent.provision.purpose"]
    for sound in (consent(PHOTOGRAPHY), consent(basic), consent(rule("deny")), consent(None)):
        assert not places(sound)
    assert not places({**consent(None), "provision": ["x"]})


@pytest.mark.parametrize(
    ("stated", "faulty"),
    [
        ("2026-03-14T12:05:00Z", False),
        ("2026-03-14T12:05:01Z", True),
        ("2026-03-14T13:05:00+01:00", False),
        ("2026-03-14", False),
        ("2026-03-15", True),
        ("soon", False),
    ],
)
def test_a_consent_is_not_given_in_the_future(stated: str, *, faulty: bool) -> None:
    assert places(consent(PHOTOGRAPHY, dateTime=stated)) == ["Consent.dateTime"] * faulty


def test_a_day_is_one_at_the_clinic() -> None:
    east, tomorrow = timezone(timedelta(hours=14)), consent(PHOTOGRAPHY, dateTime="2026-03-15")

    assert not places(tomorrow, now=NOON.astimezone(east))
    assert places(tomorrow, now=NOON)


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_s_76_s_77_s_78_t_83_t_84_a_permission_names_what_its_purpose_needs(code: str) -> None:
    named = {
        "photo-marketing": [EXTENSION, EXTENSION, "Consent.source"],
        "communications": [EXTENSION],
        "photo-social": [EXTENSION, EXTENSION, "Consent.source", END, EXTENSION],
        "publication-journal": [EXTENSION, EXTENSION, "Consent.source", END, EXTENSION],
    }

    assert places(consent(rule("permit", code))) == named.get(code, [])
    assert not places(consent(rule("deny", code)))
    assert not places(publishing(code))
    signed = publishing(code, sourceReference={"reference": "DocumentReference/1"})
    del signed["sourceAttachment"]
    assert not places(signed)


@pytest.mark.parametrize(
    ("resource", "place", "told"),
    [
        (publishing("photo-social", **without(CHANNEL)), EXTENSION, CHANNEL),
        (publishing("photo-social", **without(USE)), EXTENSION, USE),
        (publishing("photo-social", **without(ANONYMISATION)), EXTENSION, ANONYMISATION),
        (consent(rule("permit", "photo-social", period={"start": "2026"}), **PUBLISHED), END, "has an end"),
    ],
)
def test_what_a_permission_leaves_out_is_told_by_name(resource: Json, place: str, told: str) -> None:
    [(where, text)] = faults(resource)

    assert where == place
    assert "photo-social" in text
    assert told in text


@pytest.mark.parametrize("kind", ["permit", "deny"])
def test_channels_and_levels_are_those_that_are_known(kind: str) -> None:
    said = rule(kind, "research")
    extensions = [{"url": CHANNEL, "valueCode": one} for one in sorted(CHANNELS)]
    levels = [{"url": ANONYMISATION, "valueCode": one} for one in LEVELS]

    assert not places(consent(said, extension=[*extensions, *levels]))
    assert faults(consent(said, extension=[*extensions, {"url": CHANNEL, "valueCode": "radio"}])) == [
        (EXTENSION, "This channel is not known here.")
    ]
    assert faults(consent(said, extension=[*levels, {"url": ANONYMISATION, "valueCode": "blurred"}])) == [
        (EXTENSION, "This level of anonymisation is not known here.")
    ]


def test_the_channels_are_those_that_the_forms_and_the_documentation_name() -> None:
    assert sorted(CHANNELS) == [
        *("app", "congress", "email", "facebook", "instagram", "journal", "linkedin"),
        *("phone", "post", "print", "sms", "tiktok", "website", "x", "youtube"),
    ]
    assert LEVELS == ("identifiable", "eyes-masked", "face-masked", "anonymous")
