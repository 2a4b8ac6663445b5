"""Key sets by URL: fetched when needed, kept as long as their server allows, asked for seldom. R-SMART-082."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from fhir_server.kernel import json
from fhir_server.kernel.json import Json
from fhir_server.outbound.egress import Egress, EgressError, Fetched
from fhir_server.outbound.jwks import RemoteKeySets
from fhir_server.smart.clients.key_pair import new_private_jwk, public_set
from tests.fakes.clock import FakeClock

URL = "https://keys.example/jwks"
FIRST, SECOND = new_private_jwk("ES384"), new_private_jwk("ES384")


class FakeEgress(Egress):
    """`answer` is what the next fetch gives; what it raises otherwise."""

    def __init__(self, *keys: Json) -> None:
        super().__init__()
        self.fetched = 0
        self.body: Json | bytes = set_of(*keys)
        self.headers: Mapping[str, str] = {}
        self.during: Callable[[], object] = lambda: None
        self.fails = False

    def get(self, url: str, *, most_bytes: int, seconds: float) -> Fetched:
        self.fetched += 1
        self.during()
        if self.fails:
            raise EgressError
        return Fetched(self.body if isinstance(self.body, bytes) else json.encode(self.body), self.headers)


def set_of(*keys: Json) -> Json:
    return {"keys": [public_set(key)["keys"][0] for key in keys]}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def kids(sets: RemoteKeySets, wanted: Json = FIRST) -> list[str]:
    return [key.kid for key in sets.keys(URL, wanted=wanted["kid"])]


def test_a_set_is_fetched_once_and_kept(clock: FakeClock) -> None:
    egress = FakeEgress(FIRST)
    sets = RemoteKeySets(egress, clock)

    assert kids(sets) == [FIRST["kid"]]
    clock.advance(timedelta(minutes=4))
    assert kids(sets) == [FIRST["kid"]]
    assert egress.fetched == 1

    clock.advance(timedelta(minutes=2))
    kids(sets)
    assert egress.fetched == 2


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("max-age=60", 60),
        ("public, max-age=600", 600),
        ("max-age=999999", 3600),
        ('max-age="30"', 30),
        ("max-age=0", 5),
        ("no-store", 5),
        ("no-cache, max-age=600", 5),
        ("nonsense", 300),
    ],
)
def test_r_smart_082_a_set_is_kept_no_longer_than_its_server_allows(clock: FakeClock, stated: str, kept: int) -> None:
    egress = FakeEgress(FIRST)
    egress.headers = {"cache-control": stated}
    sets = RemoteKeySets(egress, clock)
    kids(sets)

    clock.advance(timedelta(seconds=kept - 1))
    kids(sets)
    assert egress.fetched == 1
    clock.advance(timedelta(seconds=2))
    kids(sets)
    assert egress.fetched == 2


def test_r_smart_082_an_unknown_kid_has_the_set_fetched_again_but_not_each_time(clock: FakeClock) -> None:
    egress = FakeEgress(FIRST)
    sets = RemoteKeySets(egress, clock)
    kids(sets)
    egress.body = set_of(FIRST, SECOND)

    assert kids(sets, SECOND) == [FIRST["kid"]]
    assert egress.fetched == 1, "who invents kids does not make us fetch"
    clock.advance(timedelta(seconds=31))

    assert kids(sets, SECOND) == [FIRST["kid"], SECOND["kid"]]
    assert egress.fetched == 2


def test_a_failure_gives_no_keys_and_is_tried_again_before_long(clock: FakeClock) -> None:
    egress = FakeEgress(FIRST)
    egress.fails = True
    sets = RemoteKeySets(egress, clock)

    assert kids(sets) == []
    egress.fails = False
    assert kids(sets) == []
    clock.advance(timedelta(seconds=6))
    assert kids(sets) == [FIRST["kid"]]


def test_a_key_that_was_taken_away_is_not_used_for_want_of_a_newer_set(clock: FakeClock) -> None:
    egress = FakeEgress(FIRST)
    sets = RemoteKeySets(egress, clock)
    kids(sets)
    egress.fails = True
    clock.advance(timedelta(hours=2))

    assert kids(sets) == []


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"keys":7}', b"\xff", json.encode({"keys": [FIRST]})])
def test_what_is_no_set_of_public_keys_gives_none(clock: FakeClock, body: bytes) -> None:
    egress = FakeEgress()
    egress.body = body

    assert kids(RemoteKeySets(egress, clock)) == []


def test_few_are_waited_for_at_once(clock: FakeClock) -> None:
    egress = FakeEgress(FIRST)
    sets = RemoteKeySets(egress, clock)
    inner: list[list[str]] = []

    def another() -> None:
        """Asked for while one is under way, and while two are."""
        if egress.fetched < 4:
            inner.append([key.kid for key in sets.keys(f"{URL}/{egress.fetched}", wanted=FIRST["kid"])])

    egress.during = another

    assert kids(sets) == [FIRST["kid"]]
    assert inner == [[], [FIRST["kid"]]]
    assert egress.fetched == 2


def test_what_is_known_is_bounded(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.outbound.jwks._MOST_KEPT", 2)
    egress = FakeEgress(FIRST)
    sets = RemoteKeySets(egress, clock)

    for number in range(5):
        sets.keys(f"{URL}/{number}", wanted=FIRST["kid"])

    assert len(sets._known) <= 2
