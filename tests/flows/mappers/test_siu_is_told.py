"""An Appointment that changes here reaches a receiver of HL7 v2 by MLLP over TLS, until it is acknowledged."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mappers.hl7v2.answers import Fault, Verdict, answer
from mappers.hl7v2.parsing import Parsed, parsed
from mappers.mapping.message import Tables
from mappers.runtime.clock import now
from mappers.runtime.delivery import Outcome
from mappers.runtime.faults import NotNowError, SetupError
from mappers.runtime.looking_after import LookingAfter
from mappers.runtime.mllp import Listener, tls_context
from mappers.runtime.mllp_sender import Sender
from mappers.runtime.settings import SourceSettings
from mappers.runtime.telling import Telling
from mappers.runtime.wiring import Runtime
from tests.clinics import InProcess
from tests.flows.mappers.test_mllp_over_tls import folder
from tests.flows.mappers.test_runtime import runtime, vendors

pytestmark = pytest.mark.anyio

__all__ = ["folder", "runtime", "vendors"]
Json = dict[str, Any]


@dataclass
class Receiver:
    """Keeps what it is sent, and answers as it is told to."""

    verdict: Verdict = Verdict.ACCEPTED
    mistaken: bool = False
    got: list[Parsed] = field(default_factory=list)

    async def answer(self, raw: bytes) -> bytes:
        self.got.append(found := parsed(raw))
        fault = None if self.verdict is Verdict.ACCEPTED else Fault.NOT_POSSIBLE
        said = answer(found, self.verdict, now(), "A1", fault, "no")
        return said.replace(found.control_id.encode(), b"ANOTHER") if self.mistaken else said

    @property
    def triggers(self) -> list[str]:
        return [one.trigger for one in self.got]


@pytest.fixture
async def receiver(folder: Path) -> AsyncIterator[tuple[Receiver, int]]:
    made = Receiver()
    pems = [str(folder / name) for name in ("certificate.pem", "key.pem", "certificate.pem")]
    async with await Listener(made.answer).serve("127.0.0.1", 0, tls_context(*pems)) as server:
        yield made, server.sockets[0].getsockname()[1]


def telling(runtime: Runtime, folder: Path, port: int, name: str = "his", **more: Any) -> Telling:
    given = {
        "host": "127.0.0.1",
        "port": port,
        "authorities": "certificate.pem",
        "certificate": "certificate.pem",
        "certificate_key": "key.pem",
        "sender": ["FHIR", "CLINIC"],
        "receiver": ["HIS", "HOSPITAL"],
        "beginning": now().isoformat(),
        **more,
    }
    made = replace(runtime, clock=now).steady(SourceSettings(name, "siu", Tables(), given, folder))
    assert isinstance(made, Telling)
    return made


def appointment(patient: Json, **more: Any) -> Json:
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2026-03-02T09:00:00Z",
        "end": "2026-03-02T09:30:00Z",
        "participant": [{"actor": {"reference": f"Patient/{patient['id']}"}, "status": "accepted"}],
        **more,
    }


async def test_an_appointment_is_told_as_it_changes_and_once(
    clinic: InProcess, runtime: Runtime, folder: Path, receiver: tuple[Receiver, int]
) -> None:
    office, (heard, port) = clinic.caller(), receiver
    one = telling(runtime, folder, port)
    patient = await office.store({"resourceType": "Patient", "name": [{"family": "Ito"}]})
    booked = await office.store(appointment(patient))
    await office.store(appointment(patient, participant=[{"actor": {"display": "A room"}, "status": "accepted"}]))
    await one.poll()
    moved = await office.store({**booked, "start": "2026-03-02T08:00:00Z"})
    await one.poll()
    await one.poll()
    moved = await office.store({**moved, "comment": "x", "description": "not told in SIU"})
    cancelled = await office.store({**moved, "status": "cancelled"})
    await one.poll()
    await office.store({**cancelled, "status": "booked"})
    await one.poll()
    await office.delete(f"/fhir/Appointment/{booked['id']}")
    await one.poll()
    found = await one.poll()

    assert heard.triggers == ["S12", "S13", "S15", "S12", "S17"]
    assert {message.need("SCH").text(2) for message in heard.got} == {booked["id"]}
    assert heard.got[0].need("PID").text(5) == "Ito"
    assert found[Outcome.WRITTEN] == 0


async def test_what_is_refused_is_put_aside_and_told_anew_with_the_next_change(
    clinic: InProcess, runtime: Runtime, folder: Path, receiver: tuple[Receiver, int]
) -> None:
    office, (heard, port) = clinic.caller(), receiver
    one = telling(runtime, folder, port, "refusing")
    patient = await office.store({"resourceType": "Patient"})
    booked = await office.store(appointment(patient))
    heard.verdict = Verdict.FAILED
    refused = await one.poll()
    report = await LookingAfter(runtime.server).report("refusing")
    heard.verdict = Verdict.ACCEPTED
    again = await one.again()
    await office.store({**booked, "start": "2026-03-02T08:00:00Z"})
    await one.poll()

    assert refused[Outcome.DEAD] == 1
    assert report == {"dead-letter: The receiver answers AE to S12.": 1}
    assert again == {Outcome.WRITTEN: 1}
    assert heard.triggers == ["S12", "S12", "S13"]
    assert heard.got[0].control_id == heard.got[1].control_id
    assert not await LookingAfter(runtime.server).report("refusing")


async def test_a_message_that_may_not_have_arrived_goes_again_with_its_number(
    clinic: InProcess, runtime: Runtime, folder: Path, receiver: tuple[Receiver, int]
) -> None:
    office, (heard, port) = clinic.caller(), receiver
    one = telling(runtime, folder, port, "mistaken")
    await office.store(appointment(await office.store({"resourceType": "Patient"})))
    heard.mistaken = True
    with pytest.raises(NotNowError):
        await one.poll()
    heard.mistaken = False

    assert (await one.poll())[Outcome.WRITTEN] == 1
    assert len({message.control_id for message in heard.got}) == 1


async def test_a_receiver_that_is_not_who_it_should_be_is_told_nothing(
    clinic: InProcess, runtime: Runtime, folder: Path, receiver: tuple[Receiver, int]
) -> None:
    office, (heard, port) = clinic.caller(), receiver
    one = telling(runtime, folder, port, "stranger", host="localhost")
    await office.store(appointment(await office.store({"resourceType": "Patient"})))

    with pytest.raises(NotNowError):
        await one.poll()

    assert heard.got == []


async def test_an_answer_that_is_no_frame_is_none() -> None:
    import asyncio

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\x0d")
        writer.write(b"no frame\x1c\x0d")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        sender = Sender("127.0.0.1", server.sockets[0].getsockname()[1], None)
        with pytest.raises(NotNowError):
            await sender.send(b"MSH")


@pytest.mark.parametrize("more", [{"sender": ["FHIR"]}, {"host": 7}, {"receiver": "HIS"}])
async def test_settings_that_do_not_fit_are_said(runtime: Runtime, folder: Path, more: Json) -> None:
    with pytest.raises(SetupError):
        telling(runtime, folder, 2575, **more)


def test_beyond_this_machine_there_is_no_sending_without_tls() -> None:
    with pytest.raises(SetupError, match="TLS"):
        Sender("his.example", 2575, None)
