"""`fhir-server reversibility`: the keys that it makes and those that it takes."""

from pathlib import Path

import pytest

from fhir_server.cli.main import main
from fhir_server.crypto.recipient import Opener, Recipient


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert main(["reversibility", "new-key", str(tmp_path / "key.jwk")]) == 0
    return tmp_path / "key.jwk"


def test_a_new_key_is_private_to_its_owner_and_its_public_part_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "own.jwk"
    assert main(["reversibility", "new-key", str(key)]) == 0
    public = Recipient.of(capsys.readouterr().out)

    assert key.stat().st_mode & 0o777 == 0o600
    assert Opener(key.read_text()).thumbprint == public.thumbprint
    assert main(["reversibility", "new-key", str(key)]) == 1


@pytest.mark.parametrize("signer", ["", "{}", '{"kty": "OKP", "crv": "X25519", "x": "AAAA"}'])
def test_who_signed_it_is_told_by_the_operator(key: Path, signer: str, capsys: pytest.CaptureFixture[str]) -> None:
    (key.parent / "host.jwk").write_text(signer)
    given = ["reversibility", "import", "clinic.tar", "--key", str(key), "--signed-by", str(key.parent / "host.jwk")]

    assert main(given) == 1
    assert "--signed-by is a public key" in capsys.readouterr().err
