"""What is asked for after an appointment of NextMotion's, and what is not."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from httpx2 import AsyncClient, MockTransport, Request, Response

from fhir_server.kernel import json
from mappers.booking.nextmotion import consent_forms, photographs
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message, Tables
from mappers.runtime.belongings import Belongings
from mappers.runtime.faults import NotNowError, SetupError
from mappers.runtime.fetching import Fetcher
from mappers.runtime.records import Records
from mappers.runtime.settings import SourceSettings
from tests.mappers.golden import named

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PHOTO = {"image": {"media_file": "https://files.example/p", "file_uti": "public.jpeg"}}


class Taking:
    """A delivery that keeps what it is given, beside a server that knows `known` records."""

    def __init__(self, known: int = 0) -> None:
        self.records, self.server = Records("nxm", "x" * 32), self
        self.taken: list[Any] = []
        self.known = known

    async def read(self, urls: list[str]) -> list[Any]:
        return [{} if place < self.known else None for place, _ in enumerate(urls)]

    async def deliver(self, message: Message) -> None:
        self.taken.append(json.decode(message.raw))


async def followed(answers: dict[str, Response], appointment: Any, known: int = 0) -> tuple[list[Any], list[str]]:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(str(request.url))
        return next((found for part, found in answers.items() if part in str(request.url)), Response(404))

    photos, forms = Taking(known), Taking()
    async with AsyncClient(transport=MockTransport(answer)) as http:
        api = Fetcher(http, frozenset({"api.nextmotion.net"}))
        files = Fetcher(http, frozenset({"files.example"}), most_bytes=100)
        made = Belongings(api, files, {}, cast("Any", photos), cast("Any", forms))
        await made.follow(json.encode(appointment), NOW)
    return photos.taken, asked


def listed(*assets: Any) -> dict[str, Response]:
    page = {"data": [{"id": "r", "media_assets": list(assets)}]}
    return {"media_records": Response(200, content=json.encode(page))}


WHOSE = {"id": "a-1", "patient": {"id": "p-1"}}


@pytest.mark.parametrize(
    "appointment", [[], {"id": "a-1"}, {"id": "a-1", "patient": {"id": "../x"}}, {"patient": {"id": "p-1"}}]
)
async def test_of_an_appointment_that_is_nobodys_or_none_nothing_is_asked(appointment: Any) -> None:
    assert await followed({}, appointment) == ([], [])


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (Response(404), "The file is not there any more."),
        (Response(200, content=b"x" * 101), "The source answers with more than is read."),
        (Response(302, headers={"Location": "https://10.0.0.1/"}), "The source answers 302."),
    ],
    ids=["gone", "too large", "redirected"],
)
async def test_a_file_that_is_not_to_be_had_is_told_and_is_not_the_end(file: Response, why: str) -> None:
    good = {"id": "2", "image": {"media_file": "https://files.example/good"}}
    answers = {**listed({"id": "1", **PHOTO}, good), "/good": Response(200, content=b"\xff\xd8\xff"), "/p": file}

    taken, asked = await followed(answers, WHOSE)

    assert [one.get("refused") for one in taken] == [why, None]
    assert not any("10.0.0.1" in url for url in asked)
    assert "https://" not in json.encode(taken).decode()


async def test_what_is_here_is_not_fetched_again() -> None:
    taken, asked = await followed(listed(*({"id": str(one), **PHOTO} for one in range(3))), WHOSE, known=3)

    assert taken == []
    assert not any("files.example" in url for url in asked)


async def test_a_list_without_end_is_read_so_far_and_so_many_files_are_fetched_at_once() -> None:
    assets = [{"id": str(one), **PHOTO} for one in range(10)]
    page = {
        "data": [{"media_assets": assets}],
        "next": "https://api.nextmotion.net/open_api/v4/patients/p-1/media_records",
    }

    taken, asked = await followed({"media_records": Response(200, content=json.encode(page))}, WHOSE)

    assert (len(taken), sum("media_records" in url for url in asked)) == (50, 20)


async def test_a_list_that_is_none_is_asked_for_again_later() -> None:
    with pytest.raises(NotNowError):
        await followed({"treatments": Response(200, content=b"<html>")}, WHOSE)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (photographs.read, {"media_asset": {"id": "1", "image": {"file_uti": "public.png"}}, "data": "/9j/"}),
        (photographs.read, {"media_asset": {"id": "1", "image": {"file_uti": "x"}}, "data": "JVBERi0x"}),
        (photographs.read, {"media_asset": {"id": "1", "image": {"width": 1}}, "data": "not base 64"}),
        (photographs.read, {"media_asset": {"id": "1"}, "data": "/9j/"}),
        (photographs.read, {"media_asset": {"id": "1", "image": {}}}),
        (consent_forms.read, {"consent_form": {"id": "1"}, "data": "/9j/"}),
        (consent_forms.read, {"consent_form": {"id": "1"}, "refused": "It is gone."}),
    ],
    ids=["another kind", "no picture", "no Base64", "no image", "no file", "a picture as a form", "refused"],
)
def test_bad_input_a_file_that_is_not_what_it_says_is_not_taken(read: Any, body: Any) -> None:
    message = Message(json.encode({"patient": {"id": "p-1"}, **body}), NOW)

    with pytest.raises(UnusableError):
        read(message, Tables())


def test_the_same_form_with_another_word_about_it_is_another_message() -> None:
    keys = {consent_forms.key({"id": "1", "status": status}) for status in (1, 2, 2)}

    assert len(keys) == 2
    assert named("nextmotion/consent-form").mapped().key.startswith(consent_forms.FORM)


@pytest.mark.parametrize(
    "hosts",
    ["files.example", ["10.0.0.1"], ["[::1]"], ["localhost"], ["x.internal"], ["a.example:8080"], ["u@a.example"], [7]],
)
def test_bad_input_a_host_of_this_network_or_in_numbers_is_not_named(hosts: Any) -> None:
    source = SourceSettings("nxm", "nextmotion", Tables(), {"file_hosts": hosts}, cast("Any", None))

    with pytest.raises(SetupError, match="file_hosts"):
        source.hosts("file_hosts")


def test_hosts_are_named_by_their_names() -> None:
    source = SourceSettings("nxm", "nextmotion", Tables(), {"file_hosts": ["a-1.files.example"]}, cast("Any", None))

    assert source.hosts("file_hosts") == {"a-1.files.example"}
    assert source.hosts("others") == frozenset()
