"""Whether somebody has a user here is nobody's business: neither words, nor status, nor time tell it."""

import statistics
from dataclasses import replace
from datetime import timedelta
from time import process_time

import pytest

from fhir_server.smart.signin.proofs import Place
from fhir_server.smart.signin.users import State
from tests.attacks.signin.clinics import FULL, PASSWORD, Servers

pytestmark = pytest.mark.anyio

KINDS = ("known", "unknown", "disabled", "left", "passwordless", "expired", "nonsense", "endless")


async def name_of(at: Servers, kind: str) -> str:
    if kind in {"unknown", "nonsense", "endless"}:
        return {"unknown": f"nobody.{id(at)}", "nonsense": "<&>' OR 1=1", "endless": "x" * 5_000}[kind]
    user = await at.person(effort=FULL)
    assert user.password is not None
    changes = {
        "disabled": {"state": State.DISABLED},
        "left": {"state": State.LEFT},
        "passwordless": {"password": None},
        "expired": {"password": replace(user.password, once_until=at.clock.now())},
    }
    await at.door.users.replace(replace(user, **changes.get(kind, {})))  # type: ignore[arg-type]  # by field
    return user.username


async def test_every_refusal_has_the_same_words(at: Servers) -> None:
    seen = set()
    for number, kind in enumerate(KINDS):
        name = await name_of(at, kind)
        password = "wrong" if kind == "known" else PASSWORD
        async with at.browser(number % 2, f"198.51.100.{number}") as browser:
            page = await browser.get("/auth/sign-in")
            page = await browser.submit(page, "/sign-in", username=name, password=password)
        text = page.text.replace(name, "")
        seen.add((page.status, text, frozenset(page.headers) - {"content-length"}, "begun" in browser.http.cookies))

    assert len(seen) == 1, seen


async def test_a_password_is_hashed_once_whoever_it_is(at: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    passwords = at.door.proofs.passwords
    real = passwords._same

    def counting(hash: str, password: str) -> bool:
        hashed.append(hash.split("$")[3])
        return real(hash, password)

    monkeypatch.setattr(passwords, "_same", counting)
    for number, kind in enumerate(KINDS):
        await at.door.proofs.password(await name_of(at, kind), "wrong", Place(f"203.0.113.{number}", "", "d" * 43))

    assert hashed == ["m=19456,t=2,p=4"] * len(KINDS)


async def test_it_takes_as_long(at: Servers) -> None:
    """By processor time the medians of twenty are within a factor of two; without a dummy hash it would be ten."""
    known, unknown = await name_of(at, "known"), "nobody.at.all"
    spent: dict[str, list[float]] = {known: [], unknown: []}
    for number in range(20):
        for name, times in spent.items():
            began = process_time()
            await at.door.proofs.password(name, "wrong", Place(f"2001:db8:{number}:{len(name)}::1", "", None))
            times.append(process_time() - began)
            at.clock.advance(timedelta(seconds=30))

    ratio = statistics.median(spent[known]) / statistics.median(spent[unknown])
    assert 0.5 < ratio < 2


async def test_unknown_names_are_slowed_down_alike(at: Servers) -> None:
    waits = {}
    for number, kind in enumerate(("known", "unknown", "disabled")):
        name, place = await name_of(at, kind), Place(f"192.0.2.{100 + number}", "", None)
        waits[kind] = [type(await at.door.proofs.password(name, "wrong", place)).__name__ for _ in range(8)]

    assert waits["known"] == waits["unknown"] == waits["disabled"]
    assert waits["known"][-1] == "TooSoon"


async def test_passkeys_are_asked_for_without_saying_whose(at: Servers) -> None:
    async with at.browser() as browser:
        page = await browser.get("/auth/sign-in")

    assert '"allowCredentials": []' in (page.form("/sign-in", passkey=True).options or "")


async def test_a_hint_tells_nothing_about_its_user(at: Servers) -> None:
    known, texts = await name_of(at, "known"), set()
    for name in (known, "nobody.at.all"):
        at.authorizations.ask("hint", login_hint=name)
        async with at.browser() as browser:
            texts.add((await browser.get("/auth/sign-in?request=hint")).text.replace(name, ""))

    assert len(texts) == 1
