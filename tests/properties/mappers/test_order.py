"""In whatever order, however often messages about one visit come: what stands in the end is the same.

The oracle is the story told once, in its own order.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from mappers.mapping.appointments import appointment
from mappers.mapping.assembly import mapping
from mappers.mapping.entries import changed, kept
from mappers.mapping.identifiers import identifier
from mappers.mapping.instants import sortable
from mappers.mapping.message import Message
from mappers.mapping.result import Mapping, Order
from mappers.mapping.stamps import WHOLE
from mappers.runtime.plan import Lack, plan, to_keep
from mappers.runtime.records import Records

START = datetime(2026, 1, 1, tzinfo=UTC)
RECORDS = Records("tests", "a key of the tests, long enough to be one")
ASKER, GUEST = ({"identifier": identifier("urn:example:who", who)} for who in ("asker", "guest"))


class Whole(NamedTuple):
    at: int
    status: str
    comment: str | None


class Status(NamedTuple):
    at: int
    status: str


class Answer(NamedTuple):
    at: int
    status: str


Told = Whole | Status | Answer


def mapped(told: Told) -> Mapping:
    by = identifier("urn:example:visit", "1")
    message = Message(repr(told).encode(), START)
    order, aspect = Order(0, sortable(START + timedelta(minutes=told.at))), WHOLE
    if isinstance(told, Whole):
        moment = START + timedelta(days=told.at)
        people = [{"actor": ASKER, "status": "needs-action"}, {"actor": GUEST, "status": "accepted"}]
        times = moment, moment + timedelta(minutes=30)
        entry = kept(appointment([by], told.status, times, people, comment=told.comment))
    elif isinstance(told, Status):
        entry, aspect = changed({"resourceType": "Appointment", "identifier": [by], "status": told.status}), "status"
    else:
        answer = {"actor": ASKER, "status": told.status}
        entry = changed({"resourceType": "Appointment", "identifier": [by], "participant": [answer]})
        aspect = "participant asker"
    return mapping("tests", message, repr(told), order, [entry], (), aspect=aspect)


def happened(story: list[Told]) -> Any:
    """One after the other, what waits being tried again after each; the visit without its stamps."""
    visit: Any = None
    seen: set[Told] = set()
    waiting: list[Told] = []
    for told in story:
        if told in seen:
            continue
        seen.add(told)
        for one in (told, *sorted(waiting)):
            read = mapped(one)
            assert len(to_keep(read)) == 1
            planned = plan(read, [[visit] if visit else []], frozenset(), RECORDS)
            if planned.lack is Lack.NOT_THERE:
                waiting = [*waiting, one] if one not in waiting else waiting
                continue
            waiting = [other for other in waiting if other != one]
            written = [entry["resource"] for entry in planned.entries]
            found = [one for one in written if one["resourceType"] == "Appointment"]
            visit = {**found[0], "id": "1", "meta": {"versionId": "1"}} if found else visit
    return {name: value for name, value in (visit or {}).items() if name != "extension"}


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Told], list[Told]]:
    """A story of distinct times that begins with a whole, and the same messages shuffled, some of them again."""
    times = sorted(draw(st.sets(st.integers(1, 40), min_size=1, max_size=7)))
    statuses = st.sampled_from(["booked", "pending", "arrived", "cancelled"])
    comments = st.sampled_from([None, "one", "two"])
    kinds = st.sampled_from(["whole", "status", "answer"])
    told: list[Told] = [Whole(0, "booked", "first")]
    for at in times:
        kind = draw(kinds)
        if kind == "whole":
            told.append(Whole(at, draw(statuses), draw(comments)))
        elif kind == "status":
            told.append(Status(at, draw(st.sampled_from(["noshow", "fulfilled"]))))
        else:
            told.append(Answer(at, draw(st.sampled_from(["accepted", "declined"]))))
    again = draw(st.lists(st.sampled_from(told), max_size=4))
    return told, draw(st.permutations([*told, *again]))


@settings(max_examples=150, deadline=None)
@given(stories())
def test_the_end_of_a_story_does_not_depend_on_how_it_arrives(story: tuple[list[Told], list[Told]]) -> None:
    in_order, as_it_came = story

    assert happened(as_it_came) == happened(in_order)


@settings(max_examples=50, deadline=None)
@given(stories())
def test_the_last_whole_message_has_the_last_word_on_times(story: tuple[list[Told], list[Told]]) -> None:
    in_order, as_it_came = story
    last = max(told.at for told in in_order if isinstance(told, Whole))

    assert happened(as_it_came)["start"] == (START + timedelta(days=last)).isoformat().replace("+00:00", "Z")
