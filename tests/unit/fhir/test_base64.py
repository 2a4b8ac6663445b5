"""base64 is told without decoding it, and so is what decoding would tell."""

import binascii
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhir_server.fhir.primitives import is_base64


def decodes(text: str) -> bool:
    """The slow way: blanks and line breaks between groups of four alone, and then it decodes to something."""
    lines = re.split(r"[ \t\r\n]+", text)
    if any(len(line) % 4 for line in lines):
        return False
    try:
        return binascii.a2b_base64("".join(lines), strict_mode=True) != b""
    except (binascii.Error, ValueError):
        return False


@settings(max_examples=500)
@given(text=st.text("AB9+/=-_é \t\r\n\x0b", max_size=16) | st.text(max_size=8))
@example("AA==AA==")
@example("A===")
@example("====")
@example("=AAA")
@example("AA=A")
@example("AAA=\n")
@example("AA==\nAAAA")
def test_it_is_base64_exactly_where_it_decodes(text: str) -> None:
    assert is_base64(text) == decodes(text)
