"""Looks that share round trips, who waits for a claim, who a new patient may be: with a server that is played."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from mappers.mapping.json_text import Json
from mappers.runtime.faults import NotNowError, RejectedError
from mappers.runtime.followers import Followers
from mappers.runtime.identity import with_candidates
from mappers.runtime.looks import Look
from mappers.runtime.reading import Reading
from mappers.runtime.records import WAITS_FOR

pytestmark = pytest.mark.anyio


@dataclass
class Played:
    """Answers with what it was asked, once it is let."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[list[Look]] = field(default_factory=list)
    down: bool = False
    found: list[Json] = field(default_factory=list)
    refuses: int = 0

    async def batch(self, looks: Sequence[Look]) -> list[Json]:
        self.asked.append(list(looks))
        await self.open.wait()
        if self.down:
            raise NotNowError
        return [{"url": look} for look in looks]

    async def search(self, query: str) -> list[Json]:
        self.asked.append([query])
        await self.open.wait()
        return self.found

    async def ask(self, operation: str, parameters: Json) -> Json:
        self.asked.append([operation])
        if self.refuses:
            raise RejectedError(self.refuses, "invalid")
        return {"entry": self.found} if self.found else {}


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_looks_meanwhile_shares_a_round_trip_and_gets_their_own_answer() -> None:
    played = Played()
    reading = Reading(played.batch)
    looks = [asyncio.create_task(reading.of([f"{place}a", f"{place}b"])) for place in range(9)]
    await settled()
    played.open.set()

    answers = await asyncio.gather(*looks)

    assert answers == [[{"url": f"{place}a"}, {"url": f"{place}b"}] for place in range(9)]
    assert len(played.asked) == 1


async def test_a_look_that_hangs_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mappers.runtime.reading._LONGEST", 0.0)
    played = Played()
    reading = Reading(played.batch)
    first = asyncio.create_task(reading.of(["first"]))
    await settled()
    second = asyncio.create_task(reading.of(["second"]))
    for _ in range(5):
        await settled()

    assert played.asked == [["first"], ["second"]]
    played.open.set()
    await asyncio.gather(first, second)


async def test_a_look_that_is_too_large_to_share_is_alone() -> None:
    played = Played()
    reading = Reading(played.batch)
    played.open.set()

    large, small = await asyncio.gather(reading.of([str(place) for place in range(70)]), reading.of(["x"]))

    assert (len(large), small) == (70, [{"url": "x"}])
    assert [len(urls) for urls in played.asked] == [70, 1]


async def test_a_failure_is_told_to_all_who_shared_it_and_to_nobody_after() -> None:
    played = Played(down=True)
    reading = Reading(played.batch)
    looks = [asyncio.create_task(reading.of([str(place)])) for place in range(5)]
    await settled()
    gone, *stay = looks
    gone.cancel()
    await settled()
    played.open.set()

    assert [type(one) for one in await asyncio.gather(*stay, return_exceptions=True)] == [NotNowError] * 4
    played.down = False
    assert await reading.of(["again"]) == [{"url": "again"}]


async def test_who_went_away_before_asks_no_more() -> None:
    played = Played()
    reading = Reading(played.batch)
    looks = []
    for place in range(2):
        looks.append(asyncio.create_task(reading.of([str(place)])))
        await settled()
    later = asyncio.create_task(reading.of(["never"]))
    await settled()
    later.cancel()
    await settled()
    played.open.set()

    await asyncio.gather(*looks)

    assert "never" not in {url for urls in played.asked for url in urls}


async def test_claims_of_many_are_looked_for_at_once_and_each_gets_its_own() -> None:
    def task(id: str, *claims: str) -> Json:
        return {"id": id, "identifier": [{"system": WAITS_FOR, "value": claim} for claim in claims]}

    played = Played(found=[task("1", "b"), task("2", "c", "d")])
    followers = Followers(played)  # type: ignore[arg-type]  # it stands for the server
    assert await followers.of([]) == []
    first = asyncio.create_task(followers.of(["a"]))
    await settled()
    others = [asyncio.create_task(followers.of([claim])) for claim in ("b", "c", "e")]
    await settled()
    played.open.set()

    assert [[one["id"] for one in found] for found in await asyncio.gather(first, *others)] == [[], ["1"], ["2"], []]
    assert len(played.asked) == 2


def entries(**patient: Any) -> list[Json]:
    made = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", **patient}, "request": {"method": "POST"}}
    coding = [{"system": "x", "code": "match-patient"}]
    question = {"resourceType": "Task", "code": {"coding": coding}, "focus": {"reference": "urn:uuid:1"}}
    return [made, {"resource": question, "request": {"method": "POST"}}]


@pytest.mark.parametrize(
    ("played", "patient", "left"),
    [
        (Played(refuses=422), {"birthDate": "1990-01-01"}, 2),
        (Played(), {"birthDate": "1990-01-01", "name": [{"text": "Zoé"}]}, 1),
        (Played(), {"name": [{"text": "Zoé Lefèvre"}]}, 2),
    ],
    ids=["too little is known", "like nobody", "without a birth date"],
)
async def test_t42_a_question_is_open_unless_the_patient_is_like_nobody(
    played: Played, patient: dict[str, Any], left: int
) -> None:
    found = await with_candidates(played, entries(**patient))  # type: ignore[arg-type]  # it stands for the server

    assert len(found) == left


async def test_of_who_is_not_made_now_nothing_is_asked() -> None:
    played = Played()
    [made, question] = entries()

    found = await with_candidates(played, [{**made, "request": {"method": "PUT"}}, question])  # type: ignore[arg-type]  # as above

    assert len(found) == 1
    assert played.asked == []


async def test_another_refusal_of_the_match_is_a_refusal() -> None:
    with pytest.raises(RejectedError):
        await with_candidates(Played(refuses=403), entries())  # type: ignore[arg-type]  # as above


async def test_a_candidate_without_a_grade_is_possible() -> None:
    played = Played(found=[{"resource": {"id": "7"}, "search": {}}])

    [_, question] = await with_candidates(played, entries())  # type: ignore[arg-type]  # as above

    assert question["resource"]["input"][0]["type"]["coding"][0]["code"] == "possible"
