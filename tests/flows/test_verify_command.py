"""`fhir-server verify`: sound, with what that is worth; or broken, with what was found."""

import asyncio
from argparse import Namespace
from pathlib import Path

import pytest

from fhir_server import app
from fhir_server.audit.anchoring import Anchoring
from fhir_server.cli import verify
from fhir_server.outbound.file_witness import FileWitness
from fhir_server.outbound.http_witness import HttpWitness
from tests.clinics import InProcess, running
from tests.fakes.witness import URL, Witness
from tests.samples import patient

pytestmark = pytest.mark.anyio


async def verified(clinic: InProcess, *checkpoints: Path) -> int:
    arguments = Namespace(checkpoint=list(checkpoints))
    return await asyncio.to_thread(verify.run, clinic.clinic.settings, arguments)


async def test_s_94_verify_says_what_it_found(
    mongo_uri: str,
    database_name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    witness = tmp_path / "witness"
    async with running(mongo_uri, database_name, tmp_path, audit_witness=witness) as clinic:
        store = clinic.clinic.store
        await clinic.caller().store(patient("Verified", id="verified"))
        await store.sequencer.once()
        assert await verified(clinic) == 0
        said = capsys.readouterr().out
        assert "Sound: " in said
        assert "operator-attested" in said
        assert "looks like this too" in said

        await Anchoring(store.log, [FileWitness(witness)], store.sightings, clinic.clinic.surface.clock).publish()
        assert await verified(clinic, witness / "checkpoint") == 0
        assert "compared with: 2" in capsys.readouterr().out

        far = Witness()
        anchors = [HttpWitness(far, URL, far.key)]
        monkeypatch.setattr(app, "anchors", lambda *_: anchors)
        await Anchoring(store.log, anchors, store.sightings, clinic.clinic.surface.clock).publish()
        assert await verified(clinic) == 0
        said = capsys.readouterr().out
        assert "Who vouches for it: witnessed." in said
        assert "signed by witness.example/1" in said
        forged = {"said": Witness(seed=b"o" * 32).key}
        kept = await clinic.mongo[database_name]["anchors"].find_one_and_update({"_id": "witness"}, {"$set": forged})
        assert await verified(clinic) == 2
        assert "BROKEN. its signature is not there" in capsys.readouterr().out
        await clinic.mongo[database_name]["anchors"].replace_one({"_id": "witness"}, kept or {})

        await clinic.mongo[database_name]["resources"].delete_one({"_id": "Patient/verified"})
        assert await verified(clinic) == 2
        assert capsys.readouterr().out.startswith("BROKEN. Leaf ")
