"""Where bytes may stand that are a picture, and what is no base64 there."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.kernel import json
from fhir_server.kernel.errors import UnprocessableError
from fhir_server.kernel.json import Json
from fhir_server.media.consumer_clouds import HOSTS, refuse_consumer_clouds
from fhir_server.media.data_urls import refuse_pictures_in_urls
from fhir_server.media.photos_within import decoded, hidden_photos, without_pictures
from tests.samples import jpeg


def refuse(url: str) -> None:
    resource: Json = {"resourceType": "Media", "height": 1, "implicitRules": url}
    refuse_pictures_in_urls(resource, json.encode(resource))


def test_a_data_url_that_cannot_be_decoded_is_held_for_a_picture() -> None:
    with pytest.raises(UnprocessableError, match="not in a URL"):
        refuse("data:text/plain;base64,AAAA!AAA")


def test_a_data_url_that_holds_words_is_none() -> None:
    refuse("data:text/plain;base64,aGVsbG8=")


def test_the_data_of_a_photo_has_to_be_base64() -> None:
    with pytest.raises(UnprocessableError, match="not base64"):
        decoded("no base64 at all!", "Media.content.data")


def test_what_is_no_base64_hides_no_photo() -> None:
    assert list(hidden_photos({"data": "no base64 at all! " * 8}, "Binary")) == []


def test_an_address_that_cannot_be_taken_apart_leads_into_no_cloud() -> None:
    resource: Json = {"resourceType": "Media", "content": {"url": "https://[drive.google.com/a"}}

    refuse_consumer_clouds(resource, json.encode(resource))


@pytest.mark.parametrize(
    "url",
    [
        "https://drive.google.com/a",
        "https://DRIVE.Google.com/a",
        'https://a"@drive.google.com/a',
        "https://a\\@drive.google.com/a",
        "https://drive.goo\tgle.com/a",
        "https://drive.goo\u212ale.com@dropbox.com/a",
    ],
)
def test_a_cloud_is_known_however_its_address_is_written(url: str) -> None:
    first = {"url": "urn:a", "valueString": "x"}
    resource: Json = {"resourceType": "Media", "extension": [first], "content": {"url": url}}

    with pytest.raises(UnprocessableError, match="private cloud"):
        refuse_consumer_clouds(resource, json.encode(resource))


def leads_there(resource: Json, raw: bytes) -> bool:
    try:
        refuse_consumer_clouds(resource, raw)
    except UnprocessableError:
        return True
    return False


PARTS = st.sampled_from(
    [
        *("https://", "//", "a", ".", "@", "/", ":", "?", '"', "\\", "\t", "\u212a", "\uff44"),
        *sorted(HOSTS)[:4],
        "DB.tt",
    ]
)


@settings(max_examples=200, deadline=None)
@given(urls=st.lists(st.lists(PARTS, max_size=6).map("".join), max_size=3), name=st.sampled_from(["url", "valueUrl"]))
def test_a_look_at_the_bytes_misses_no_link_that_a_walk_through_the_resource_finds(urls: list[str], name: str) -> None:
    resource: Json = {"resourceType": "Media", "part": [{name: url} for url in urls]}
    as_if_anything_were_in_it = b'"url":"\\\\"'

    assert leads_there(resource, json.encode(resource)) == leads_there(resource, as_if_anything_were_in_it)


def test_bytes_of_a_picture_are_taken_out_and_nothing_else() -> None:
    picture, words = base64.b64encode(jpeg(200)).decode(), base64.b64encode(b"words " * 30).decode()
    noted = {"id": "d", "extension": [{"url": "urn:note", "valueCode": "x"}]}
    drawn = {"contentType": "image/jpeg", "data": picture, "_data": noted}
    resource: Json = {
        "resourceType": "Observation",
        "extension": [{"url": "urn:a", "valueAttachment": drawn}],
        "note": [{"text": "kept"}],
        "contained": [{"resourceType": "Binary", "contentType": "text/plain", "data": words}],
    }

    less = without_pictures(resource)

    absent = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
    left = {"contentType": "image/jpeg", "_data": {"id": "d", "extension": [*noted["extension"], absent]}}
    assert less == {**resource, "extension": [{"url": "urn:a", "valueAttachment": left}]}
