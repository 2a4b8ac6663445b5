"""Two key rings with memories on one store, against a dictionary that knows what each key must be."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fhir_server.crypto.errors import DestroyedKeyError
from fhir_server.crypto.keyring import Keyring
from fhir_server.crypto.keys import DataKey, KeyId
from fhir_server.crypto.rows import WrapperKind
from tests.properties.crypto.processes import REQUESTS, Request, World, alone

RINGS = st.integers(0, 1)
PHOTOS = st.sampled_from(["photo-1", "photo-2"])


class KeyringMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.rings: list[Keyring] = [self.world.keyring(), self.world.keyring()]
        self.living: dict[object, DataKey] = {}
        self.dead: set[KeyId] = set()
        self.dead_photos: set[str] = set()

    @rule(ring=RINGS, requests=st.lists(st.sampled_from(REQUESTS), max_size=4))
    def take(self, ring: int, requests: list[Request]) -> None:
        for request, key in alone(self.rings[ring].data_keys(requests)).items():
            assert key.id not in self.dead
            assert self.living.setdefault(request, key) == key

    @rule(ring=RINGS, photo=PHOTOS)
    def photograph(self, ring: int, photo: str) -> None:
        try:
            key = alone(self.rings[ring].rendition_key(REQUESTS[0][0], photo))
        except DestroyedKeyError:
            assert photo in self.dead_photos
        else:
            assert photo not in self.dead_photos
            assert self.living.setdefault(photo, key) == key

    @rule(ring=RINGS, which=st.lists(st.integers(0, 20), max_size=2))
    def destroy(self, ring: int, which: list[int]) -> None:
        names = {name for number, name in enumerate(self.living) if number in which}
        gone = {self.living.pop(name).id for name in names}
        done = alone(self.rings[ring].destroy(sorted(gone), "erasure"))
        assert {entry.key_id for entry in done.entries} == gone
        self.dead |= gone
        self.dead_photos |= {name for name in names if isinstance(name, str)}
        for other in self.rings:
            other.forget(gone)

    @rule(ring=RINGS)
    def rotate(self, ring: int) -> None:
        version = alone(self.rings[ring].rekeying.rotate_root())
        alone(self.rings[ring].rekeying.retire_root(version - 1))

    @rule(ring=RINGS)
    def forget(self, ring: int) -> None:
        self.rings[ring].forget_all()

    @invariant()
    def every_living_key_opens_and_no_dead_one_does(self) -> None:
        ids = [key.id for key in self.living.values()] + sorted(self.dead)
        for ring in self.rings:
            assert alone(ring.open_keys(ids)) == {key.id: key for key in self.living.values()}

    @invariant()
    def the_status_tells_the_same(self) -> None:
        status = alone(self.rings[0].status())
        assert sum(status.data_keys.values()) == len(self.living)
        assert status.destroyed.count == len(self.dead)
        assert not status.unfinished
        wrappers = [row for row in self.world.store.rows.values() if isinstance(row.kind, WrapperKind)]
        assert status.buckets + status.patients == len(wrappers)


KeyringMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestKeyring = KeyringMachine.TestCase
