"""`python -m benchmarks.photos`: a photo of 5 MB stored, a rendition's first byte, a gallery; beside plain GridFS.

About a minute. What counts are ratios, and for the gallery the median: other programs share the machine.
"""

import asyncio
import base64
import io
import secrets
import sys
from collections.abc import Iterator
from itertools import repeat
from statistics import median
from time import perf_counter

import uvloop
from PIL import Image

from benchmarks.connection import Connection
from benchmarks.deployment import Deployment, deployed
from benchmarks.documents import created, created_id, request
from benchmarks.load import Target, Window, measure
from benchmarks.report import standing_table
from benchmarks.standing import Standing
from fhir_server.consent.purposes import CARE_PHOTOGRAPHY, coded
from fhir_server.kernel import json
from fhir_server.kernel.json import Json

_ROUNDS, _SECONDS, _WARM_UP = 11, 1.0, 0.3
"""Short, and in turns with the floor: what a processor does in a second changes by a third on a shared machine."""
_WAITING = 50
"""Media that wait for bytes, more than are stored in one round."""
_GALLERY, _CONNECTIONS, _TIMES = 24, 6, 15
_LONGEST_STORED, _FIRST_BYTE, _GALLERY_MS = 1 / 0.6, 2.0, 100.0
_SIZE, _QUALITY = (2600, 1950), 87
_CREATED = 201
_FHIR = "application/fhir+json"


def main() -> int:
    with deployed() as deployment, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_Clinic(deployment).figures())
    print(standing_table(found))
    return 0 if all(one.kept is not False for one in found) else 1


