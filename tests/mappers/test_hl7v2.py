"""HL7 v2: what a message comes to, what is answered, what is sent. T42, S115 by way of messages."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from mappers.hl7v2.answers import Fault, Verdict, answer
from mappers.hl7v2.documents import without_photos
from mappers.hl7v2.messages import UnsupportedError, read
from mappers.hl7v2.parsing import parsed
from mappers.hl7v2.sending import Ends, siu
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message, Tables
from tests.mappers.golden import RECEIVED, named, tables

DATA = Path(__file__).parents[3] / "shared/data/hl7v2"
ENDS = Ends(("FHIR", "CLINIC"), ("EHR", "HAUTE"))


def one(name: str, type: str) -> Any:
    entries = named(f"hl7v2/{name}").mapped().bundle["entry"]
    [found] = [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == type]
    return found


def altered(name: str, before: str, after: str) -> Any:
    case = named(f"hl7v2/{name}")
    assert before.encode() in case.message.raw
    return replace(case, message=replace(case.message, raw=case.message.raw.replace(before.encode(), after.encode())))


@pytest.mark.parametrize(
    ("trigger", "status"),
    {
        **dict.fromkeys(("s12", "s13", "s18", "s19", "s20", "s21", "s22"), "booked"),
        **dict.fromkeys(("s15", "s16"), "cancelled"),
        "s17": "entered-in-error",
        "s26": "noshow",
    }.items(),
)
def test_each_trigger_has_its_status(trigger: str, status: str) -> None:
    assert one(f"siu-{trigger}", "Appointment")["status"] == status


def test_a_change_that_tells_no_status_leaves_the_one_that_is_there() -> None:
    part = one("siu-s14", "Appointment")

    assert "status" not in part
    assert "SUBSETTED" in str(part["meta"])


@pytest.mark.parametrize(("trigger", "status"), [("s23", "busy-unavailable"), ("s24", "free")])
def test_a_block_is_a_slot(trigger: str, status: str) -> None:
    assert one(f"siu-{trigger}", "Slot")["status"] == status


def test_start_and_end_come_from_whichever_field_has_them() -> None:
    assert one("siu-s12", "Appointment")["start"] == one("siu-s12-times-in-ais", "Appointment")["start"]
    assert one("siu-s12-times-in-ais", "Appointment")["end"] == "2026-03-16T09:45:00Z"


def test_a_resource_that_was_taken_away_takes_no_part() -> None:
    types = [who["actor"].get("type") for who in one("siu-s20", "Appointment")["participant"]]

    assert "Practitioner" in types
    assert "Location" not in types


def test_the_character_set_is_the_one_that_the_header_names() -> None:
    assert one("siu-s12-latin-1", "Patient")["name"][0]["given"] == ["Zoé", "A"]


def test_escapes_are_resolved() -> None:
    assert one("siu-s12", "Appointment")["comment"] == "First line\nsecond & third"


def test_an_ins_is_carried_with_a_qualified_identity_alone() -> None:
    systems = [
        {known["system"] for known in one(name, "Patient")["identifier"]}
        for name in ("adt-a28", "adt-a28-qualified-ins")
    ]

    assert ["urn:oid:1.2.250.1.213.1.4.8" in found for found in systems] == [False, True]


def test_a_merge_ends_one_record_and_links_it_to_the_other() -> None:
    entries = named("hl7v2/adt-a40").mapped().bundle["entry"]

    [gone] = [e["resource"] for e in entries if e["resource"].get("active") is False]
    assert gone["identifier"][0]["value"] == "4470"
    assert gone["link"] == [{"other": {"reference": entries[0]["fullUrl"]}, "type": "replaced-by"}]


def test_a_discharge_ends_the_stay() -> None:
    assert one("adt-a03", "Encounter")["status"] == "finished"
    assert one("adt-a03", "Encounter")["period"]["end"] == "2026-03-01T11:00:00Z"


def test_a_photograph_in_a_result_is_a_media_and_lies_in_no_raw_message() -> None:
    case = named("hl7v2/oru-r01-photo")

    photo = one("oru-r01-photo", "Media")
    kept = without_photos(case.message.raw, parsed(case.message.raw))

    assert photo["content"]["contentType"] == "image/png"
    assert photo["content"]["data"].encode() not in kept
    assert b"OBX|2|NM" in kept


def test_what_nobody_asked_for_is_lost_by_name() -> None:
    losses = {loss.path for loss in named("hl7v2/oru-r01-photo").mapped().losses}

    assert {"OBX-6", "OBX-11"} <= losses
    assert not any("8310" in path for path in losses)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("siu-s12", "SIU^S12", "SIU^S99"),
        ("siu-s12", "|P|2.5.1", "|T|2.5.1"),
    ],
)
def test_what_is_not_taken_is_unsupported(name: str, before: str, after: str) -> None:
    with pytest.raises(UnsupportedError):
        altered(name, before, after).mapped()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("siu-s12", "|MSG00001|", "||"),
        ("siu-s12", "UNICODE UTF-8", "KLINGON"),
        ("siu-s12", "PID|1||4471^^^CLINIC^MR~999", "PID|1||~"),
        ("siu-s12", "Booked", "Perhaps"),
        ("siu-s12", "20260316100000+0100", "20261316100000+0100"),
        ("siu-s12", "20260316100000+0100", "20260316"),
        ("siu-s12", "20260316100000+0100", "20260316100000+2500"),
        ("oru-r01-photo", "^Base64^", "^Hex^"),
        ("oru-r01-photo", "^PNG^", "^TIFF^"),
        ("oru-r01-photo", "^Base64^iVBOR", "^Base64^<b64>"),
        ("mdm-t02", "D-7^HAUTE", ""),
        ("adt-a40", "MRG|", "ZZZ|"),
    ],
)
def test_what_would_have_to_be_guessed_is_refused(name: str, before: str, after: str) -> None:
    with pytest.raises(UnusableError):
        altered(name, before, after).mapped()


def test_a_time_without_an_offset_needs_the_clinics_zone() -> None:
    case = altered("siu-s12", "+0100", "")

    with pytest.raises(UnusableError, match="time zone is not set"):
        case.mapped()

    assert (
        replace(case, tables=tables({"zone": "Europe/Paris"})).mapped().bundle
        == replace(case, tables=tables({"zone": "Europe/Paris"})).mapped().bundle
    )


def test_the_guides_own_message_comes_to_the_guides_own_patient() -> None:
    """The guide's Bundle is XML, whatever its name says. Its OBX-5 holds a placeholder; here stands Base64."""
    if not (DATA / "mdm_t02.hl7").exists():
        pytest.skip("HL7's example is not beside this checkout.")
    raw = (DATA / "mdm_t02.hl7").read_bytes().replace(b"<Base64 encoded>", b"JVBERi0xLjQK")
    expected = (DATA / "mdm_t02.bundle.json").read_text()

    entries = read(Message(raw, RECEIVED), tables({"zone": "UTC"})).bundle["entry"]

    [ours] = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Patient"]
    [name], [home] = ours["name"], ours["address"]
    said = {
        "value": [ours["identifier"][0]["value"]],
        "family": [name["family"]],
        "given": name["given"],
        "suffix": name["suffix"],
        "gender": [ours["gender"]],
        "birthDate": [ours["birthDate"]],
        "line": home["line"],
        "postalCode": [home["postalCode"]],
    }
    assert [f'<{element} value="{value}"' in expected for element, values in said.items() for value in values] == [
        True
    ] * 9
    [document] = [e["resource"] for e in entries if e["resource"]["resourceType"] == "DocumentReference"]
    assert len(document["content"]) == 2


