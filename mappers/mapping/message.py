"""What a system sent, as it came, and what the clinic says about it.

Time is an argument: `received` is when the runtime had all of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Message:
    """`object_id`: which object it is about, where the sender says so beside the body (a webhook, an address)."""

    raw: bytes = field(repr=False)
    received: datetime
    object_id: str | None = None

    @property
    def sha256(self) -> str:
        return sha256(self.raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Tables:
    """What only the clinic knows. Whatever is missing here is not guessed.

    `zone`: in which its clocks run, for systems that send local times. `actors`: `system|value` of a practitioner, room
    or device of the source -> reference here. `statuses`: status words that the clinic made up -> Appointment.status.
    """

    zone: ZoneInfo | None = None
    actors: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
