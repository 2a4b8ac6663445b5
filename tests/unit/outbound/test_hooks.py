"""Notifications leave for public addresses alone, over TLS, to the place that was looked at."""

from collections.abc import Iterator, Sequence

import pytest

from fhir_server.outbound.egress import Egress
from fhir_server.outbound.hooks import Hooks
from fhir_server.subscriptions.ports import Notice
from tests.unit.outbound.servers import NAME, Site, site

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("endpoint")) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_new(endpoint: Site) -> None:
    endpoint.told.__init__()  # type: ignore[misc]  # as new for each test


def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def from_here(endpoint: Site) -> Hooks:
    """As if loopback were the internet."""
    return Hooks(Egress(lambda address: address == "127.0.0.1", to_loopback, endpoint.trusted))


async def test_a_notice_is_sent_by_the_endpoints_name_to_the_address_that_was_looked_at(endpoint: Site) -> None:
    notice = Notice("PUT", endpoint.url, (("Event-Number", "7"),), b"{}")

    assert await from_here(endpoint).send(notice)

    [asked] = endpoint.told.asked
    assert (asked["host"], asked["event-number"], asked["content-length"]) == (f"{NAME}:{endpoint.port}", "7", "2")
    assert "cookie" not in asked


@pytest.mark.parametrize("status", [199, 300, 301, 302, 307, 308, 401, 404, 500])
async def test_nothing_but_a_2xx_is_success_and_no_redirect_is_followed(endpoint: Site, status: int) -> None:
    endpoint.told.status, endpoint.told.headers = status, {"Location": endpoint.url}

    assert not await from_here(endpoint).send(Notice("POST", endpoint.url))

    assert len(endpoint.told.asked) == 1


async def test_a_name_that_turns_to_our_own_network_leads_nowhere(endpoint: Site) -> None:
    addresses = iter([["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "169.254.169.254"]])
    egress = Egress(lambda address: address == "127.0.0.1", lambda *_: next(addresses), endpoint.trusted)
    hooks, notice = Hooks(egress), Notice("POST", endpoint.url)

    assert [await hooks.send(notice) for _ in range(3)] == [True, False, False]

    assert len(endpoint.told.asked) == 1


async def test_a_certificate_that_nobody_vouches_for_is_told_nothing(endpoint: Site) -> None:
    hooks = Hooks(Egress(lambda _: True, to_loopback))

    assert not await hooks.send(Notice("POST", endpoint.url))

    assert endpoint.told.asked == []


@pytest.mark.parametrize(
    ("url", "public", "demo"),
    [
        ("https://hook.example.org/x", True, True),
        ("https://8.8.8.8/x", True, True),
        ("https://10.0.0.1/x", False, False),
        ("https://[::ffff:127.0.0.1]/x", False, False),
        ("https://user@hook.example.org/", False, False),
        ("https://@hook.example.org/", False, False),
        ("http://hook.example.org/", False, False),
        ("http://127.0.0.1:9/x", False, True),
        ("http://[::1]:9/x", False, True),
        ("http://127.0.0.2/x", False, False),
        ("http://localhost/x", False, False),
        ("https://127.0.0.1/x", False, True),
        ("https://hook.example.org:99999/", False, False),
        ("nonsense", False, False),
    ],
)
def test_where_a_notice_may_go_at_all(url: str, public: bool, demo: bool) -> None:  # noqa: FBT001  a table
    assert Hooks(Egress()).may(url) is public
    assert Hooks(Egress(loopback=True)).may(url) is demo
