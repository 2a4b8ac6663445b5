"""What the runtime makes of a server or a vendor that fails, floods or redirects. No address is told."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, ConnectError, MockTransport, Request, Response

from fhir_server.kernel import json
from fhir_server.smart.clients.key_pair import new_private_jwk
from mappers.hl7v2 import messages as hl7v2
from mappers.hl7v2.parsing import parsed
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Tables
from mappers.runtime.acknowledging import Acknowledging
from mappers.runtime.backend_services import BackendServices
from mappers.runtime.delivery import Delivery, Source
from mappers.runtime.faults import NotNowError, OvertakenError, RejectedError, SetupError
from mappers.runtime.fetching import Fetcher
from mappers.runtime.polling import Listing, Poller
from mappers.runtime.records import Records
from mappers.runtime.server import Server
from mappers.runtime.serving import _asking
from mappers.runtime.web import Hook, build_app
from tests.mappers.golden import named

pytestmark = pytest.mark.anyio

BASE = "http://127.0.0.1/fhir"
HOSTS = frozenset({"api.vendor.example"})
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Fixed:
    """A token that never ends, and how often it was refused."""

    forgotten = 0

    async def token(self) -> str:
        return f"token-{self.forgotten}"

    def forget(self) -> None:
        self.forgotten += 1


def server(*answers: Response | Exception, pauses: int = 2) -> tuple[Server, list[Request]]:
    """It gives these answers in turn, the last one for ever."""
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        found = answers[min(len(asked), len(answers)) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    return Server(AsyncClient(transport=MockTransport(answer)), BASE, Fixed(), (0.0,) * pauses), asked


def bundle(status: int = 200) -> Response:
    return Response(status, content=json.encode({"resourceType": "Bundle", "entry": []}))


def outcome(status: int, code: str = "invalid") -> Response:
    return Response(status, content=json.encode({"issue": [{"code": code, "diagnostics": "Léa Martin"}]}))


@pytest.mark.parametrize("first", [outcome(503), outcome(429), ConnectError("down")], ids=["503", "429", "down"])
async def test_what_fails_for_a_moment_is_tried_again(first: Response | Exception) -> None:
    made, asked = server(first, bundle())

    await made.write([])

    assert len(asked) == 2


async def test_after_the_last_pause_it_is_told_that_it_cannot_be_now() -> None:
    made, asked = server(ConnectError("down"))

    with pytest.raises(NotNowError):
        await made.write([])

    assert len(asked) == 3


ANSWERS: list[tuple[Response, type[Exception]]] = [
    (outcome(409), OvertakenError),
    (outcome(412), OvertakenError),
    (outcome(422), RejectedError),
    (outcome(401), SetupError),
    (Response(200, content=b"<html>"), NotNowError),
]


@pytest.mark.parametrize(("answer", "fault"), ANSWERS)
async def test_each_answer_has_its_meaning_and_quotes_nothing(answer: Response, fault: type[Exception]) -> None:
    made, _ = server(answer)

    with pytest.raises(fault) as raised:
        await made.write([])

    assert "Léa" not in str(raised.value)


async def test_a_token_that_is_refused_is_renewed_once() -> None:
    made, asked = server(outcome(401), bundle())

    await made.write([])

    assert [request.headers["authorization"] for request in asked] == ["Bearer token-0", "Bearer token-1"]


@pytest.mark.parametrize(("status", "fault"), [("503", NotNowError), ("403", RejectedError)])
async def test_an_entry_that_fails_fails_the_look(status: str, fault: type[Exception]) -> None:
    answer = {"entry": [{"response": {"status": status, "outcome": {"issue": [{"code": "forbidden"}]}}}]}
    made, _ = server(Response(200, content=json.encode(answer)))

    with pytest.raises(fault):
        await made.read(["Patient/1"])


def vendor(answer: Callable[[Request], Response]) -> Fetcher:
    return Fetcher(AsyncClient(transport=MockTransport(answer)), HOSTS, most_bytes=1_000)


def down(request: Request) -> Response:
    raise ConnectError("down")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda _: Response(302, headers={"location": "http://169.254.169.254/"}), SetupError),
        (lambda _: Response(200, content=b"x" * 2_000), SetupError),
        (lambda _: Response(403), SetupError),
        (lambda _: Response(429), NotNowError),
        (lambda _: Response(500), NotNowError),
        (down, NotNowError),
    ],
    ids=["elsewhere", "a flood", "refused", "too often", "broken", "down"],
)
async def test_a_vendor_that_misbehaves_is_not_followed_and_its_address_not_told(
    answer: Callable[[Request], Response], fault: type[Exception]
) -> None:
    with pytest.raises(fault) as raised:
        await vendor(answer).get("https://api.vendor.example/secret-key/appointments", {})

    assert "secret-key" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.vendor.example/x",
        "https://api.vendor.example.evil.example/x",
        "https://api.vendor.example@evil.example/x",
        "https://api.vendor.example:8443/x",
        "https://127.0.0.1/x",
        "file:///etc/passwd",
    ],
)
async def test_no_other_place_is_asked(url: str) -> None:
    with pytest.raises(SetupError):
        await vendor(lambda _: Response(200)).get(url, {})


async def test_what_is_gone_is_nothing() -> None:
    assert await vendor(lambda _: Response(404)).get("https://api.vendor.example/x", {}) is None


def proving(token: Response, configuration: Any = None) -> tuple[BackendServices, list[Request]]:
    asked: list[Request] = []
    named = {"token_endpoint": "http://127.0.0.1/token"} if configuration is None else configuration

    def answer(request: Request) -> Response:
        asked.append(request)
        return token if request.method == "POST" else Response(200, content=json.encode(named))

    http = AsyncClient(transport=MockTransport(answer))
    moments = iter(NOW + timedelta(minutes=minute) for minute in range(100))
    return BackendServices(http, BASE, "mappers", "system/*.rs", new_private_jwk("ES384"), lambda: next(moments)), asked


async def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    made, asked = proving(Response(200, content=json.encode({"access_token": "t", "expires_in": 300})))

    assert {await made.token() for _ in range(3)} == {"t"}
    assert [request.method for request in asked] == ["GET", "POST"]

    made.forget()
    await made.token()
    assert [request.method for request in asked] == ["GET", "POST", "POST"]


@pytest.mark.parametrize(
    ("token", "configuration", "fault"),
    [
        (Response(400, content=b'{"error":"invalid_client"}'), None, SetupError),
        (Response(200, content=b"<html>"), None, SetupError),
        (Response(503), None, NotNowError),
        (Response(200), {}, SetupError),
    ],
)
async def test_a_server_that_gives_no_token_is_told_apart(
    token: Response, configuration: Any, fault: type[Exception]
) -> None:
    made, _ = proving(token, configuration)

    with pytest.raises(fault):
        await made.token()


def without_rights() -> Delivery:
    """Its server takes nothing from it."""
    made, _ = server(outcome(403, "forbidden"))
    source = Source("ehr", hl7v2.read, Tables())
    return Delivery(made, source, Records("ehr", "a key of the tests"), lambda: NOW)


async def test_a_sender_of_hl7_v2_is_told_when_the_server_takes_nothing() -> None:
    said = await Acknowledging(without_rights()).answer(named("hl7v2/siu-s12").message.raw)

    assert parsed(said).need("MSA").text(1) == "AE"
    assert "Okafor" not in said.decode()


async def test_a_webhook_comes_again_when_the_server_takes_nothing() -> None:
    def proven(headers: Mapping[str, str], raw: bytes, now: datetime) -> None:
        assert raw

    hook = Hook("x" * 30, proven, without_rights().deliver)
    async with AsyncClient(transport=ASGITransport(build_app([hook], lambda: NOW)), base_url="http://hooks") as http:
        answer = await http.post(f"/hooks/{'x' * 30}", content=named("hl7v2/siu-s12").message.raw)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"


async def test_a_source_that_fails_is_asked_again_at_its_next_turn(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Request] = []

    def elsewhere(request: Request) -> Response:
        asked.append(request)
        return Response(200, content=b'{"links":{"next":"https://evil.example/"}}')

    looks, _ = server(Response(200, content=json.encode({"entry": [{"response": {"status": "404"}}]})))
    delivery = Delivery(looks, Source("desk", hl7v2.read, Tables()), Records("desk", "a key"), lambda: NOW)
    poller = Poller(vendor(elsewhere), {}, delivery, listing(), "2026-01-01T00:00:00Z")

    asking = asyncio.create_task(_asking([poller], 0))
    for _ in range(200):
        await asyncio.sleep(0)
    asking.cancel()

    assert len(asked) > 1
    assert "desk: links.next leads elsewhere." in capsys.readouterr().out


def listing() -> Listing:
    def following(page: Any, number: int, cursor: str) -> str | None:
        raise UnusableError("links.next leads elsewhere.")

    def none(page: Any) -> Iterator[Any]:
        return iter(())

    return Listing("visits", lambda cursor: f"https://api.vendor.example/visits?since={cursor}", following, none)
