"""Rows S58, T75: whoever has the database learns nothing of who signs in, by what, and from where."""

import bson
import pytest

from fhir_server.smart.signin.administration import NewUser
from fhir_server.smart.signin.proofs import Place
from tests.attacks.signin.clinics import PASSWORD, Servers
from tests.browsing import Browser

pytestmark = pytest.mark.anyio

STRINGS = {"_id", "owner"}
"""The only fields of these collections that are text: ids, which tell nothing."""


async def test_nothing_of_a_person_stands_in_any_byte(at: Servers, browser: Browser) -> None:
    user = await at.person(name="Zmarkerzahl Beispiel")
    new, once = await at.door.administration.add(NewUser("zmarker.second", "Other", ("auditor",), None))
    browser.http.headers["user-agent"] = "Zmarkerbrowser/1.0"
    await at.sign_in(browser, user)
    codes = await at.door.enrolment.recovery_codes(user, Place("", "", None))
    await at.door.proofs.password("zmarker.nobody", "zmarkerguess", Place("198.51.100.123", "", None))
    await at.door.proofs.code(new.id, "000000", Place("", "", None))
    assert user.totp is not None
    assert user.password is not None
    cookies = [value for name, value in browser.http.cookies.items() if name != "__Host-language"]
    spelled = [*codes, *(code.replace("-", "") for code in codes)]
    secrets = [
        *(user.username, "Zmarker", "zmarker", "198.51.100.123", "192.0.2.7", PASSWORD, once),
        *(user.totp.secret, user.password.hash, "$argon2", *spelled, *cookies),
    ]

    await at.apps[0].state.clinic.store.events.index()
    looked = set()
    for name in ("users", "sign_ins", "devices", "attempts", "spent", "factor_resets", "audit", "audit_index"):
        async for document in at.mongo[at.database][name].find({}):
            looked.add(name)
            content = bson.encode(document)
            assert not [secret for secret in secrets if secret.encode() in content], name

    assert looked >= {"users", "sign_ins", "devices", "attempts", "audit", "audit_index"}


async def test_no_text_but_ids_stands_in_clear(at: Servers, browser: Browser) -> None:
    await at.sign_in(browser, await at.person())

    for name in ("users", "sign_ins", "devices", "attempts", "spent", "factor_resets"):
        async for document in at.mongo[at.database][name].find({}):
            texts = {field for field, value in document.items() if isinstance(value, str)}
            assert texts <= STRINGS, (name, texts)
            assert not [value for value in document.values() if isinstance(value, dict | list)]
