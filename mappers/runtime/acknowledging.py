"""What an HL7 v2 sender is told: AA once the message is committed, AE or AR with the reason.

HL7 v2.5.1 section 2.9.2. AE: it may be sent again, after what ERR says is mended. AR: it is of no kind that is taken.
"""

import secrets
from dataclasses import dataclass

from mappers.hl7v2.answers import Fault, Verdict, answer
from mappers.hl7v2.messages import UnsupportedError
from mappers.hl7v2.parsing import Parsed, parsed
from mappers.mapping.faults import UnusableError
from mappers.mapping.message import Message
from mappers.runtime.delivery import Delivery, Outcome
from mappers.runtime.faults import NotNowError, RejectedError, SetupError

_TAKEN = frozenset({Outcome.WRITTEN, Outcome.NOTHING_NEW, Outcome.DUPLICATE, Outcome.WAITING})
_LATER = "The server is not able to take it now; send it again."
_NOT_TAKEN = "The server does not take what it holds."


@dataclass(frozen=True, slots=True)
class Acknowledging:
    delivery: Delivery

    async def answer(self, raw: bytes) -> bytes:
        try:
            header = parsed(raw)
        except UnusableError as error:
            return self._said(None, Verdict.REFUSED, Fault.NOT_UNDERSTOOD, str(error))
        message, mapping = Message(raw, self.delivery.clock()), None
        try:
            mapping = self.delivery.mapping(message)
        except UnsupportedError as error:
            return self._said(header, Verdict.REFUSED, Fault.UNSUPPORTED, str(error))
        except UnusableError as error:
            why = str(error)
        else:
            why = _NOT_TAKEN
        try:
            outcome = await self.delivery.deliver(message, mapping=mapping)
        except (NotNowError, RejectedError, SetupError):
            return self._said(header, Verdict.FAILED, Fault.NOT_POSSIBLE, _LATER)
        if outcome in _TAKEN:
            return self._said(header, Verdict.ACCEPTED)
        return self._said(
            header, Verdict.FAILED, Fault.NOT_UNDERSTOOD if outcome is Outcome.DEAD else Fault.NOT_POSSIBLE, why
        )

    def _said(self, to: Parsed | None, verdict: Verdict, fault: Fault | None = None, why: str = "") -> bytes:
        return answer(to, verdict, self.delivery.clock(), secrets.token_hex(10), fault, why)
