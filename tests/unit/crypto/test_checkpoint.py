"""A checkpoint is what the log signed, and a witness's line is what the witness signed; nothing else passes for it."""

import pytest

from fhir_server.crypto import checkpoint
from fhir_server.crypto.checkpoint import Checkpoint, Cosignature
from fhir_server.crypto.errors import SignatureError
from fhir_server.crypto.signing import Signer

LOG, OTHER, WITNESS = Signer(b"l" * 32), Signer(b"o" * 32), Signer(b"w" * 32)
SAID = Checkpoint("audit.example/log", 5, b"r" * 32, ("destroyed-keys 0 AAAA",))
NOTE = checkpoint.signed(SAID, LOG.public, LOG.sign)
KEY = checkpoint.verifier_key(SAID.origin, LOG.public)
WITNESS_KEY = checkpoint.witness_key("witness.example", WITNESS.public)


def test_what_the_log_signed_is_opened() -> None:
    assert checkpoint.opened(NOTE, KEY) == SAID
    assert NOTE.startswith("audit.example/log\n5\n")


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace("\n5\n", "\n6\n"),
        NOTE.replace("destroyed-keys 0", "destroyed-keys 1"),
        NOTE.replace("\n5\n", "\n05\n"),
        NOTE.partition("\n\n")[0] + "\n\n",
        NOTE.replace("audit.example/log ", "audit.example/other "),
        checkpoint.signed(SAID, OTHER.public, OTHER.sign),
        checkpoint.signed(Checkpoint("another", 5, b"r" * 32), LOG.public, LOG.sign),
        checkpoint.signed(Checkpoint(SAID.origin, 5, b"short"), LOG.public, LOG.sign),
        "",
        "\n\n\n",
        NOTE + "x" * 70_000,
    ],
)
def test_what_the_log_did_not_sign_is_refused(note: str) -> None:
    with pytest.raises(SignatureError):
        checkpoint.opened(note, KEY)


@pytest.mark.parametrize("key", ["", "a+b", KEY.replace("+", "+0", 1), KEY[:-4] + "AAA=", WITNESS_KEY])
def test_what_is_no_key_of_a_log_is_refused(key: str) -> None:
    with pytest.raises(SignatureError):
        checkpoint.opened(NOTE, key)


def test_a_witness_adds_its_line_and_the_time() -> None:
    note = NOTE + checkpoint.cosigned(NOTE, "witness.example", WITNESS.public, WITNESS.sign, 1_800_000_000)

    assert checkpoint.witnessed(note, WITNESS_KEY) == Cosignature("witness.example", 1_800_000_000)
    assert checkpoint.opened(note, KEY) == SAID


def test_a_line_that_no_witness_wrote_is_refused() -> None:
    line = checkpoint.cosigned(NOTE, "witness.example", WITNESS.public, WITNESS.sign, 1_800_000_000)
    longer = checkpoint.signed(Checkpoint(SAID.origin, 6, b"r" * 32), LOG.public, LOG.sign)

    for note in (NOTE, longer + line):
        with pytest.raises(SignatureError):
            checkpoint.witnessed(note, WITNESS_KEY)
    with pytest.raises(SignatureError):
        checkpoint.witnessed(NOTE + line, checkpoint.witness_key("witness.example", OTHER.public))


def test_a_line_that_is_no_signature_is_passed_over() -> None:
    assert checkpoint.opened(NOTE + "\u2014 somebody not-base64!\n", KEY) == SAID


def test_lines_that_are_no_signatures_are_passed_by() -> None:
    noisy = NOTE.replace("\n\n", "\n\nno signature\n\u2014 somebody AAAA\n\u2014 somebody %%\n")

    assert checkpoint.opened(noisy, KEY) == SAID


def test_a_verifier_key_that_is_none_is_refused() -> None:
    name, id, _ = KEY.split("+", 2)

    with pytest.raises(SignatureError, match="verifier key"):
        checkpoint.opened(NOTE, f"{name}+{id}+%%%")
