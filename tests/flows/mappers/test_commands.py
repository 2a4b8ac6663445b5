"""`python -m mappers`, command by command, on the clinic's settings and the real server."""

import asyncio
import socket
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from pydicom import dcmread
from pydicom.encaps import generate_frames

from fhir_server.kernel import json
from mappers.dicom import reading as dicom
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message, Tables
from mappers.runtime import commands
from mappers.runtime.faults import RejectedError, SetupError
from mappers.runtime.serving import serve, web_server
from mappers.runtime.wiring import Runtime
from tests.clinics import InProcess
from tests.flows.mappers.test_runtime import PATHS, Vendors, runtime, vendors
from tests.mappers.exports import export
from tests.mappers.golden import RECEIVED, named
from tests.samples import consent, jpeg, media

pytestmark = pytest.mark.anyio

__all__ = ["runtime", "vendors"]


async def said(runtime: Runtime, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    given = commands._parser().parse_args(["--config", "settings.json", *words])
    await given.run(runtime, given)
    return capsys.readouterr().out.splitlines()


async def test_the_settings_are_checked_against_the_server(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await said(runtime, capsys, "check") == ["The settings are good, and the server answers."]


async def test_files_are_delivered_reported_and_tried_again(
    runtime: Runtime, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good, bad = tmp_path / "a.ics", tmp_path / "b.ics"
    good.write_bytes(named("icalendar/request").message.raw.replace(b"visit-1@", b"by-command@"))
    bad.write_bytes(b"no calendar, by command")

    assert await said(runtime, capsys, "deliver", "icalendar", str(good), str(bad)) == ["1: written", "2: dead letter"]
    [line] = [line for line in await said(runtime, capsys, "report", "icalendar") if "cannot be read" in line]
    assert line.split()[1:3] == ["icalendar:", "dead-letter:"]
    assert "dead letter" in (await said(runtime, capsys, "replay", "icalendar"))[0]
    assert (await said(runtime, capsys, "expire", "--days", "0"))[0].endswith("raw messages ended")


async def test_a_source_is_asked_once(runtime: Runtime, vendors: Vendors, capsys: pytest.CaptureFixture[str]) -> None:
    vendors.pages["patients?"] = {"patients": [json.decode(named("cliniko/patient").message.raw)], "links": {}}

    lines = await said(runtime, capsys, "poll", "cliniko")

    assert lines[0] == "individual_appointments: 0 new"
    assert lines[-1] == "patients: 1 new"


async def test_a_link_is_made_listed_and_taken_back(
    runtime: Runtime, clinic: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    room = await clinic.caller().store({"resourceType": "Location"})

    [made] = await said(runtime, capsys, "feed", "add", f"Location/{room['id']}")
    id, _, path = made.partition(": ")
    listed = await said(runtime, capsys, "feed", "list")
    await said(runtime, capsys, "feed", "revoke", id)

    assert path.startswith("/feeds/")
    assert f"{id}: Location/{room['id']}, since 2026-03-01" in listed
    assert path.removesuffix(".ics").rpartition("/")[2] not in "".join(listed)
    assert not any(line.startswith(id) for line in await said(runtime, capsys, "feed", "list"))


@pytest.mark.parametrize("words", [("poll", "calcom"), ("deliver", "nobody", "x"), ("import", "calcom", "x")])
async def test_what_a_source_does_not_do_is_said(
    runtime: Runtime, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SetupError):
        await said(runtime, capsys, *words)


async def test_an_export_is_tried_dry_and_then_taken(
    runtime: Runtime, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(export(tmp_path / "export.zip", "cmd-"))

    dry = await said(runtime, capsys, "import", "old-system", path, "--dry-run")
    taken = await said(runtime, capsys, "import", "old-system", path)

    assert "       1 patients.csv: would be taken" in dry
    assert "       1 lost: rendez-vous.csv: Prix" in dry
    assert "       1 patients.csv: written" in taken
    assert "       1 photos.csv: written" in taken


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("It never came.")


async def test_everything_is_served_in_one_process(
    runtime: Runtime, vendors: Vendors, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = web_server(runtime, "127.0.0.1", port)
    serving = asyncio.create_task(serve(runtime, web))
    async with AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        await until(lambda: web.started)

        answers = [await http.get("/health"), await http.post(f"/hooks/{PATHS['calendly']}", content=b"{}")]
        await until(lambda: len(vendors.asked) > 1)
        web.should_exit = True
        await serving

    assert [answer.status_code for answer in answers] == [200, 401]


async def test_m22_a_photograph_goes_out_as_dicom_with_its_stored_bytes(
    runtime: Runtime, clinic: InProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What the server keeps is enclosed byte for byte, and comes back in as the same bytes."""
    office = clinic.caller()
    patient = await office.store({"resourceType": "Patient", "name": [{"family": "Ito"}], "birthDate": "1990-07-14"})
    await office.store(consent(patient["id"]))
    photo = await office.store(media(patient["id"], jpeg(2_001)))
    stored = (await office.get(f"/fhir/{photo['content']['url']}")).content
    folder = tmp_path / "out"

    [line] = await said(runtime, capsys, "photograph", str(folder), f"Media/{photo['id']}")

    file = folder / f"{photo['id']}.dcm"
    [enclosed] = generate_frames(dcmread(file).PixelData, number_of_frames=1)
    back = dicom.read(Message(file.read_bytes(), RECEIVED), Tables()).bundle["entry"]
    [again] = [one["resource"] for one in back if one["resource"]["resourceType"] == "Media"]
    assert line == f"Media/{photo['id']}: {file.name}"
    assert enclosed.removesuffix(b"\x00") == stored
    assert b64decode(again["content"]["data"]) == stored
    assert file.stat().st_mode & 0o077 == 0


async def test_a_photograph_without_a_basis_does_not_go_out(
    runtime: Runtime, clinic: InProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    office = clinic.caller()
    patient = await office.store({"resourceType": "Patient"})
    agreed = await office.store(consent(patient["id"]))
    photo = await office.store(media(patient["id"], jpeg()))
    await office.post(f"/fhir/Consent/{agreed['id']}/$withdraw")

    for reference in (f"Media/{photo['id']}", "Media/none", f"Patient/{patient['id']}"):
        with pytest.raises((RejectedError, UnusableError)):
            await said(runtime, capsys, "photograph", str(tmp_path / "out"), reference)

    assert list((tmp_path / "out").iterdir()) == []
