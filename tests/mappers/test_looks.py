"""Who bears an identifier: looks of several messages as one search, against asking each of them alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.mapping.json_text import Json, decode_object, encode
from mappers.runtime.looks import Bearers, together, told, url_of
from mappers.runtime.server import Server

SYSTEMS = ("urn:a", "urn:b,c|d$e\\f")
VALUES = ("1", "2", "A", "a", "x,y|z$w\\v")
BEARERS = st.builds(
    Bearers,
    st.sampled_from(("Patient", "Appointment")),
    st.lists(st.tuples(st.sampled_from(SYSTEMS), st.sampled_from(VALUES)), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)


def bearer(type: str, id: str, *identifiers: tuple[str, str]) -> Json:
    known = [{"system": system, "value": value} for system, value in identifiers]
    return {"resourceType": type, "id": id, "identifier": known}


@dataclass
class Shelf:
    """Answers a search of identifiers as the server does; `page`: no more on a page. `refuses`: several at once."""

    resources: Sequence[Json]
    page: int = 1000
    refuses: bool = False
    asked: list[str] = field(default_factory=list)

    def get(self, url: str) -> Json:
        self.asked.append(url)
        type, _, query = url.partition("?")
        if not query:
            return {"response": {"status": "404"}}
        wanted = [unescaped(one) for one in split(parse_qs(query)["identifier"][0], ",")]
        if self.refuses and len(wanted) > 1:
            return {"response": {"status": "400", "outcome": {"issue": [{"code": "too-costly"}]}}}
        found = [one for one in self.resources if one["resourceType"] == type and self._bears(one, wanted)]
        link = [
            {"relation": "self", "url": url},
            *([{"relation": "next", "url": "x"}] if len(found) > self.page else []),
        ]
        entries = [{"resource": one} for one in found[: self.page]]
        return {"resource": {"type": "searchset", "link": link, "entry": entries}, "response": {"status": "200"}}

    def _bears(self, resource: Json, wanted: Sequence[tuple[str, str]]) -> bool:
        borne = {(one["system"], one["value"].casefold()) for one in resource["identifier"]}
        return any((system, value.casefold()) in borne for system, value in wanted)

    def server(self) -> Server:
        def answered(request: httpx2.Request) -> httpx2.Response:
            entries = [self.get(entry["request"]["url"]) for entry in decode_object(request.content)["entry"]]
            return httpx2.Response(200, content=encode({"resourceType": "Bundle", "entry": entries}))

        return Server(httpx2.AsyncClient(transport=httpx2.MockTransport(answered)), "http://fhir.test", Given())


class Given:
    async def token(self) -> str:
        return "a token"

    def forget(self) -> None:
        raise AssertionError


def split(text: str, sign: str) -> list[str]:
    parts, at = [""], 0
    while at < len(text):
        if text[at] == "\\":
            parts[-1] += text[at : at + 2]
            at += 2
            continue
        if text[at] == sign:
            parts.append("")
        else:
            parts[-1] += text[at]
        at += 1
    return parts


def unescaped(text: str) -> tuple[str, str]:
    system, value = ("".join(part.removeprefix("\\") for part in pieces(one)) for one in split(text, "|"))
    return system, value


def pieces(text: str) -> list[str]:
    """A sign each, with the backslash before it."""
    found: list[str] = []
    for sign in text:
        if found and found[-1] == "\\":
            found[-1] += sign
        else:
            found.append(sign)
    return found


def matches(answer: Json | None) -> list[str]:
    return [] if answer is None else sorted(one["resource"]["id"] for one in answer["entry"])


@given(
    st.lists(BEARERS, max_size=8),
    st.lists(st.lists(st.tuples(st.sampled_from(SYSTEMS), st.sampled_from(VALUES)), max_size=3), max_size=6),
    st.integers(1, 3),
)
def test_together_each_look_is_answered_as_it_is_alone(
    looks: list[Bearers], borne: list[list[tuple[str, str]]], page: int
) -> None:
    shelf = Shelf(
        [
            bearer(type, f"{type}{place}", *own)
            for place, own in enumerate(borne)
            for type in ("Patient", "Appointment")
        ],
        page,
    )
    alone = [shelf.get(url_of(look)) for look in looks]
    searches = together(looks)

    found = told(looks, searches, [shelf.get(search.url) for search in searches])

    for one, other in zip(found, alone, strict=True):
        assert one is None or matches(one["resource"]) == matches(other["resource"])
    assert len(searches) <= 4


def look(value: str, type: str = "Patient") -> Bearers:
    return Bearers(type, (("urn:a", value),))


@pytest.mark.anyio
async def test_the_looks_of_many_messages_are_one_search_for_each_type() -> None:
    shelf = Shelf([bearer("Patient", str(place), ("urn:a", str(place))) for place in range(9)])
    server = shelf.server()

    answers = await asyncio.gather(
        *(server.read([look(str(place)), look("0", "Appointment"), "Basic/1"]) for place in range(9))
    )

    assert [matches(patients) for patients, _, _ in answers] == [[str(place)] for place in range(9)]
    assert [(matches(visits), basic) for _, visits, basic in answers] == [([], None)] * 9
    assert [url for url in shelf.asked if url.startswith("Patient")] == [
        "Patient?identifier=" + ",".join(f"urn:a%7C{place}" for place in range(9)) + "&_count=100"
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("given", [{"page": 1}, {"refuses": True}], ids=["more than a page", "refused"])
async def test_what_is_too_much_together_is_asked_alone(given: dict[str, Any]) -> None:
    shelf = Shelf([bearer("Patient", str(place), ("urn:a", str(place))) for place in range(3)], **given)

    answers = await shelf.server().read([look(str(place)) for place in range(3)])

    assert [matches(one) for one in answers] == [["0"], ["1"], ["2"]]
    assert len(shelf.asked) == 4


def test_a_match_that_shows_no_identifier_is_nobodys_and_each_is_asked_alone() -> None:
    looks = [look("1"), look("2")]
    answer = {
        "resource": {"entry": [{"resource": {"resourceType": "Patient", "id": "7"}}]},
        "response": {"status": "200"},
    }

    assert told(looks, together(looks), [answer]) == [None, None]


def test_a_search_names_no_more_than_a_server_takes() -> None:
    many, long = [look(str(place)) for place in range(130)], [look("v" * 2_500 + str(place)) for place in range(5)]

    assert [len(search.places) for search in together(many)] == [60, 60, 10]
    assert [len(search.places) for search in together(long)] == [2, 2, 1]


def test_whom_two_ask_for_is_named_once_and_told_to_both() -> None:
    looks = [look("A"), look("a"), look("A")]
    [search] = together(looks)
    shelf = Shelf([bearer("Patient", "7", ("urn:a", "A"))])

    found = told(looks, [search], [shelf.get(search.url)])

    assert search.url == "Patient?identifier=urn:a%7CA,urn:a%7Ca&_count=100"
    assert [matches(one["resource"]) for one in found if one] == [["7"]] * 3
