"""What settings choose: who keeps the root key, who vouches for the log, how long records are kept."""

from pathlib import Path

import pytest

from fhir_server.chosen import anchors, opened_root_key, retention, root_key
from fhir_server.crypto.errors import ProviderError, SignatureError
from fhir_server.crypto.providers.vault import VaultProvider
from fhir_server.settings import Settings
from fhir_server.variables import SettingsError
from tests.fakes.clock import FakeClock


def test_nobody_vouches_unless_somebody_is_named(tmp_path: Path) -> None:
    assert anchors(Settings(), FakeClock()) == []

    named = Settings(
        audit_witness=tmp_path, audit_witness_url="https://witness.example/clinics", audit_witness_key="name+1+AAAA"
    )
    assert [one.name for one in anchors(named, FakeClock())] == ["file", "witness"]


def test_an_authority_without_its_roots_is_refused(tmp_path: Path) -> None:
    named = Settings(audit_timestamp_url="https://stamps.example/tsr", audit_timestamp_roots=tmp_path / "none.pem")

    with pytest.raises(SignatureError):
        anchors(named, FakeClock())


@pytest.mark.parametrize(
    "half",
    [
        {"audit_witness_url": "https://witness.example"},
        {"audit_witness_key": "name+1+AAAA"},
        {"audit_timestamp_url": "https://stamps.example"},
        {"audit_timestamp_roots": Path("roots.pem")},
    ],
)
def test_one_half_of_an_anchor_is_refused(half: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="must be set together"):
        Settings(**half)  # type: ignore[arg-type]  # one of them, as declared


def test_the_root_key_is_a_file_unless_a_keeper_is_named(tmp_path: Path) -> None:
    assert isinstance(root_key(Settings(root_key="https://vault.example/v1/transit/keys/clinic")), VaultProvider)
    with pytest.raises(ProviderError):
        root_key(Settings(root_key="https://vault.example/secret"))
    with pytest.raises(ProviderError):
        root_key(Settings(data_dir=tmp_path))


@pytest.mark.anyio
async def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    assert (await (await opened_root_key(Settings(data_dir=tmp_path))).describe()).version == 1


def test_m_16_another_pack_changes_what_is_decided() -> None:
    assert retention(Settings(jurisdiction="fr")).name == "fr"
    assert retention(Settings(jurisdiction="eu", retention="be")).name == "be"
