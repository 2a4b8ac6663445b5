"""Valid R4 that few servers are sent and some refuse or alter: one resource for each thing that JSON or FHIR allows."""

import unicodedata
from collections.abc import Mapping

from fhir_server.fhir.primitives import MOST_CHARACTERS
from fhir_server.kernel.json import Json

WHY = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}
XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">'
DEEPEST = 28
"""Groups within groups; with what holds them, near the limit of JSON's nesting."""


def patient(**more: object) -> Json:
    return {"resourceType": "Patient", **more}


def observation(**more: object) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def questionnaire(depth: int) -> Json:
    item: Json = {"linkId": "last", "type": "string", "text": "?"}
    for level in range(depth):
        item = {"linkId": str(level), "type": "group", "item": [item]}
    return {"resourceType": "Questionnaire", "status": "draft", "item": [item]}


def value_set(concepts: int) -> Json:
    listed = [{"code": f"c{number}", "display": f"Concept {number}"} for number in range(concepts)]
    compose = {"include": [{"system": "urn:example:codes", "concept": listed}]}
    return {"resourceType": "ValueSet", "status": "active", "compose": compose}


def collection(entries: int) -> Json:
    urls = (f"urn:uuid:00000000-0000-4000-8000-{number:012x}" for number in range(entries))
    members = [{"fullUrl": url, "resource": observation(valueString=url)} for url in urls]
    return {"resourceType": "Bundle", "type": "collection", "entry": members}


def history() -> Json:
    """The same identity in several versions, one of them a deletion."""
    url = "https://elsewhere.example/fhir/Patient/1"
    made = {"request": {"method": "PUT", "url": "Patient/1"}, "response": {"status": "200", "etag": 'W/"1"'}}
    gone = {"request": {"method": "DELETE", "url": "Patient/1"}, "response": {"status": "204"}}
    kept = patient(id="1", meta={"versionId": "1", "lastUpdated": "2020-01-01T00:00:00.000+02:00"})
    entries = [{"fullUrl": url, **gone}, {"fullUrl": url, "resource": kept, **made}]
    return {"resourceType": "Bundle", "type": "history", "total": 2, "entry": entries}


