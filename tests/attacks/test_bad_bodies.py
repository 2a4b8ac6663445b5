"""Bodies that are no resource, or more than one: a precise status, an outcome, nothing stored, nothing told."""

import base64
import secrets
import time
from typing import Any

import pytest

from fhir_server.kernel import json
from tests.attacks.watch import MARK, Watch
from tests.clinics import Caller, InProcess
from tests.samples import patient

pytestmark = pytest.mark.anyio


def named(inside: str) -> bytes:
    return f'{{"resourceType":"Patient","name":[{{"family":"{MARK}"}}]{inside}}}'.encode("utf-8", "surrogatepass")


DEEP = 60_000
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "white space": (b"  \n", 400),
    "cut off": (named("")[:-1], 400),
    "two values": (named("") + b"{}", 400),
    "trailing comma": (named(","), 400),
    "comment": (named("") + b"// hi", 400),
    "NaN": (named(',"x":NaN'), 400),
    "infinity": (named(',"x":-Infinity'), 400),
    "single quotes": (b"{'resourceType':'Patient'}", 400),
    "leading zero": (named(',"multipleBirthInteger":007'), 400),
    "hexadecimal": (named(',"multipleBirthInteger":0x10'), 400),
    "byte order mark": (b"\xef\xbb\xbf" + named(""), 400),
    "UTF-16": (named("").decode().encode("utf-16"), 400),
    "an array": (b"[" + named("") + b"]", 400),
    "a string": (b'"Patient"', 400),
    "a number": (b"1", 400),
    "null": (b"null", 400),
    "no resourceType": (b'{"name":[{"family":"' + MARK.encode() + b'"}]}', 400),
    "another resourceType": (b'{"resourceType":"Observation"}', 400),
    "resourceType as array": (b'{"resourceType":["Patient"]}', 400),
    "resourceType as object": (b'{"resourceType":{"$gt":""}}', 400),
    "60,000 brackets": (b'{"resourceType":"Patient","x":' + b"[" * DEEP + b"]" * DEEP + b"}", 400),
    "60,000 braces": (b'{"resourceType":"Patient","x":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}", 400),
    "60,000 open brackets": (b"[" * DEEP, 400),
    "100 levels": (b'{"resourceType":"Patient","contact":' + b"[" * 100 + b"]" * 100 + b"}", 400),
    "a key twice": (named(',"gender":"male","gender":"female"'), 400),
    "a key twice, inside": (named(',"contact":[{"gender":"male","gender":"male"}]'), 400),
    "a key twice, escaped": (named(',"gender":"male","gend\\u0065r":"female"'), 400),
    "resourceType twice": (b'{"resourceType":"Patient","resourceType":"Patient"}', 400),
    "invalid UTF-8": (b'{"resourceType":"Patient","name":[{"family":"' + MARK.encode() + b'\xff"}]}', 400),
    "overlong UTF-8": (b'{"resourceType":"Patient","name":[{"family":"\xc0\xaf"}]}', 400),
    "UTF-8 of a surrogate": (b'{"resourceType":"Patient","name":[{"family":"\xed\xa0\x80"}]}', 400),
    "lone surrogate": (named(',"language":"\\ud800"'), 400),
    "surrogates the wrong way": (named(',"language":"\\udc00\\ud800"'), 400),
    "lone surrogate in a key": (named(',"\\ud800":1'), 400),
    "raw control character": (b'{"resourceType":"Patient","name":[{"family":"a\x00b"}]}', 400),
}
INVALID: dict[str, bytes] = {
    "NUL": named(',"language":"a\\u0000b"'),
    "NUL in a name": b'{"resourceType":"Patient","name":[{"family":"a\\u0000b"}]}',
    "unknown element": named(f',"{MARK}":1'),
    "unknown code": named(f',"gender":"{MARK}"'),
    "string for an array": named(f',"contact":"{MARK}"'),
    "number for a string": named(',"language":7'),
    "empty object": named(',"contact":[{}]'),
    "empty array": named(',"contact":[]'),
    "empty string": named(',"language":""'),
    "null": named(',"language":null'),
    "no such day": named(',"birthDate":"2001-02-30"'),
    "birth date with a time": named(f',"birthDate":"2001-02-03{MARK}"'),
    "bad id in contained": named(',"contained":[{"resourceType":"Organization","id":"a/b","name":"x"}]'),
    "prototype": named(',"__proto__":{"x":1}'),
    "huge integer": named(',"multipleBirthInteger":' + "9" * 400),
    "integer with exponent": named(',"multipleBirthInteger":1e9999'),
    "script in narrative": named(
        ',"text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"><script>1</script></div>"}'
    ),
    "event handler in narrative": named(
        ',"text":{"status":"generated",'
        '"div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"><p onclick=\\"x()\\">a</p></div>"}'
    ),
    "entities in narrative": named(
        ',"text":{"status":"generated","div":"<!DOCTYPE div [<!ENTITY a \\"x\\">]>'
        '<div xmlns=\\"http://www.w3.org/1999/xhtml\\">&a;</div>"}'
    ),
}


