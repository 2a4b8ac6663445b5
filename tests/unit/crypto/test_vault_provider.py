"""What Vault, or somebody in its place, may answer that is no good."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.crypto.errors import NoRootKeyError, ProviderError
from fhir_server.crypto.providers import vault
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.providers.places import keeper
from fhir_server.crypto.providers.port import MOST_WRAPPED, Wrapped
from fhir_server.crypto.providers.vault import TransitKey, VaultProvider
from tests.fakes.vault import Transit, transit

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def engine() -> Iterator[Transit]:
    with transit() as found:
        yield found


@pytest.fixture
async def provider(engine: Transit) -> VaultProvider:
    engine.answer = None
    engine.keys.clear()
    found = VaultProvider(TransitKey.at(f"{engine.url}clinic"), lambda: engine.token)
    await found.new_version()
    return found


@pytest.mark.parametrize(
    "url",
    [
        "http://vault.example:8200/v1/transit/keys/clinic",
        "https://user:secret@vault.example/v1/transit/keys/clinic",
        "https://vault.example/v1/transit/keys/clinic?list=true",
        "https://vault.example/v1/transit/encrypt/clinic",
        "https://vault.example/v1/transit/keys/../clinic",
        "https:///v1/transit/keys/clinic",
        "https://[vault/v1/transit/keys/clinic",
    ],
)
def test_a_name_that_is_no_transit_key_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ProviderError, match="A transit key is named as") as refused:
        TransitKey.at(url)
    assert url not in str(refused.value)


def test_a_namespace_is_a_part_of_the_path() -> None:
    found = TransitKey.at("https://vault.example/v1/clinics/paris/transit/keys/root-1")
    assert (found.mount, found.name) == ("https://vault.example/v1/clinics/paris/transit/", "root-1")


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (403, b"{}", "refuses the token"),
        (503, b'{"sealed":true}', "sealed, standing by or faulty"),
        (307, b"", "HTTP 307"),
        (200, b"<html>", "not what it should be"),
        (200, b"[1]", "not what it should be"),
        (200, b'{"data":[1]}', "not what it should be"),
        (200, b'{"data":{"latest_version":"1"}}', "in another way"),
        (200, b"", "in another way"),
        (200, b" " * (vault.MOST_BYTES + 1), "too large"),
        (404, b"{}", "no such key"),
    ],
)
async def test_an_answer_that_is_no_good_is_a_fault_of_the_keeper(
    provider: VaultProvider, engine: Transit, status: int, body: bytes, words: str
) -> None:
    engine.answer = (status, body)

    with pytest.raises(ProviderError, match=words):
        await provider.describe()


@pytest.mark.parametrize("body", [b"{}", b'{"data":{"ciphertext":"vault:v1:"}}', b'{"data":{"ciphertext":"plain"}}'])
async def test_what_is_no_ciphertext_is_not_kept(provider: VaultProvider, engine: Transit, body: bytes) -> None:
    engine.answer = (200, body)

    with pytest.raises(ProviderError, match="something else"):
        await provider.wrap(b"k")


async def test_what_is_no_plaintext_is_not_taken(provider: VaultProvider, engine: Transit) -> None:
    engine.answer = (200, b'{"data":{"plaintext":"?"}}')

    with pytest.raises(ProviderError, match="base64"):
        await provider.unwrap(Wrapped(1, b"k"))


@pytest.mark.parametrize("flag", ["exportable", "allow_plaintext_backup", "derived"])
async def test_a_key_that_could_be_taken_out_is_not_used(provider: VaultProvider, engine: Transit, flag: str) -> None:
    engine.keys["clinic"].extra[flag] = True

    with pytest.raises(ProviderError, match="exported, or is derived"):
        await provider.describe()


async def test_what_one_key_wrapped_no_other_opens(provider: VaultProvider, engine: Transit) -> None:
    other = VaultProvider(TransitKey.at(f"{engine.url}other"), lambda: engine.token)
    await other.new_version()
    engine.keys["other"].versions = dict(engine.keys["clinic"].versions)

    with pytest.raises(ProviderError):
        await other.unwrap(await provider.wrap(b"k"))


async def test_a_key_that_is_not_there_is_not_made_by_wrapping(engine: Transit) -> None:
    engine.answer = None
    nowhere = VaultProvider(TransitKey.at(f"{engine.url}nowhere"), lambda: engine.token)

    for call in (nowhere.wrap(b"k"), nowhere.describe(), nowhere.destroy_up_to(1)):
        with pytest.raises(NoRootKeyError):
            await call
    assert "nowhere" not in engine.keys


async def test_too_much_is_refused_before_it_leaves(provider: VaultProvider) -> None:
    with pytest.raises(ProviderError, match="too long"):
        await provider.wrap(b"k" * (MOST_WRAPPED + 1))


async def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody listens on port 1; and no time at all is as good as a deadline that has passed."""
    silent = keeper("http://127.0.0.1:1/v1/transit/keys/clinic", tmp_path, None)
    with pytest.raises(ProviderError, match="cannot be reached"):
        await silent.describe()
    monkeypatch.setattr(vault, "SECONDS", 0)
    with pytest.raises(ProviderError, match="too slow"):
        await silent.describe()


async def test_no_name_is_the_file(tmp_path: Path) -> None:
    FileProvider.create(tmp_path / "root.json")
    assert (await keeper("", tmp_path / "root.json", None).describe()).provider == "file"


async def test_the_token_is_read_anew_for_each_call(engine: Transit, tmp_path: Path) -> None:
    engine.answer = None
    token = tmp_path / "token"
    found = keeper(f"{engine.url}renewed", tmp_path, token)
    with pytest.raises(ProviderError, match="file with the token"):
        await found.new_version()
    token.write_text("expired\n")
    with pytest.raises(ProviderError, match="refuses the token"):
        await found.new_version()
    token.write_text(f"{engine.token}\n")

    assert await found.new_version() == 1
