"""Random bytes in pieces: all of them the system's, none of them twice."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from fhir_server.crypto.randomness import RandomBytes


def test_it_gives_as_many_bytes_as_are_asked_for() -> None:
    new_bytes = RandomBytes()

    assert [len(new_bytes(count)) for count in (0, 1, 12, 4095, 4096, 4097, 10_000)] == [
        0,
        1,
        12,
        4095,
        4096,
        4097,
        10_000,
    ]


def test_what_it_gives_is_what_the_system_gave_in_order_and_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    given = bytearray()

    def urandom(count: int) -> bytes:
        piece = os.getrandom(count)
        given.extend(piece)
        return piece

    monkeypatch.setattr(os, "urandom", urandom)
    new_bytes = RandomBytes()

    taken = b"".join(new_bytes(16) for _ in range(512))

    assert taken == bytes(given)


def test_threads_never_get_the_same_bytes() -> None:
    new_bytes = RandomBytes()

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(new_bytes, [12] * 20_000))

    assert len(set(taken)) == len(taken)
