"""A capture session hangs on what its beginner was granted, and ends no later."""

from datetime import timedelta

import pytest

from fhir_server.engine.call import Capture, Principal
from fhir_server.kernel.errors import ForbiddenError
from fhir_server.smart.capture import LIFETIME, CaptureSessions
from fhir_server.smart.grant import Grant
from tests.fakes.authorization import FakeGrants
from tests.unit.smart.test_token import NOW, TOKENS

pytestmark = pytest.mark.anyio
NURSE = Principal("nora", "app", "issuer", "jti", ("user/*.cruds",), fhir_user="Practitioner/n", grant="above")
CAPTURE = Capture("thumbprint", "phone", "Consent/1/_history/1")


def granted(until: timedelta) -> FakeGrants:
    grants = FakeGrants()
    above = Grant("above", "app", ("user/*.cruds",), "nora", (), NOW + until, session="sign-in", methods=("pwd", "otp"))
    grants.add(above, above.until)
    return grants


async def test_t37_it_lasts_a_quarter_of_an_hour_at_most_and_hangs_on_the_same_sign_in() -> None:
    for until, lasts in ((timedelta(hours=8), LIFETIME), (timedelta(minutes=2), timedelta(minutes=2))):
        grants = granted(until)

        session = await CaptureSessions(TOKENS, grants, lambda: "new").begin(NURSE, "ann", CAPTURE, NOW)

        assert session.expires == NOW + lasts
        found = grants.get("new")
        assert found is not None
        assert {"session/sign-in", "client/app", "subject/nora"} == set(found.grant.owners)
        principal, expires = TOKENS.verify(session.token, NOW)
        assert (principal.capture, principal.patient, expires) == (CAPTURE, "ann", session.expires)


async def test_without_a_grant_in_force_there_is_none() -> None:
    ended = granted(timedelta(hours=1))
    ended.end("above", "revoked")

    for grants in (FakeGrants(), ended):
        with pytest.raises(ForbiddenError):
            await CaptureSessions(TOKENS, grants, lambda: "new").begin(NURSE, "ann", CAPTURE, NOW)
