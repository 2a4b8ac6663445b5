"""What every RootKeyProvider promises. Each implementation passes the same tests: add a factory to PROVIDERS."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhir_server.crypto.errors import ProviderError
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.providers.places import keeper
from fhir_server.crypto.providers.port import MOST_WRAPPED, RootKeyProvider, Wrapped
from tests import hsm
from tests.fakes.key_store import FakeRootKeys
from tests.fakes.vault import transit

pytestmark = pytest.mark.anyio


async def file_provider(folder: Path) -> AsyncIterator[RootKeyProvider]:
    yield FileProvider.create(folder / "keys" / "root.json")


async def fake_provider(folder: Path) -> AsyncIterator[RootKeyProvider]:
    yield FakeRootKeys()


async def module_provider(folder: Path) -> AsyncIterator[RootKeyProvider]:
    """SoftHSM2: a real module, in software. One token for all, so each test has a label of its own."""
    provider = keeper(hsm.uri(secrets.token_hex(8)), folder, None)
    await provider.new_version()
    yield provider


async def vault_provider(folder: Path) -> AsyncIterator[RootKeyProvider]:
    """A stand-in, written after the API's documentation."""
    with transit() as engine:
        (folder / "token").write_text(engine.token)
        provider = keeper(f"{engine.url}clinic", folder, folder / "token")
        await provider.new_version()
        yield provider


async def kms_provider(folder: Path) -> AsyncIterator[RootKeyProvider]:
    """Moto, in this process. It opens what waits for its deletion, which KMS does not: that refusal is ours."""
    moto = pytest.importorskip("moto", reason="moto is not installed")
    with pytest.MonkeyPatch.context() as environment, moto.mock_aws():
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        provider = keeper("arn:aws:kms:eu-west-3:123456789012:alias/clinic", folder, None)
        await provider.new_version()
        yield provider


PROVIDERS = [
    pytest.param(file_provider, id="file"),
    pytest.param(fake_provider, id="memory"),
    pytest.param(module_provider, id="pkcs11"),
    pytest.param(vault_provider, id="vault"),
    pytest.param(kms_provider, id="aws"),
]


@pytest.fixture(params=PROVIDERS)
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RootKeyProvider]:
    async for made in request.param(tmp_path):
        yield made


async def test_what_was_wrapped_unwraps(provider: RootKeyProvider) -> None:
    for plain in (b"", b"k" * 32, b"k" * 64, b"k" * MOST_WRAPPED):
        assert await provider.unwrap(await provider.wrap(plain)) == plain


async def test_the_same_bytes_are_wrapped_differently_each_time_and_not_shown(provider: RootKeyProvider) -> None:
    first, second = await provider.wrap(b"secret" * 8), await provider.wrap(b"secret" * 8)

    assert first.blob != second.blob
    assert b"secret" not in first.blob
    assert "blob" not in repr(first)


async def test_altered_bytes_or_another_version_do_not_unwrap(provider: RootKeyProvider) -> None:
    await provider.new_version()
    wrapped = await provider.wrap(b"k" * 32)

    for blob in (wrapped.blob[:-1], wrapped.blob + b"\0", bytes([wrapped.blob[0] ^ 1]) + wrapped.blob[1:], b""):
        with pytest.raises(ProviderError):
            await provider.unwrap(Wrapped(wrapped.version, blob))
    for version in (0, 1, 3):
        with pytest.raises(ProviderError):
            await provider.unwrap(Wrapped(version, wrapped.blob))


async def test_a_new_version_wraps_and_the_old_one_still_unwraps(provider: RootKeyProvider) -> None:
    old = await provider.wrap(b"old")

    version = await provider.new_version()

    new = await provider.wrap(b"new")
    assert (old.version, new.version, version) == (1, 2, 2)
    assert [await provider.unwrap(old), await provider.unwrap(new)] == [b"old", b"new"]
    described = await provider.describe()
    assert (described.version, described.oldest) == (2, 1)
    assert described.note


async def test_a_destroyed_version_opens_nothing_any_more(provider: RootKeyProvider) -> None:
    first = await provider.wrap(b"first")
    await provider.new_version()
    second = await provider.wrap(b"second")
    await provider.new_version()
    third = await provider.wrap(b"third")

    note = await provider.destroy_up_to(2)

    assert note.destroyed_up_to == 2
    assert note.note
    for gone in (first, second):
        with pytest.raises(ProviderError):
            await provider.unwrap(gone)
    assert await provider.unwrap(third) == b"third"
    assert (await provider.describe()).oldest == 3


async def test_destroying_again_is_no_fault_and_brings_nothing_back(provider: RootKeyProvider) -> None:
    await provider.new_version()
    await provider.new_version()
    await provider.destroy_up_to(2)

    await provider.destroy_up_to(2)
    await provider.destroy_up_to(1)

    assert (await provider.describe()).oldest == 3


async def test_the_newest_version_is_never_destroyed(provider: RootKeyProvider) -> None:
    wrapped = await provider.wrap(b"k")

    for version in (1, 2):
        with pytest.raises(ProviderError):
            await provider.destroy_up_to(version)

    assert await provider.unwrap(wrapped) == b"k"
