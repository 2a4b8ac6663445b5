"""What is answered to a message: AA once it is stored, AE or AR with the reason in ERR.

HL7 v2.5.1 section 2.9. The reason names a segment or a field and quotes nothing.
"""

from datetime import datetime
from enum import Enum

from mappers.hl7v2.parsing import Parsed

_END = "\r"
_REFUSE = str.maketrans(dict.fromkeys("|^~\\&\r\n", " "))


class Verdict(Enum):
    ACCEPTED = "AA"
    FAILED = "AE"
    REFUSED = "AR"


class Fault(Enum):
    """HL7 table 0357."""

    NOT_UNDERSTOOD = "100^Segment sequence error^HL70357"
    UNSUPPORTED = "200^Unsupported message type^HL70357"
    NOT_POSSIBLE = "207^Application internal error^HL70357"


def answer(
    to: Parsed | None, verdict: Verdict, now: datetime, id: str, fault: Fault | None = None, why: str = ""
) -> bytes:
    """`to` is None where not even the header could be read."""
    header = to.header if to else None
    names = [(header.raw(number) if header else "").split("~")[0] for number in (5, 6, 3, 4)]
    trigger = f"^{to.trigger}^ACK" if to and to.trigger else ""
    version = (header.text(12) if header else None) or "2.5.1"
    lines = [
        "|".join(["MSH", "^~\\&", *names, now.strftime("%Y%m%d%H%M%S+0000"), "", f"ACK{trigger}", id, "P", version])
        + "||||||UNICODE UTF-8",
        f"MSA|{verdict.value}|{_safe(to.control_id if to else '')}",
    ]
    if fault is not None:
        lines.append(f"ERR|||{fault.value}|E||||{_safe(why)}")
    return (_END.join(lines) + _END).encode()


def _safe(text: str) -> str:
    return text.translate(_REFUSE)[:200]