def test_an_appointment_that_goes_out_comes_back() -> None:
    sent = one("siu-s12", "Appointment")

    raw = siu(sent, one("siu-s12", "Patient"), "S12", ENDS, RECEIVED, "OUT1")
    entries = read(Message(raw, RECEIVED), Tables()).bundle["entry"]

    [back] = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Appointment"]
    assert {name: back[name] for name in ("status", "start", "end")} == {n: sent[n] for n in ("status", "start", "end")}
    assert back["identifier"][0]["value"] == sent["identifier"][0]["value"]
    assert back["reasonCode"][0]["text"] == sent["reasonCode"][0]["text"]


def test_text_that_goes_out_cannot_begin_a_segment() -> None:
    patient = {"resourceType": "Patient", "identifier": [], "name": [{"family": "X\rMSA|AA|1"}]}

    raw = siu(one("siu-s12", "Appointment"), patient, "S12", ENDS, RECEIVED, "OUT1")

    assert [segment.name for segment in parsed(raw).segments] == ["MSH", "SCH", "PID", "RGS", "AIP", "AIL"]


NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_an_answer_names_the_message_and_turns_the_ends_round() -> None:
    given = parsed(named("hl7v2/siu-s12").message.raw)

    said = parsed(answer(given, Verdict.ACCEPTED, NOW, "A1"))

    assert [said.header.text(number) for number in (3, 4, 5, 6)] == ["FHIR", "CLINIC", "EHR", "HAUTE"]
    assert said.need("MSA").text(1) == "AA"
    assert said.need("MSA").text(2) == given.control_id
    assert said.first("ERR") is None


@pytest.mark.parametrize("given", [None, "siu-s12"])
def test_a_refusal_says_why_without_quoting(given: str | None) -> None:
    to = parsed(named(f"hl7v2/{given}").message.raw) if given else None

    said = parsed(answer(to, Verdict.REFUSED, NOW, "A1", Fault.UNSUPPORTED, "MSH-9 | is\rnot taken"))

    assert said.need("MSA").text(1) == "AR"
    assert said.need("ERR").text(3) == "200"
    assert [segment.name for segment in said.segments] == ["MSH", "MSA", "ERR"]


def test_a_thousand_siu_messages_and_webhooks_are_mapped_in_a_second() -> None:
    """The floor that is asked for, with room for a busy machine; the benchmark is not this test."""
    for case in (named("hl7v2/siu-s12"), named("calcom/booking-created")):
        case.mapped()
        began = process_time()
        for _ in range(100):
            case.mapped()

        assert process_time() - began < 0.4
