"""The way out: HTTPS to public addresses, pinned, bounded. R-SMART-082."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fhir_server.outbound.egress import Egress, EgressError, is_public, resolve
from tests.unit.outbound.servers import NAME, Site, site


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def from_here(keys: Site) -> Egress:
    """As if loopback were the internet."""
    keys.told.__init__()  # type: ignore[misc]  # as new for each test
    return Egress(lambda address: address == "127.0.0.1", to_loopback, keys.trusted)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),  # noqa: S104  refused
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "2002:7f00:1::"),
        *("64:ff9b::7f00:1", "2001:0:4136:e378::1", "2001:db8::1", "fe80::1%eth0", "nonsense", "", "127.1"),
    ],
)
def test_an_address_of_our_own_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111"])
def test_an_address_of_the_internet_is(address: str) -> None:
    assert is_public(address)


def test_what_is_there_is_fetched_by_its_name_from_the_address_that_was_looked_at(keys: Site) -> None:
    egress = from_here(keys)
    keys.told.body, keys.told.headers = b'{"keys":[]}', {"Cache-Control": "max-age=60"}

    found = egress.get(keys.url, most_bytes=100, seconds=5)

    assert found.body == b'{"keys":[]}'
    assert found.headers["cache-control"] == "max-age=60"
    [asked] = keys.told.asked
    assert (asked["host"], asked["path"]) == (f"{NAME}:{keys.port}", "/jwks?x=1")
    assert "authorization" not in asked
    assert "cookie" not in asked


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example/jwks",
        "ftp://keys.example/jwks",
        "file:///etc/passwd",
        "https:///jwks",
        "https://user@keys.example/jwks",
        "https://user:word@keys.example/jwks",
        "https://keys.example:nonsense/jwks",
        "https://keys.example:99999/jwks",
        "https://[::1/jwks",
        "nonsense",
        "",
    ],
)
def test_another_kind_of_url_is_not_fetched(keys: Site, url: str) -> None:
    egress = from_here(keys)

    with pytest.raises(EgressError):
        egress.get(url, most_bytes=100, seconds=5)

    assert keys.told.asked == []


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["169.254.169.254"], ["::1"], []]
)
def test_a_name_with_one_private_address_leads_nowhere(keys: Site, addresses: list[str]) -> None:
    from_here(keys)
    egress = Egress(resolve=lambda *_: addresses, trusted=keys.trusted)

    with pytest.raises(EgressError, match="not a public one"):
        egress.get(keys.url, most_bytes=100, seconds=5)

    assert keys.told.asked == []


def test_an_address_written_as_a_name_is_judged_like_any_other(keys: Site) -> None:
    from_here(keys)
    for host in ("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001", "127.1"):
        with pytest.raises(EgressError):
            Egress(trusted=keys.trusted).get(f"https://{host}:{keys.port}/jwks", most_bytes=100, seconds=5)

    assert keys.told.asked == []


def test_a_name_that_is_none_is_told_like_one_that_is_not_there(keys: Site) -> None:
    def fails(host: str, port: int) -> Sequence[str]:
        raise OSError

    with pytest.raises(EgressError, match="cannot be resolved"):
        Egress(resolve=fails).get("https://keys.example/jwks", most_bytes=100, seconds=5)
    with pytest.raises(EgressError):
        from_here(keys).get("https://" + "x" * 64 + ".example:1/", most_bytes=100, seconds=5)


def test_another_name_in_the_certificate_is_refused(tmp_path: Path) -> None:
    with site(tmp_path, "another.example") as other:
        egress = Egress(lambda _: True, to_loopback, other.trusted)

        with pytest.raises(EgressError, match="connection failed"):
            egress.get(other.url, most_bytes=100, seconds=5)

        assert other.told.asked == []


def test_a_certificate_that_nobody_vouches_for_is_refused(keys: Site) -> None:
    from_here(keys)

    with pytest.raises(EgressError, match="connection failed"):
        Egress(lambda _: True, to_loopback).get(keys.url, most_bytes=100, seconds=5)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 401, 404, 500])
def test_no_redirect_is_followed_and_nothing_but_200_is_an_answer(keys: Site, status: int) -> None:
    egress = from_here(keys)
    keys.told.status, keys.told.headers = status, {"Location": keys.url}

    with pytest.raises(EgressError):
        egress.get(keys.url, most_bytes=100, seconds=5)

    assert len(keys.told.asked) == 1


def test_a_body_that_is_too_large_is_dropped(keys: Site) -> None:
    egress = from_here(keys)
    keys.told.body = b"x" * 101

    with pytest.raises(EgressError, match="too large"):
        egress.get(keys.url, most_bytes=100, seconds=5)


def test_a_packed_body_is_not_unpacked(keys: Site) -> None:
    egress = from_here(keys)
    keys.told.headers = {"Content-Encoding": "gzip"}

    with pytest.raises(EgressError, match="plain body"):
        egress.get(keys.url, most_bytes=100, seconds=5)


def test_who_is_slow_is_not_waited_for(keys: Site) -> None:
    egress = from_here(keys)
    may_answer, answered = threading.Event(), threading.Event()

    def slowly() -> None:
        may_answer.wait(60)
        answered.set()

    keys.told.slowly = slowly

    with pytest.raises(EgressError):
        egress.get(keys.url, most_bytes=100, seconds=0.3)

    assert not answered.is_set()
    may_answer.set()


def test_the_real_resolver_knows_loopback() -> None:
    assert "127.0.0.1" in resolve("127.0.0.1", 443)