VARIANTS: Mapping[str, Json] = {
    "values that are missing and say why": patient(
        _birthDate=WHY,
        _active=WHY,
        name=[
            {"_family": WHY, "given": ["Ana", None, "Bo"], "_given": [None, WHY, {"id": "b"}]},
            {"_given": [WHY, WHY]},
        ],
    ),
    "dates of every precision": patient(
        birthDate="1981",
        deceasedDateTime="2016-12-31T23:59:60Z",
        identifier=[
            {"period": {"start": "1970-02", "end": "1970-02"}},
            {"period": {"start": "0001-01-01", "end": "9999-12-31T23:59:59.999999999-12:00"}},
            {"period": {"start": "2020-02-29T00:00:00+14:00"}},
        ],
    ),
    "texts of every script": patient(
        name=[
            {
                "family": "e\u0301" + unicodedata.normalize("NFC", "e\u0301"),
                "given": ["\U0001f469\u200d\u2695\ufe0f", "נעמי"],
            },
            {
                "family": "\u2028\u2029\ufeff\ufffe\uffff\U0010ffff\x7f\u00a0",
                "given": [" ", "\t\n\r", "0"],
            },
            {"family": "</script><!--\\u0041 \\ \" ' ${x} $where", "suffix": ["ﬁ", "ß", "İ", "ǅ"]},
        ]
    ),
    "the longest string": patient(name=[{"text": "wörd " * (MOST_CHARACTERS // 5)}]),
    "narratives": patient(
        text={
            "status": "additional",
            "div": f'{XHTML}<p>&lt;&amp;&gt;&quot;&apos;&#160;&#x1F469; <a href="#a">1</a></p><!-- kept -->\r\n'
            '<table border="1"><tr><td style="color: red">ü<img src="http://x.example/a.png" alt=""/></td></tr></table>'
            "\n</div>",
        }
    ),
    "meta that is the client's": patient(
        meta={
            "extension": [{"url": "urn:x", "valueString": "y"}],
            "source": "urn:source",
            "profile": ["http://x.example/a|1", "http://x.example/b"],
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}],
            "tag": [{"code": "a"}, {"code": "a"}, {"system": "urn:t", "_code": WHY}],
        },
        implicitRules="urn:rules",
        language="tr",
    ),
    "contained resources that name each other": observation(
        contained=[
            {"resourceType": "Patient", "id": "p", "managingOrganization": {"reference": "#o"}},
            {"resourceType": "Organization", "id": "o", "name": "x", "endpoint": [{"reference": "#e"}]},
            {
                "resourceType": "Provenance",
                "id": "v",
                "target": [{"reference": "#"}],
                "recorded": "2020-01-01T00:00:00Z",
                "agent": [{"who": {"reference": "#o"}}],
            },
            {
                "resourceType": "Endpoint",
                "id": "e",
                "status": "active",
                "connectionType": {"code": "x"},
                "payloadType": [{"text": "x"}],
                "address": "urn:x",
            },
        ],
        subject={"reference": "#p"},
    ),
    "extensions within extensions": patient(
        modifierExtension=[{"url": "urn:m", "valueBoolean": False}],
        extension=[
            {
                "url": "urn:outer",
                "id": "one two",
                "extension": [
                    {"url": "a", "valueMeta": {"tag": [{"code": "x"}]}},
                    {"url": "b", "extension": [{"url": "c", "valueBase64Binary": "QUJD\r\nREVG"}]},
                    {"url": "d", "_valueDate": WHY},
                    {"url": "e", "valueReference": {"identifier": {"value": "7"}, "type": "urn:their:Type"}},
                    {"url": "f", "valueUuid": "urn:uuid:c757873d-ec9a-1326-a141-556f43239520"},
                ],
            }
        ],
    ),
    "references of every form": observation(
        subject={"reference": "https://elsewhere.example/fhir/Patient/1/_history/2"},
        encounter={"reference": "urn:oid:1.2.3"},
        focus=[
            {"reference": "Basic/missing"},
            {"reference": "urn:uuid:c757873d-ec9a-1326-a141-556f43239520"},
        ],
        performer=[
            {"reference": "Patient/missing"},
            {"display": "somebody"},
            {"identifier": {"system": "urn:x", "value": "1"}},
        ],
        derivedFrom=[{"reference": "Observation/missing/_history/3"}],
    ),
    "order and repetition": patient(
        address=[{"line": ["b", "a", "b", "a"]}, {"line": ["b", "a", "b", "a"]}],
        telecom=[{"system": "phone", "value": "2", "rank": 2}, {"system": "phone", "value": "1", "rank": 1}],
    ),
    "a deep questionnaire": questionnaire(DEEPEST),
    "a value set of ten thousand concepts": value_set(10_000),
    "a bundle of a thousand entries": collection(1_000),
    "a history": history(),
    "parameters": {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "valueDecimal": 1},
            {"name": "a", "part": [{"name": "b", "resource": patient()}, {"name": "c", "_valueString": WHY}]},
            {"name": "d", "resource": {"resourceType": "Parameters"}},
        ],
    },
    "a binary that is no image": {
        "resourceType": "Binary",
        "contentType": "application/pdf",
        "securityContext": {"reference": "Patient/missing"},
        "data": "JVBERi0xLjQK",
    },
}

NUMBERS = (
    *("0", "-0", "0.0", "-0.00", "0e0", "0E-5", "1", "-1", "1.0", "1.00", "100", "1e2", "1E2", "1E+2", "1e+02"),
    *("0.1", "0.10", "1e-1", "0.0000001", "1.50E-7", "-1.5e007", "12345678901234567890", "9007199254740993"),
    *("3.14159265358979323846264338327950288419716939937510582097494459", "0.1000000000000000055511151231257827"),
    *(
        f"{'9' * 60}.{'9' * 39}",
        "1e100",
        "-1.000000000000000000E+245",
        "1.000000000000000000E-245",
        "-9223372036854775809",
        "18446744073709551616",
    ),
)
"""Decimals as R4 lets a client write them."""