class _Clinic:
    """One patient whose photos are taken and looked at."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment, self._photo = deployment, _noise()
        self._server, self._floor = deployment.server.port, deployment.floor.port

    async def figures(self) -> list[Standing]:
        patient = await self._stored({"resourceType": "Patient"})
        await self._stored(_consent(patient))
        return [*await self._storing(patient), *await self._looking(patient)]

    async def _storing(self, patient: str) -> list[Standing]:
        plain = request("POST", "/files", self._photo)
        floors, taken = [], []
        for turn in range(_ROUNDS):
            print(f"storing, round {turn + 1}", file=sys.stderr, flush=True)
            floors.append(await self._window(self._floor, repeat(plain)))
            waiting = [await self._stored(_media(patient, "preparation")) for _ in range(_WAITING)]
            taken.append(await self._window(self._server, (self._bytes_for(one) for one in waiting)))
        floor, rate = (median(one.done / one.seconds for one in windows) for windows in (floors, taken))
        ratio = median(one.done / other.done for one, other in zip(floors, taken, strict=True))
        spent = median(one.processor["server"] / one.done for one in taken) * 1000
        plainly = median(one.processor["floor"] / one.done for one in floors) * 1000
        said = f"{rate:.1f} and {floor:.1f} a second; {spent:.0f} and {plainly:.0f} ms of processor time"
        size = f"{len(self._photo) / 1e6:.1f} MB"
        return [Standing(f"a photo of {size} stored", ratio, "times GridFS", _LONGEST_STORED, said)]

    async def _looking(self, patient: str) -> list[Standing]:
        original = await self._stored(_media(patient, "completed", self._photo))
        screen, small = await self._rendition(original, "screen"), await self._rendition(original, "thumbnail")
        asked = request("GET", f"/fhir/{screen}", token=self._deployment.token)
        data = await _whole(self._server, asked)
        kept = await self._plain(data)
        plain, sealed = [], []
        for _ in range(_TIMES * 4):
            plain.append(await _first_byte(self._floor, request("GET", f"/files/{kept}")))
            sealed.append(await _first_byte(self._server, asked))
        ratio = median(sealed) / median(plain)
        first = f"{median(sealed) * 1000:.1f} and {median(plain) * 1000:.1f} ms, {len(data) / 1000:.0f} kB"
        thumbnail = request("GET", f"/fhir/{small}", token=self._deployment.token)
        bare = await self._plain(await _whole(self._server, thumbnail))
        shown = await _gallery(self._server, thumbnail)
        plainly = await _gallery(self._floor, request("GET", f"/files/{bare}"))
        others = f"over {_CONNECTIONS} connections, as browsers; of plain GridFS {plainly:.0f} ms"
        return [
            Standing("first byte of a rendition", ratio, "times GridFS", _FIRST_BYTE, first),
            Standing(f"{_GALLERY} thumbnails", shown, "ms", _GALLERY_MS, others),
        ]

    async def _plain(self, data: bytes) -> str:
        """The same in plain GridFS."""
        return str(json.decode((await created(self._floor, request("POST", "/files", data))).body)["id"])

    async def _rendition(self, media: str, kind: str) -> str:
        """Where its bytes are."""
        body: Json = {"resourceType": "Parameters", "parameter": [{"name": "kind", "valueCode": kind}]}
        path = f"/fhir/Media/{media}/$rendition"
        asked = request("POST", path, json.encode(body), self._deployment.token, Content_Type=_FHIR)
        return str(json.decode((await created(self._server, asked)).body)["content"]["url"])

    async def _window(self, port: int, requests: Iterator[bytes]) -> Window:
        watched = {"server": self._deployment.server.pid, "floor": self._deployment.floor.pid}
        return await measure(Target(port, requests, _CREATED), 1, _SECONDS, _WARM_UP, watched)

    def _bytes_for(self, media: str) -> bytes:
        headers = {"Content_Type": "image/jpeg", "X_Security_Context": f"Media/{media}"}
        return request("POST", "/fhir/Binary", self._photo, self._deployment.token, **headers)

    async def _stored(self, resource: Json) -> str:
        kind = str(resource["resourceType"])
        return await created_id(self._server, self._deployment.token, kind, json.encode(resource))


async def _gallery(port: int, asked: bytes) -> float:
    """Milliseconds until the last has come."""
    connections = [await Connection.open(port) for _ in range(_CONNECTIONS)]
    taken = []
    for _ in range(_TIMES):
        begun, left = perf_counter(), repeat(asked, _GALLERY)
        await asyncio.gather(*(_all(connection, left) for connection in connections))
        taken.append(perf_counter() - begun)
    for connection in connections:
        await connection.close()
    return median(taken) * 1000


async def _all(connection: Connection, left: Iterator[bytes]) -> None:
    for one in left:
        await connection.ask(one)


async def _whole(port: int, asked: bytes) -> bytes:
    connection = await Connection.open(port)
    try:
        return (await connection.ask(asked)).body
    finally:
        await connection.close()


async def _first_byte(port: int, asked: bytes) -> float:
    """Seconds from the request to the first byte behind the head, on a connection that is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = perf_counter()
    writer.write(asked)
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(1)
    taken = perf_counter() - begun
    writer.close()
    return taken


def _noise() -> bytes:
    """A JPEG as large as one of a camera: nothing in it can be made smaller."""
    written = io.BytesIO()
    Image.frombytes("RGB", _SIZE, secrets.token_bytes(_SIZE[0] * _SIZE[1] * 3)).save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()


def _consent(patient: str) -> Json:
    scope = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
    category = {"system": "http://loinc.org", "code": "59284-0"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [scope]},
        "category": [{"coding": [category]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "policyRule": {"text": "care photography"},
        "provision": {"type": "permit", "purpose": [coded(CARE_PHOTOGRAPHY)]},
    }


def _media(patient: str, status: str, data: bytes = b"") -> Json:
    content = {"contentType": "image/jpeg", **({"data": base64.b64encode(data).decode()} if data else {})}
    return {
        "resourceType": "Media",
        "status": status,
        "subject": {"reference": f"Patient/{patient}"},
        "content": content,
    }


if __name__ == "__main__":
    sys.exit(main())
