"""A FHIR server beside ours that is not what it should be: it leads nowhere else, and is read so far and no further."""

from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import AsyncClient, MockTransport, Request, Response

from fhir_server.kernel import json
from fhir_server.smart.clients.key_pair import new_private_jwk
from mappers.fhir_sync.authority import Authority, published
from mappers.fhir_sync.reconcile import Ends
from mappers.mapping.faults import UnusableError
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.clock import now
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError, SetupError
from mappers.runtime.histories import changed
from mappers.runtime.remote import Remote
from mappers.runtime.syncing.pairs import worked_out

pytestmark = pytest.mark.anyio
BASE = "https://ehr.example/fhir"
KEY = new_private_jwk("ES384")
SINCE = "2026-01-01T00:00:00Z"
Answer = Callable[[Request], Response]


class Tokens:
    def __init__(self) -> None:
        self.forgotten = 0

    async def token(self) -> str:
        return "a token"

    def forget(self) -> None:
        self.forgotten += 1


class Server:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self, answer: Answer, **more: Any) -> None:
        self.asked: list[Request] = []
        self.tokens = Tokens()
        self.answer = answer
        http = AsyncClient(transport=MockTransport(self._answered))
        self.remote = Remote(http, BASE, self.tokens, pauses=(0.0,), **more)

    def _answered(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answer(request)


def said(body: Any, status: int = 200, **headers: str) -> Response:
    return Response(status, content=json.encode(body), headers=headers)


def page(number: int, following: str | None) -> dict[str, Any]:
    links = [{"relation": "next", "url": following}] if following else []
    entry = {"resource": {"resourceType": "Patient", "id": f"p{number}", "meta": {"lastUpdated": SINCE}}}
    return {"resourceType": "Bundle", "type": "history", "entry": [entry], "link": links}


async def test_a_page_that_is_too_large_is_not_read_to_its_end() -> None:
    server = Server(lambda _: Response(200, content=b"[" + b" " * 5_000), most_bytes=4_000)

    with pytest.raises(SetupError, match="more than is read"):
        await changed(server.remote, "Patient", SINCE)


async def test_a_page_that_is_packed_is_not_unpacked() -> None:
    server = Server(lambda _: Response(200, content=b"\x1f\x8b", headers={"content-encoding": "gzip"}))

    with pytest.raises(SetupError, match="compresses"):
        await changed(server.remote, "Patient", SINCE)


async def test_links_that_never_end_are_followed_so_far_and_those_in_a_circle_once() -> None:
    count = iter(range(100))
    endless = Server(lambda _: said(page(0, f"{BASE}/Patient/_history?page={next(count)}")))
    circle = Server(lambda _: said(page(0, f"{BASE}/Patient/_history?page=1")))

    for server in (endless, circle):
        with pytest.raises(SetupError, match="does not end"):
            await changed(server.remote, "Patient", SINCE, most_pages=5)

    assert (len(endless.asked), len(circle.asked)) == (5, 2)


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://ehr.example.attacker.example/fhir/Patient",
        "https://ehr.example/admin",
        "https://ehr.example/fhir/../admin",
        "//attacker.example/fhir",
        "http://ehr.example/fhir/Patient",
        "/etc/passwd",
    ],
)
async def test_a_link_that_leads_out_is_not_followed(link: str) -> None:
    server = Server(lambda _: said(page(0, link)))

    with pytest.raises(SetupError, match="leads elsewhere"):
        await changed(server.remote, "Patient", SINCE)

    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    server = Server(lambda _: Response(status, headers={"location": "http://127.0.0.1:27017/"}))

    with pytest.raises(SetupError, match="leads elsewhere"):
        await server.remote.read("Patient/1")

    assert len(server.asked) == 1


async def test_the_place_of_what_was_written_may_not_lie_elsewhere() -> None:
    server = Server(lambda _: Response(201, headers={"location": "http://169.254.169.254/Patient/1"}))

    with pytest.raises(SetupError, match="leads elsewhere"):
        await server.remote.create({"resourceType": "Patient"}, "identifier=a%7Cb")


async def test_what_was_written_without_an_answer_is_read_where_it_lies() -> None:
    created = {"resourceType": "Patient", "id": "1"}

    def answer(request: Request) -> Response:
        if request.method == "POST":
            return Response(201, headers={"location": f"{BASE}/Patient/1/_history/1"})
        return said(created)

    found = await Server(answer).remote.create({"resourceType": "Patient"}, "identifier=a%7Cb")

    assert found == created
    with pytest.raises(OvertakenError):
        await Server(lambda one: Response(200 if one.method == "PUT" else 404)).remote.update(created, "1")


async def test_a_token_that_is_not_taken_is_renewed_once() -> None:
    server = Server(lambda _: said({}, 401))

    with pytest.raises(SetupError, match="token"):
        await server.remote.search("Patient")

    assert server.tokens.forgotten == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_who_cannot_answer_is_asked_again_and_then_left(status: int) -> None:
    server = Server(lambda _: said({}, status))

    with pytest.raises(NotNowError):
        await server.remote.read("Patient/1")

    assert len(server.asked) == 2


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b'{"resourceType":' * 200])
async def test_what_is_no_fhir_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(SetupError, match="JSON"):
        await Server(lambda _: Response(200, content=body)).remote.search("Patient")


async def test_content_that_is_refused_is_told_by_its_status() -> None:
    with pytest.raises(RejectedError) as refused:
        await Server(lambda _: Response(403)).remote.content("Binary/1")

    assert refused.value.status == 403


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://attacker.example/token",
        "http://ehr.example/token",
        "https://ehr.example@attacker.example/token",
        "https://169.254.169.254/token",
        "https://ehr.example/token#elsewhere",
    ],
)
async def test_no_statement_is_signed_for_a_token_endpoint_that_was_not_expected(endpoint: str) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        return said({"token_endpoint": endpoint, "access_token": "x"})

    http = AsyncClient(transport=MockTransport(answer))
    tokens = BackendServices(http, BASE, "us", "system/*.rs", KEY, now, frozenset({"ehr.example"}))

    with pytest.raises(SetupError, match="not where one was expected"):
        await tokens.token()

    assert [request.method for request in asked] == ["GET"]


async def test_a_token_endpoint_that_the_clinic_named_is_asked() -> None:
    def answer(request: Request) -> Response:
        return said({"token_endpoint": "https://login.example/token", "access_token": "x"})

    http = AsyncClient(transport=MockTransport(answer))
    tokens = BackendServices(http, BASE, "us", "system/*.rs", KEY, now, frozenset({"login.example"}))

    assert await tokens.token() == "x"


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", "id": "1", "identifier": "none"},
        {"resourceType": "Patient", "id": "1", "extension": [7]},
        {"resourceType": "Appointment", "id": "1", "participant": [{"actor": {"reference": "Patient/9"}}]},
    ],
)
def test_a_poison_resource_is_one_that_cannot_be_taken(resource: dict[str, Any]) -> None:
    ends = Ends("https://us.example/fhir", BASE)

    with pytest.raises(UnusableError):
        worked_out(resource, None, None, ends, Authority(frozenset({"ehr"}), published()))
