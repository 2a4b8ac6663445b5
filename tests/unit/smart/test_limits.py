"""Allowances: what is used comes back with time, and nobody uses another's."""

from datetime import timedelta

import pytest

from fhir_server.smart.oauth import limits
from fhir_server.smart.oauth.answer import TooManyRequestsError
from fhir_server.smart.oauth.limits import Limits
from tests.fakes.clock import NOW

SECOND = timedelta(seconds=1)


def used(count: int, of: Limits, client: str = "a") -> int:
    """How many of so many tokens are refused."""
    refused = 0
    for _ in range(count):
        try:
            of.token(client, NOW)
        except TooManyRequestsError:
            refused += 1
    return refused


def test_a_client_has_twice_its_rate_at_once_and_its_rate_for_good() -> None:
    allowance = Limits(10)

    assert used(25, allowance) == 5
    assert used(1, allowance, "b") == 0, "another client has its own"
    for second in range(1, 4):
        for _ in range(10):
            allowance.token("a", NOW + second * SECOND)
        with pytest.raises(TooManyRequestsError):
            allowance.token("a", NOW + second * SECOND)


def test_failures_are_counted_by_client_and_address_and_forgiven() -> None:
    allowance = Limits(10)
    for _ in range(400):
        allowance.failed("a", "10.0.0.1", NOW)

    with pytest.raises(TooManyRequestsError):
        allowance.may_fail("a", "10.0.0.1", NOW)
    allowance.may_fail("a", "10.0.0.2", NOW)
    allowance.may_fail("b", "10.0.0.1", NOW)
    allowance.may_fail("a", "10.0.0.1", NOW + SECOND)


def test_an_address_has_its_own_allowance_of_authorizations() -> None:
    allowance = Limits(10)
    for _ in range(600):
        allowance.authorization("10.0.0.1", NOW)

    with pytest.raises(TooManyRequestsError):
        allowance.authorization("10.0.0.1", NOW)
    allowance.authorization("10.0.0.2", NOW)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    allowance = Limits(1)
    used(2, allowance)

    with pytest.raises(TooManyRequestsError):
        allowance.token("a", NOW - timedelta(days=1))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_KEPT", 10)
    allowance = Limits(10)

    for number in range(50):
        allowance.token(f"client {number}", NOW)

    assert len(allowance._left) == 10
