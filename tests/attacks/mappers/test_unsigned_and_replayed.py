"""Webhooks that are unsigned, wrongly signed, signed with nothing, altered, or come again too late."""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.kernel import json
from mappers.booking.calcom import signature as calcom
from mappers.booking.calendly import signature as calendly
from mappers.booking.nextmotion import webhooks as nextmotion
from mappers.mapping.faults import RefusedError, UnusableError
from mappers.mapping.signatures import refuse_without_word

NOW = datetime(2026, 3, 1, 10, 0, 5, tzinfo=UTC)
SECRET = "a secret of forty-eight characters, as they make"
BODY = json.encode({"triggerEvent": "BOOKING_CREATED", "createdAt": "2026-03-01T10:00:00.000Z", "payload": {}})


def digest(signed: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), signed, "sha256").hexdigest()


def calcom_headers(body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    return {calcom.HEADER: digest(body, secret)}


def calendly_headers(body: bytes = BODY, secret: str = SECRET, at: datetime = NOW) -> dict[str, str]:
    stamp = int(at.timestamp())
    return {calendly.HEADER: f"t={stamp},v1={digest(f'{stamp}.'.encode() + body, secret)}"}


SIGNED: list[tuple[Callable[..., None], Callable[..., dict[str, str]]]] = [
    (calcom.verify, calcom_headers),
    (calendly.verify, calendly_headers),
]
both = pytest.mark.parametrize(("verify", "headers"), SIGNED, ids=["calcom", "calendly"])


@both
def test_what_is_signed_is_taken(verify: Callable[..., None], headers: Callable[..., Mapping[str, str]]) -> None:
    verify(headers(), BODY, SECRET, NOW)


@both
def test_another_key_is_refused(verify: Callable[..., None], headers: Callable[..., Mapping[str, str]]) -> None:
    with pytest.raises(RefusedError):
        verify(headers(secret="another secret of enough characters"), BODY, SECRET, NOW)


@both
def test_one_changed_byte_is_refused(verify: Callable[..., None], headers: Callable[..., Mapping[str, str]]) -> None:
    with pytest.raises(RefusedError):
        verify(headers(), BODY.replace(b"CREATED", b"CREATEE"), SECRET, NOW)


@both
def test_no_signature_is_refused(verify: Callable[..., None], headers: Callable[..., Mapping[str, str]]) -> None:
    with pytest.raises(RefusedError):
        verify({}, BODY, SECRET, NOW)


@both
@pytest.mark.parametrize("secret", ["", "short"])
def test_a_missing_secret_is_never_the_key(
    verify: Callable[..., None], headers: Callable[..., Mapping[str, str]], secret: str
) -> None:
    with pytest.raises(RefusedError):
        verify(headers(secret=secret), BODY, secret, NOW)


@both
@pytest.mark.parametrize("late", [timedelta(days=3), timedelta(days=-3)])
def test_an_old_message_come_again_is_refused(
    verify: Callable[..., None], headers: Callable[..., Mapping[str, str]], late: timedelta
) -> None:
    with pytest.raises(RefusedError, match="older than the replay window"):
        verify(headers(), BODY, SECRET, NOW + late)


def test_calendly_refuses_after_three_minutes() -> None:
    calendly.verify(calendly_headers(), BODY, SECRET, NOW + timedelta(minutes=2, seconds=59))

    with pytest.raises(RefusedError):
        calendly.verify(calendly_headers(), BODY, SECRET, NOW + timedelta(minutes=3, seconds=1))


def test_the_words_that_calcom_sends_without_a_secret_are_no_signature() -> None:
    with pytest.raises(RefusedError):
        calcom.verify({calcom.HEADER: "no-secret-provided"}, BODY, SECRET, NOW)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"createdAt":"yesterday"}', b'{"createdAt":"2026-03-01T10:00:00"}', b"[]", b""]
)
def test_a_signed_message_without_its_time_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError):
        calcom.verify(calcom_headers(body), body, SECRET, NOW)


@pytest.mark.parametrize(
    "header",
    ["", "t=,v1=", "t=1e9,v1=x", "t=99999999999999999999,v1=0", "v1=00", "t=1", ",,,==", "t=-1,v1=0", "t=²,v1=0"],
)
def test_a_crooked_calendly_header_is_refused(header: str) -> None:
    with pytest.raises(RefusedError):
        calendly.verify({calendly.HEADER: header}, BODY, SECRET, NOW)


@pytest.mark.parametrize("headers", [{}, {"x-webhook-secret": "wrong"}, {"x-webhook-secret": ""}])
def test_a_hint_without_its_secret_is_not_looked_at(headers: Mapping[str, str]) -> None:
    refuse_without_word({"x-webhook-secret": SECRET}, b"", SECRET, NOW)

    with pytest.raises(RefusedError):
        refuse_without_word(headers, b"", SECRET, NOW)


@pytest.mark.parametrize("id", ["../clinics/1", "a/b", "x?y", "a%2fb", "ü", "-" * 3 + "\n"])
def test_an_id_in_a_hint_leads_to_no_other_address(id: str) -> None:
    assert nextmotion.appointment_url(b'{"data":{"id":"ab-1"}}', "data.id").endswith("/calendar_appointments/ab-1")

    with pytest.raises(UnusableError):
        nextmotion.appointment_url(json.encode({"data": {"id": id}}), "data.id")