@pytest.mark.parametrize("attack", BODIES)
async def test_a_body_that_is_no_resource_is_refused(mallory: Caller, watch: Watch, attack: str) -> None:
    body, status = BODIES[attack]

    watch.refused(await mallory.post("/fhir/Patient", body, Content_Type="application/fhir+json"), status)


@pytest.mark.parametrize("attack", BODIES)
async def test_it_is_no_bundle_either(mallory: Caller, watch: Watch, attack: str) -> None:
    watch.refused(await mallory.post("/fhir", BODIES[attack][0], Content_Type="application/fhir+json"), 400)


@pytest.mark.parametrize("attack", INVALID)
async def test_json_that_breaks_the_definition_is_refused(mallory: Caller, watch: Watch, attack: str) -> None:
    answer = await mallory.post("/fhir/Patient", INVALID[attack])

    watch.refused(answer, answer.status_code)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("attack", INVALID)
async def test_nor_does_it_come_in_with_a_transaction(mallory: Caller, watch: Watch, attack: str) -> None:
    entry = b'{"request":{"method":"POST","url":"Patient"},"resource":' + INVALID[attack] + b"}"
    good = json.encode({"request": {"method": "POST", "url": "Patient"}, "resource": patient(MARK)})
    bundle = b'{"resourceType":"Bundle","type":"transaction","entry":[' + good + b"," + entry + b"]}"

    answer = await mallory.post("/fhir", bundle)

    watch.refused(answer, answer.status_code)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "declared",
    [
        "",
        "text/plain",
        "application/xml",
        "application/fhir+xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/fhir+json;charset=latin-1",
        "*/*",
        "json",
        MARK,
    ],
)
async def test_another_content_type_is_refused(mallory: Caller, watch: Watch, declared: str) -> None:
    for path in ("/fhir/Patient", "/fhir"):
        watch.refused(await mallory.post(path, named(""), Content_Type=declared), 415)
    watch.refused(await mallory.put("/fhir/Patient/a", named(',"id":"a"'), Content_Type=declared), 415)


@pytest.mark.parametrize(
    ("id", "status"),
    [("other", 400), (None, 400), ("", 400), (7, 400), ({"$gt": ""}, 400), (["a"], 400), ("A", 400), ("a ", 400)],
)
async def test_an_id_that_is_not_that_of_the_url_is_refused(
    mallory: Caller,
    watch: Watch,
    id: Any,
    status: int,
) -> None:
    watch.refused(await mallory.put("/fhir/Patient/a", patient(MARK, id=id)), status)


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("999-19-9834", "999-19-9834"),
        ("p-999-19-9834", "999-19-9834"),
        ("999199834", "999-19-9834"),
        ("ABC12345", "abc/12345"),
        ("x.12.34.x", "1234"),
        ("42", "42"),
    ],
)
async def test_an_id_that_tells_an_identifier_is_refused(mallory: Caller, watch: Watch, id: str, value: str) -> None:
    telling = patient(MARK, id=id, identifier=[{"value": "harmless-0"}, {"value": value}])

    watch.refused(await mallory.put(f"/fhir/Patient/{id}", telling), 422)
    entry = {"request": {"method": "PUT", "url": f"Patient/{id}"}, "resource": telling}
    watch.refused(await mallory.post("/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}), 422)


@pytest.mark.parametrize("size", [32_000_001, 40_000_000])
async def test_a_body_over_the_limit_is_refused(mallory: Caller, watch: Watch, size: int) -> None:
    for path in ("/fhir/Patient", "/fhir"):
        watch.refused(await mallory.post(path, b" " * size), 413)


async def test_a_resource_whose_seal_is_too_large_is_refused(mallory: Caller, watch: Watch) -> None:
    """Within the limit of a body, over that of a seal: noise does not compress, and no piece of it leaves the seal."""
    noise = [base64.b64encode(MARK.encode() + secrets.token_bytes(750_000)).decode() for _ in range(22)]
    large = {
        "resourceType": "Binary",
        "contentType": "application/octet-stream",
        "meta": {"extension": [{"url": "urn:noise", "valueBase64Binary": one} for one in noise]},
    }
    small = {"request": {"method": "POST", "url": "Patient"}, "resource": patient(MARK)}
    entry = {"request": {"method": "POST", "url": "Binary"}, "resource": large}

    watch.refused(await mallory.post("/fhir/Binary", large), 413)
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [small, entry]}
    watch.refused(await mallory.post("/fhir", bundle), 413)


async def test_a_number_with_a_monstrous_exponent_takes_no_time(mallory: Caller, clinic: InProcess) -> None:
    for written in ("1e999999999", "1E+400000", "-1e-999999999", "1" * 5000, "0." + "0" * 5000 + "1"):
        body = (
            '{"resourceType":"Observation","status":"final","code":{"text":"x"},'
            f'"valueQuantity":{{"value":{written},"unit":"cm"}}}}'
        )
        began = time.process_time()
        answer = await mallory.post("/fhir/Observation", body.encode())
        asked = await mallory.get(f"/fhir/Observation?value-quantity={written[:2000]}")
        assert time.process_time() - began < 3, written[:20]
        assert answer.status_code in {201, 400, 422}, answer.text
        assert asked.status_code in {200, 400}, asked.text
