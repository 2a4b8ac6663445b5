"""Database operators where a value belongs: they are text, or refused, and never reach the database as operators."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest

from fhir_server.fhir.definitions import search_parameters
from fhir_server.kernel.json import Json
from tests.attacks.watch import Watch
from tests.clinics import Caller, InProcess, read
from tests.samples import patient

pytestmark = pytest.mark.anyio

OPERATORS = (
    '{"$gt":""}',
    '{"$ne":null}',
    '{"$where":"sleep(5000)"}',
    '{"$regex":".*"}',
    "$where",
    "'; return true; //",
    "' || 1==1//",
    ".*",
    "^",
    "(a+)+$",
    "a\x00b",
    "*",
    "\\",
    "||||",
    "$$$",
    ",,,",
    "\u202ea",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "../../etc/passwd",
    "%00",
)


@pytest.fixture(scope="module")
async def somebody(clinic: InProcess) -> Json:
    return await clinic.caller().store(patient("Injected", birthDate="1980-01-01", gender="female"))


@pytest.mark.parametrize("value", OPERATORS)
async def test_an_operator_as_a_value_finds_nobody(mallory: Caller, somebody: Json, watch: Watch, value: str) -> None:
    for code in (
        "name",
        "family",
        "identifier",
        "birthdate",
        "gender",
        "_id",
        "organization",
        "_lastUpdated",
        "_count",
    ):
        answer = await mallory.get(f"/fhir/Patient?{code}={quote(value, safe='')}")

        assert answer.status_code in {200, 400}, (code, answer.text)
        if answer.status_code == 400:
            watch.refused(answer, 400)
        elif code != "_count" and value.strip(",|"):
            assert "entry" not in read(answer), code


@pytest.mark.parametrize("code", sorted(search_parameters("Patient")))
async def test_no_parameter_takes_an_operator(mallory: Caller, somebody: Json, watch: Watch, code: str) -> None:
    for value in OPERATORS[:5]:
        answer = await mallory.get(f"/fhir/Patient?{quote(code)}={quote(value, safe='')}")

        assert answer.status_code in {200, 400}, answer.text
        assert "entry" not in read(answer)


@pytest.mark.parametrize(
    "name",
    [
        "name[$ne]",
        "name[$gt]",
        "name[]",
        "name.$ne",
        "$where",
        "$or",
        "$expr",
        "_id[$regex]",
        "tokens",
        "sealed",
        "clear.status",
        "subjects",
        "__proto__",
        "constructor",
        "name:$ne",
        "name:exact:exact",
        "name:",
        ":exact",
        "",
        "_id:missing",
        "name\x00",
    ],
)
async def test_an_operator_as_a_name_is_refused(mallory: Caller, somebody: Json, watch: Watch, name: str) -> None:
    query = urlencode({name: "x"})

    watch.refused(await mallory.get(f"/fhir/Patient?{query}"), 400)
    form = "application/x-www-form-urlencoded"
    watch.refused(await mallory.post("/fhir/Patient/_search", query, Content_Type=form), 400)
    entry = {"request": {"method": "GET", "url": f"Patient?{query}"}}
    batch = await mallory.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert read(batch)["entry"][0]["response"]["status"] == "400"


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$where": "1"}, ["$ne"], {"a.b": 1}, {"$set": {"x": 1}}, True, 7])
@pytest.mark.parametrize(
    "element", ["id", "gender", "birthDate", "active", "name", "identifier", "meta", "language", "deceased"]
)
async def test_an_operator_in_an_element_is_refused(
    mallory: Caller,
    watch: Watch,
    element: str,
    value: Any,
) -> None:
    if (element, value) == ("active", True):
        pytest.skip("true is what an active patient is")

    answer = await mallory.post("/fhir/Patient", {**patient(), element: value})

    if element == "id":
        assert answer.status_code in {201, 400, 422}
        if answer.status_code == 201:
            await mallory.delete(f"/fhir/Patient/{read(answer)['id']}")
            pytest.fail("an id that is no string was taken")
    watch.refused(answer, answer.status_code)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("key", ["$gt", "$where", "a.b", "$set.x", "_id", "", "sealed", "name.$ne", "x\u0000y"])
async def test_an_operator_as_an_element_is_refused(mallory: Caller, watch: Watch, key: str) -> None:
    for resource in ({**patient(), key: "x"}, {**patient(), "name": [{"family": "x", key: "x"}]}):
        answer = await mallory.post("/fhir/Patient", resource)

        watch.refused(answer, answer.status_code)
        assert answer.status_code in {400, 422}


@pytest.mark.parametrize("text", OPERATORS[:12])
async def test_an_operator_in_a_text_is_a_text(mallory: Caller, clinic: InProcess, text: str) -> None:
    harmless = text.replace("\x00", "")
    stored = await mallory.store(patient(harmless, identifier=[{"system": "urn:x", "value": harmless.strip() or "x"}]))

    assert stored["name"][0]["family"] == harmless
    found = read(await mallory.get(f"/fhir/Patient?_id={stored['id']}"))
    assert found["entry"][0]["resource"]["name"][0]["family"] == harmless
    row = await clinic.mongo[clinic.database]["resources"].find_one({"_id": f"Patient/{stored['id']}"}) or {}
    assert set(row["clear"]) <= {"status"}


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"name=a{number}" for number in range(300)),
        "name=" + ",".join(f"a{number}" for number in range(5000)),
        "name=" + "a" * 20_000,
        "_count=-1",
        "_count=99999999999999999999",
        "_count=1e9",
        "_count=٣",
        "_sort=nmae",
        "_sort=$where",
        "_total=everything",
        "_summary=yes",
        "_page=AAAA",
        "_page=",
        "birthdate=ge99999-01-01",
        "birthdate=0000-00-00",
        "birthdate=2001-02-30",
        "birthdate=xx2001",
        "name=%ff%fe",
        "name=%c0%af",
        "name=%ed%a0%80",
        "name:regex=.*",
        "_id=a/b",
        "_id=" + "a" * 65,
    ],
)
async def test_a_query_that_asks_too_much_or_nonsense_is_refused(mallory: Caller, watch: Watch, query: str) -> None:
    watch.refused(await mallory.get(f"/fhir/Patient?{query}"), 400)
