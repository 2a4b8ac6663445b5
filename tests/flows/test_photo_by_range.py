"""Parts of a photo: RFC 9110, section 14."""

import pytest

from fhir_server.kernel.json import Json
from tests.clinics import Caller, InProcess, read
from tests.samples import consent, jpeg, media, patient

pytestmark = pytest.mark.anyio

SIZE = 700_000
"""More than two stored documents of four chunks."""


@pytest.fixture(scope="module")
def doctor(clinic: InProcess) -> Caller:
    return clinic.caller()


@pytest.fixture(scope="module")
async def person(doctor: Caller) -> str:
    """A patient with a consent for care photography."""
    stored = await doctor.store(patient())
    await doctor.store(consent(stored["id"]))
    return str(stored["id"])


@pytest.fixture(scope="module")
def taken() -> bytes:
    return jpeg(SIZE, plain=True)


@pytest.fixture(scope="module")
async def shown(doctor: Caller, person: str, taken: bytes) -> Json:
    """The Media as stored."""
    return await doctor.store(media(person, taken, content={**media(person, taken)["content"], "title": "left side"}))


@pytest.fixture(scope="module")
def address(shown: Json) -> str:
    return f"/fhir/{shown['content']['url']}"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=65530-65545", 65_530, 65_546),
        ("bytes=262140-262150", 262_140, 262_151),
        ("bytes=699000-", 699_000, None),
        ("bytes=-17", -17, None),
        ("bytes=10-99999999", 10, None),
        ("bytes=1-", 1, None),
    ],
)
async def test_a_range_is_that_part_of_the_photo(
    doctor: Caller, address: str, taken: bytes, asked: str, start: int, stop: int | None
) -> None:
    answer = await doctor.get(address, Range=asked)

    part = taken[start:stop]
    first = start % len(taken)
    assert answer.status_code == 206
    assert answer.content == part
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{len(taken)}"
    assert answer.headers["content-length"] == str(len(part))


@pytest.mark.parametrize("asked", ["bytes=-99999999", f"bytes=0-{10**9}", "bytes=0-"])
async def test_a_range_over_everything_is_everything(doctor: Caller, address: str, taken: bytes, asked: str) -> None:
    """RFC 9110 leaves 200 and 206 open here; the bytes are the same."""
    answer = await doctor.get(address, Range=asked)

    assert answer.status_code in {200, 206}
    assert answer.content == taken


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-999999999", "bytes=-0"])
async def test_a_range_outside_the_photo_is_refused(doctor: Caller, address: str, taken: bytes, asked: str) -> None:
    answer = await doctor.get(address, Range=asked)

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(taken)}"
    assert read(answer)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes 0-1", "0-1"]
)
async def test_what_is_no_single_range_of_bytes_is_ignored(
    doctor: Caller, address: str, taken: bytes, asked: str
) -> None:
    answer = await doctor.get(address, Range=asked)

    assert (answer.status_code, len(answer.content)) == (200, len(taken))
