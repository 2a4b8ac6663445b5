"""Bodies that grow when they are unpacked, or are not what they say: refused in little time and memory."""

import gzip
import time
import tracemalloc
import zlib

import pytest

from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess

pytestmark = pytest.mark.anyio

RESOURCE = f'{{"resourceType":"Patient","name":[{{"family":"{MARK}"}}]}}'.encode()
PACKED = gzip.compress(RESOURCE)


def bomb(megabytes: int) -> bytes:
    """So many megabytes of blanks, in a thousandth of that."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([packing.compress(b" " * 1_000_000) for _ in range(megabytes)]) + packing.flush()


@pytest.fixture(scope="module")
def huge() -> bytes:
    return bomb(250)


async def test_a_bomb_is_refused_before_it_grows(mallory: Caller, watch: Watch, huge: bytes) -> None:
    assert len(huge) < 300_000
    began = time.process_time()
    tracemalloc.start()
    try:
        answer = await mallory.post("/fhir/Patient", huge, Content_Encoding="gzip")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    watch.refused(answer, 413)
    assert most < 100_000_000, "250 megabytes are announced, some thirty may be kept"
    assert time.process_time() - began < 5


async def test_a_bomb_in_a_form_or_a_bundle_is_one_too(mallory: Caller, watch: Watch, huge: bytes) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    watch.refused(await mallory.post("/fhir/Patient/_search", bomb(1), Content_Encoding="gzip", **form), 413)
    watch.refused(await mallory.post("/fhir", huge, Content_Encoding="gzip"), 413)
    watch.refused(await mallory.post("/fhir/Patient/$validate", huge, Content_Encoding="gzip"), 413)


async def test_a_bomb_within_a_bomb_is_not_opened(mallory: Caller, watch: Watch) -> None:
    """Each coding would multiply by a thousand."""
    twice = gzip.compress(gzip.compress(RESOURCE))

    for coding in ("gzip, gzip", "gzip,gzip", "identity, gzip", "gzip, deflate", "gzip;q=1", "gzip\tgzip"):
        watch.refused(await mallory.post("/fhir/Patient", twice, Content_Encoding=coding), 415)
    watch.refused(await mallory.post("/fhir/Patient", twice, Content_Encoding="gzip"), 400)


async def test_two_lines_of_coding_are_two_codings(clinic: InProcess, mallory: Caller, watch: Watch) -> None:
    headers = [*mallory.headers.items(), ("Content-Type", "application/fhir+json")]
    headers += [("Content-Encoding", "gzip")] * 2

    watch.refused(await clinic.http.post("/fhir/Patient", content=gzip.compress(PACKED), headers=headers), 415)


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "compress", "aes128gcm", "gzip2", "*", MARK])
async def test_another_coding_is_refused(mallory: Caller, watch: Watch, coding: str) -> None:
    watch.refused(await mallory.post("/fhir/Patient", PACKED, Content_Encoding=coding), 415)


BROKEN: dict[str, bytes] = {
    "plain": RESOURCE,
    "one byte": b"\x1f",
    "the head alone": PACKED[:10],
    "cut off": PACKED[:-9],
    "without its last byte": PACKED[:-1],
    "another sum": PACKED[:-8] + b"\x00\x00\x00\x00" + PACKED[-4:],
    "another length": PACKED[:-4] + b"\x01\x00\x00\x00",
    "a flipped bit": PACKED[:20] + bytes([PACKED[20] ^ 1]) + PACKED[21:],
    "something after it": PACKED + b"x",
    "a blank after it": PACKED + b"\x00",
    "a second member": PACKED + gzip.compress(b""),
    "a thousand members": gzip.compress(b" ") * 1000,
    "zlib": zlib.compress(RESOURCE),
    "raw deflate": zlib.compress(RESOURCE, wbits=-15),
    "nothing inside": gzip.compress(b""),
    "no JSON inside": gzip.compress(b"{"),
    "gzip inside": gzip.compress(PACKED),
}


@pytest.mark.parametrize("attack", BROKEN)
async def test_what_is_no_gzip_is_malformed(mallory: Caller, watch: Watch, attack: str) -> None:
    watch.refused(await mallory.post("/fhir/Patient", BROKEN[attack], Content_Encoding="gzip"), 400)


async def test_gzip_that_says_nothing_of_it_is_no_json(mallory: Caller, watch: Watch) -> None:
    watch.refused(await mallory.post("/fhir/Patient", PACKED), 400)


async def test_members_without_end_cost_nothing(mallory: Caller, watch: Watch) -> None:
    """Each would need an unpacker of its own; the second is one too many."""
    began = time.process_time()

    answer = await mallory.post("/fhir/Patient", gzip.compress(b"") * 400_000, Content_Encoding="gzip")

    watch.refused(answer, 400)
    assert time.process_time() - began < 2


async def test_nobody_without_a_token_has_anything_unpacked(clinic: InProcess, watch: Watch, huge: bytes) -> None:
    began = time.process_time()

    answer = await clinic.stranger.post("/fhir/Patient", huge, Content_Encoding="gzip")

    watch.refused(answer, 401)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "asked", ["gzip;q=" + "9" * 10_000, "," * 10_000, "gzip;q=x", ";;;", "gzip;q=-1", "\x7f", "gzip;q=1;q=0"]
)
async def test_a_crooked_wish_for_packing_harms_nothing(mallory: Caller, asked: str) -> None:
    assert (await mallory.get("/fhir/metadata", Accept_Encoding=asked)).status_code == 200
