"""A clinic whose root key is kept by Vault: the same clinic; without its key it does not start, and makes none."""

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhir_server.chosen import root_key
from fhir_server.cli import keys
from fhir_server.crypto.errors import NoRootKeyError
from fhir_server.settings import Settings
from tests.clinics import running
from tests.fakes.vault import Transit, transit
from tests.samples import patient

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def engine() -> Iterator[Transit]:
    with transit() as found:
        yield found


async def test_a_clinic_keeps_its_root_key_in_vault(
    mongo_uri: str, database_name: str, tmp_path: Path, engine: Transit, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(engine.token)
    given = {"root_key": f"{engine.url}clinic", "root_key_token_file": tmp_path / "token"}
    settings = Settings(data_dir=tmp_path, mongo_uri=mongo_uri, database=database_name, **given)  # type: ignore[arg-type]  # as declared
    with pytest.raises(NoRootKeyError):
        async with running(mongo_uri, database_name, tmp_path, **given):
            pass
    assert engine.keys == {}

    for words in ("The root key was made: version 1.", "There is a root key (vault, version 1); nothing was done."):
        await asyncio.to_thread(keys.run, settings, Namespace(action="create-root"))
        assert words in capsys.readouterr().out

    async with running(mongo_uri, database_name, tmp_path, **given) as clinic:
        person = await clinic.caller().store(patient("Vaultsen"))
        await root_key(settings).new_version()
        await clinic.clinic.keyring.rekeying.finish_root()
        await clinic.clinic.keyring.rekeying.retire_root(1)
        clinic.clinic.keyring.forget_all()
        assert (await clinic.caller().get(f"/fhir/Patient/{person['id']}")).status_code == 200
        assert list(engine.keys["clinic"].versions) == [2]
        engine.answer = (503, b'{"sealed":true}')
        clinic.clinic.keyring.forget_all()
        refused = await clinic.caller().ask("POST", "/fhir/Patient", patient("Sealedsen", id="sealed"))
        unread = await clinic.caller().get(f"/fhir/Patient/{person['id']}")
        engine.answer = None
        assert (refused.status_code, unread.status_code) == (503, 503)
        assert (await clinic.caller().get(f"/fhir/Patient/{person['id']}")).status_code == 200
    assert not (tmp_path / "keys").exists(), "no file holds a root key"
