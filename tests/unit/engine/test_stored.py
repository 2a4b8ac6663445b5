"""A stored version goes to the wire by splicing bytes: nothing is serialised again, and it reads like any JSON."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.engine.stored import Stored, truth
from fhir_server.kernel import json
from fhir_server.kernel.identity import ResourceKey
from fhir_server.kernel.json import Json

KEY = ResourceKey("Patient", "7")
AT = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
GIVEN = b'"versionId":"3","lastUpdated":"2026-03-14T09:26:53.589Z"'


def stored(resource: Json) -> Stored:
    return Stored(KEY, 3, 1, AT, truth(KEY, resource))


def test_meta_gets_what_the_server_gives_and_keeps_the_rest() -> None:
    meta = {"versionId": "99", "profile": ["urn:p"], "lastUpdated": "1999-01-01T00:00:00Z", "tag": [{"code": "t"}]}

    wire = stored({"resourceType": "Patient", "id": "7", "meta": meta, "active": True}).wire

    rest = b',"profile":["urn:p"],"tag":[{"code":"t"}]},"active":true}'
    assert wire == b'{"resourceType":"Patient","id":"7","meta":{' + GIVEN + rest


def test_an_empty_or_missing_meta_needs_no_comma() -> None:
    expected = b'{"resourceType":"Patient","id":"7","meta":{' + GIVEN + b'},"active":true}'

    metas: list[Json] = [{}, {"meta": {}}, {"meta": {"versionId": "1"}}]
    for meta in metas:
        assert stored({"resourceType": "Patient", **meta, "active": True}).wire == expected


def test_a_resource_of_nothing_but_its_type_is_whole() -> None:
    assert stored({"resourceType": "Patient"}).wire == b'{"resourceType":"Patient","id":"7","meta":{' + GIVEN + b"}}"


def test_type_id_and_meta_come_first_and_all_else_keeps_its_order() -> None:
    resource = {"birthDate": "1974", "id": "other", "active": False, "resourceType": "Patient", "gender": "male"}

    assert list(stored(resource).resource) == ["resourceType", "id", "meta", "birthDate", "active", "gender"]
    assert stored(resource).resource["id"] == "7"


def test_siblings_of_primitives_are_no_metadata_of_the_server() -> None:
    resource = {"resourceType": "Patient", "_id": {"extension": []}, "meta": {"_versionId": {"id": "x"}}}

    assert stored(resource).resource["_id"] == {"extension": []}
    assert stored(resource).resource["meta"]["_versionId"] == {"id": "x"}


def test_a_deletion_has_no_bytes() -> None:
    gone = Stored(KEY, 4, 1, AT, b"{}", deleted=True)

    assert (gone.wire, gone.resource, gone.etag) == (b"", {}, 'W/"4"')


@settings(max_examples=100, deadline=None)
@given(
    meta=st.dictionaries(st.sampled_from(["versionId", "lastUpdated", "tag", "source"]), st.text(max_size=5)),
    rest=st.dictionaries(
        st.text(min_size=1, max_size=5).filter(lambda name: name not in {"resourceType", "id", "meta"}),
        st.one_of(st.text(max_size=9), st.integers(), st.decimals(allow_nan=False, allow_infinity=False)),
        max_size=5,
    ),
)
def test_r_fhir_025_the_spliced_bytes_are_the_resource_with_its_meta(meta: Json, rest: Json) -> None:
    kept = {name: value for name, value in meta.items() if name not in {"versionId", "lastUpdated"}}

    wire = stored({"resourceType": "Patient", "meta": meta, **rest}).wire

    given_by_server = {"versionId": "3", "lastUpdated": "2026-03-14T09:26:53.589Z"}
    expected = {"resourceType": "Patient", "id": "7", "meta": {**given_by_server, **kept}, **rest}
    assert wire == json.encode(expected)


def test_the_shared_value_is_read_once() -> None:
    one = stored({"resourceType": "Patient", "multipleBirthInteger": Decimal("1.0")})

    assert one.resource is one.resource
