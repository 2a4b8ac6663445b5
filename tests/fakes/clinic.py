"""One clinic in memory: every port of the engine and of media, on the same memory."""

from fhir_server.consent.elsewhere import Elsewhere
from fhir_server.kernel.clock import Clock
from fhir_server.media.photos_within import may_carry_photo, shows_photo
from tests.fakes.audit_log import FakeAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.heads import FakeHeads
from tests.fakes.memory import Memory
from tests.fakes.mentions import FakeMentions
from tests.fakes.photo_vault import FakePhotos
from tests.fakes.resource_store import FakeResources
from tests.fakes.task_queue import FakeTaskQueue

BASE = "http://127.0.0.1:8000/fhir"


class FakeClinic:
    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.memory = Memory(self.clock, BASE)
        self.heads = FakeHeads(self.memory)
        self.resources = FakeResources(self.memory)
        self.audit = FakeAuditLog(self.memory, self.heads)
        self.tasks = FakeTaskQueue(self.memory)
        self.photos = FakePhotos(self.memory)
        self.mentions = FakeMentions(self.memory)

    @property
    def elsewhere(self) -> Elsewhere:
        return Elsewhere(self.resources, BASE, may_carry_photo, shows_photo)
