"""From when to when each consent had force, told from its versions; against a look at every instant."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.consent.terms import CHANNEL, SUPERSEDED_BY, WITHDRAWN_AT
from fhir_server.consent.timeline import intervals, stood
from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel.clock import instant
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json
from tests.unit.consent.asking import PHOTOGRAPHY, consent, rule

KEY = ResourceKey("Consent", "c1")
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: float) -> datetime:
    return START + timedelta(days=day)


def version(number: int, day: float, resource: Json | None) -> Stored:
    raw = truth(KEY, resource) if resource is not None else b"{}"
    return Stored(KEY, number, number, at(day), raw, deleted=resource is None)


def told(*states: tuple[float, Json | None]) -> list[tuple[datetime, datetime | None, str | None]]:
    history = {KEY: [version(number, day, each) for number, (day, each) in enumerate(states, 1)]}
    return [(one.begin, one.end, one.why) for one in intervals(history)]


GIVEN = consent(PHOTOGRAPHY)
ENDED = [{"url": WITHDRAWN_AT, "valueInstant": instant(at(2.5))}]


def test_t98_each_end_has_its_reason() -> None:
    withdrawn = consent(PHOTOGRAPHY, status="inactive", extension=ENDED)
    superseded = consent(PHOTOGRAPHY, status="inactive", extension=[{"url": SUPERSEDED_BY}])
    narrowed = consent(rule("permit", "care-photography", data=[]))

    assert told((1, GIVEN)) == [(at(1), None, None)]
    assert told((1, GIVEN), (3, withdrawn)) == [(at(1), at(2.5), "withdrawn")]
    assert told((1, GIVEN), (2, withdrawn)) == [(at(1), at(2), "withdrawn")]
    assert told((1, GIVEN), (3, superseded)) == [(at(1), at(3), "superseded")]
    assert told((1, GIVEN), (3, None)) == [(at(1), at(3), "deleted")]
    assert told((1, GIVEN), (3, consent(PHOTOGRAPHY, status="rejected"))) == [(at(1), at(3), "rejected")]
    assert told((1, GIVEN), (3, narrowed)) == [(at(1), at(3), "replaced"), (at(3), None, None)]
    assert told((1, GIVEN), (2, {**GIVEN, "language": "fr"}), (3, None)) == [(at(1), at(3), "deleted")]
    assert told((1, consent(PHOTOGRAPHY, status="draft"))) == []


def test_the_period_of_the_consent_itself_narrows_it() -> None:
    during = consent(rule("permit", "care-photography", period={"start": "2026-01-03", "end": "2026-01-05"}))

    assert told((1, during)) == [(at(2), at(5), "expired")]
    assert told((3, during), (4, None)) == [(at(3), at(4), "deleted")]
    assert told((6, during)) == []
    assert told((1, consent(None)), (2, None)) == [(at(1), at(2), "deleted")]


def test_m6_an_interval_says_what_it_was_of_and_the_first_to_begin_comes_first() -> None:
    other = ResourceKey("Consent", "c2")
    anything = {"type": "permit", "purpose": [{"code": "?"}, {"system": "urn:x", "code": "b"}]}
    channels = [{"url": CHANNEL, "valueCode": code} for code in ("website", "print")]
    history = {
        KEY: [version(1, 2, GIVEN), version(2, 3, consent(rule("deny"), extension=channels))],
        other: [Stored(other, 1, 1, at(1), truth(other, consent(anything)))],
    }

    assert [(one.consent, one.version, one.purposes, one.kind, one.channels) for one in intervals(history)] == [
        (other, 1, ("*", "urn:x|b"), "permit", ()),
        (KEY, 1, ("care-photography",), "permit", ()),
        (KEY, 2, (), "deny", ("print", "website")),
    ]


def test_t98_the_latest_withdrawal_that_can_be_read_ended_it() -> None:
    ends = [{"url": WITHDRAWN_AT, "valueInstant": told} for told in (instant(at(2)), "soon", instant(at(3)))]

    assert told((1, GIVEN), (4, consent(PHOTOGRAPHY, status="inactive", extension=ends))) == [
        (at(1), at(3), "withdrawn")
    ]
    other_channel = {**GIVEN, "extension": [{"url": CHANNEL, "valueCode": "print"}]}
    assert told((1, GIVEN), (2, other_channel)) == [(at(1), at(2), "replaced"), (at(2), None, None)]


def test_a_period_and_an_end_of_the_same_instant_are_told_as_expiry() -> None:
    during = consent(rule("permit", "care-photography", period={"end": "2026-01-04"}))
    withdrawn = {**during, "status": "inactive", "extension": [{"url": WITHDRAWN_AT, "valueInstant": instant(at(4))}]}

    assert told((1, during), (4, withdrawn)) == [(at(1), at(4), "expired")]
    assert told((4, during)) == []


STATES = st.lists(
    st.sampled_from(
        [
            GIVEN,
            consent(PHOTOGRAPHY, status="inactive", extension=[{"url": SUPERSEDED_BY}]),
            consent(PHOTOGRAPHY, status="proposed"),
            consent(rule("deny", "care-photography")),
            None,
        ]
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(STATES)
def test_m6_the_intervals_are_what_a_look_at_every_instant_finds(states: Any) -> None:
    history = {KEY: [version(number, number, each) for number, each in enumerate(states, 1)]}
    found = intervals(history)
    for step in range(2 * len(states) + 4):
        moment = at(step / 2)
        head, consents = stood(history, "7", moment)
        inside = [one for one in found if one.begin <= moment and (one.end is None or moment < one.end)]
        assert len(inside) == len(consents) == len(head.consents)
        assert head.epoch == 0, "of no state that anything could rest on"
        assert [one.kind for one in inside] == [one["provision"]["type"] for one in consents]
