"""A module that is away, refuses, or holds what we did not make. On SoftHSM2."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest

from fhir_server.crypto.errors import NoRootKeyError, ProviderError
from fhir_server.crypto.providers.places import keeper
from fhir_server.crypto.providers.port import MOST_WRAPPED, RootKeyProvider, Wrapped
from tests import hsm

pytestmark = pytest.mark.anyio


@pytest.fixture
def label() -> str:
    return secrets.token_hex(8)


@pytest.fixture
async def provider(label: str) -> RootKeyProvider:
    found = keeper(hsm.uri(label), Path(), None)
    await found.new_version()
    return found


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=clinic;object=root?module-path=/x&pin-value=4711",
        "pkcs11:token=clinic;object=root?module-path=/x&pin-source=4711",
        "pkcs11:token=clinic?module-path=/x&pin-source=file:/pin",
        "pkcs11:token=;object=root?module-path=/x&pin-source=file:/pin",
        "pkcs11:",
    ],
)
def test_a_name_that_is_no_key_in_a_module_is_refused_and_no_pin_is_repeated(uri: str) -> None:
    hsm.uri("any")
    with pytest.raises(ProviderError, match="A key in a module is named as") as refused:
        keeper(uri, Path(), None)
    assert "4711" not in str(refused.value)


async def test_the_key_cannot_be_taken_out_of_the_module(provider: RootKeyProvider, label: str) -> None:
    import pkcs11

    token = pkcs11.lib(str(hsm.MODULE)).get_token(token_label=hsm.TOKEN)
    [key] = token.open().get_objects({pkcs11.Attribute.LABEL: label})
    assert (key[pkcs11.Attribute.NEVER_EXTRACTABLE], key[pkcs11.Attribute.ALWAYS_SENSITIVE]) == (True, True)
    with pytest.raises(pkcs11.exceptions.AttributeSensitive):
        key[pkcs11.Attribute.VALUE]


async def test_two_versions_made_at_once_each_open_their_own(
    label: str, provider: RootKeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two processes look, both see version 1, and both make version 2."""
    from fhir_server.crypto.providers.pkcs11 import ModuleKey, Pkcs11Provider

    other = Pkcs11Provider(ModuleKey.at(hsm.uri(label)))
    found = other._found
    with monkeypatch.context() as patch:
        patch.setattr(other, "_found", lambda session: [key for key in found(session) if key[0][3] == 1])
        assert await provider.new_version() == 2
        first = await provider.wrap(b"first")
        assert await other.new_version() == 2
    second = await other.wrap(b"second")

    assert (first.version, second.version) == (2, 2)
    assert [await provider.unwrap(first), await provider.unwrap(second)] == [b"first", b"second"]
    await provider.new_version()
    await provider.destroy_up_to(2)
    for gone in (first, second):
        with pytest.raises(ProviderError):
            await provider.unwrap(gone)


async def test_a_label_that_nobody_made_a_key_under_is_told_apart(label: str) -> None:
    nowhere = keeper(hsm.uri(label), Path(), None)
    for call in (nowhere.wrap(b"k"), nowhere.describe()):
        with pytest.raises(NoRootKeyError):
            await call


async def test_a_key_that_this_server_did_not_make_is_not_used(label: str) -> None:
    import pkcs11

    uri = hsm.uri(label)
    await keeper(hsm.uri("opens-the-session"), Path(), None).new_version()
    token = pkcs11.lib(str(hsm.MODULE)).get_token(token_label=hsm.TOKEN)
    token.open(rw=True).generate_key(pkcs11.KeyType.AES, 256, id=b"1", label=label, store=True)

    with pytest.raises(ProviderError, match="did not make"):
        await keeper(uri, Path(), None).describe()


async def test_a_fault_of_the_module_ends_the_session_and_the_next_call_begins_another(
    provider: RootKeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pkcs11

    found: Any = provider
    wrapped = await provider.wrap(b"k")
    with monkeypatch.context() as patch:

        def gone(session: Any) -> Any:
            session.close()
            raise pkcs11.exceptions.DeviceRemoved

        patch.setattr(found, "_found", gone)
        with pytest.raises(ProviderError, match="DeviceRemoved"):
            await provider.describe()

    assert await provider.unwrap(wrapped) == b"k"


async def test_a_second_session_of_a_process_that_is_logged_in_works(
    provider: RootKeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.crypto.providers import pkcs11 as module

    wrapped = await provider.wrap(b"k")
    monkeypatch.setattr(module, "_TOKENS", {})
    again = keeper(hsm.uri(found_label(provider)), Path(), None)

    assert await again.unwrap(wrapped) == b"k"


def found_label(provider: Any) -> str:
    label: str = provider._key.label
    return label


async def test_a_refused_pin_is_tried_once(label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pkcs11

    from fhir_server.crypto.providers import pkcs11 as module

    (tmp_path / "pin").write_text("1111")
    uri = hsm.uri(label, pin=tmp_path / "pin")
    tried = []

    def refuse(**_: object) -> object:
        tried.append(1)
        raise pkcs11.exceptions.PinIncorrect

    class Token:
        open = staticmethod(refuse)

    class Library:
        def get_token(self, token_label: str) -> type[Token]:
            return Token

    monkeypatch.setattr(module, "_TOKENS", {})
    monkeypatch.setattr(pkcs11, "lib", lambda *_: Library())
    for _ in range(3):
        with pytest.raises(ProviderError, match="refused the PIN"):
            await keeper(uri, Path(), None).describe()
    assert tried == [1]


async def test_a_missing_pin_and_a_missing_module_are_said(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.crypto.providers import pkcs11 as module

    monkeypatch.setattr(module, "_TOKENS", {})
    with pytest.raises(ProviderError, match="PIN cannot be read"):
        await keeper(hsm.uri(label, pin=tmp_path / "none"), Path(), None).describe()
    with pytest.raises(ProviderError, match="cannot do this"):
        await keeper(hsm.uri(label).replace("libsofthsm2", "nothing"), Path(), None).describe()


async def test_a_module_that_does_not_answer_is_not_waited_for(
    provider: RootKeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fhir_server.crypto.providers import pkcs11 as module

    found: Any = provider
    with found._token.lock:
        monkeypatch.setattr(module, "SECONDS", 0)
        with pytest.raises(ProviderError, match="does not answer"):
            await provider.describe()
        with pytest.raises(ProviderError, match="does not answer"):
            await asyncio.to_thread(found._locked, str)


async def test_too_much_is_refused_before_it_reaches_the_module(provider: RootKeyProvider) -> None:
    with pytest.raises(ProviderError, match="too long"):
        await provider.wrap(b"k" * (MOST_WRAPPED + 1))
    with pytest.raises(ProviderError):
        await provider.unwrap(Wrapped(1, b"k" * 12))
