"""The bytes of a photo leave while it is live and its Media carries it, and as long as the token holds."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from fhir_server.engine.call import Call, Interaction
from fhir_server.engine.change import BlobMove
from fhir_server.engine.stored import Stored
from fhir_server.kernel.errors import EndedTokenError, GoneError, NotFoundError, TooManyRequestsError
from fhir_server.kernel.identity import ResourceKey
from fhir_server.media.delivery import Delivery
from fhir_server.media.ports import CONDEMNED, LIVE, PENDING, Photo
from tests.fakes.clock import NOW
from tests.fakes.photo_vault import PART
from tests.unit.engine.calls import SYSTEM, Running, running

pytestmark = pytest.mark.anyio
OWNER = ResourceKey("Media", "one")


class Grants:
    """All hold until `over`."""

    over = False

    async def ended(self, ids: Collection[str]) -> Mapping[str, str]:
        return dict.fromkeys(ids, "signed out") if self.over else {}


class Watch:
    """Lets all pass until it `stops`."""

    stops = False

    async def opened(self, _call: Call, _media: Stored) -> None:
        if self.stops:
            raise TooManyRequestsError("enough")


class Scene:
    def __init__(self) -> None:
        self.on: Running = running()
        self.grants = Grants()
        clinic = self.on.clinic
        self.watch = Watch()
        self.delivery = Delivery(
            self.on.engine, clinic.photos, clinic.clock, lambda _call, _type: True, self.grants, self.watch
        )

    async def photo(self, **content: object) -> Photo:
        """Live, of a Media that says so."""
        photo = await self.on.clinic.photos.put(b"\xff" * (PART + 1), "image/jpeg", OWNER, ("ann",))
        media = {
            "resourceType": "Media",
            "id": "one",
            "status": "completed",
            "content": {"contentType": "image/jpeg", "url": f"Binary/{photo.id}", **content},
        }
        change = self.on.drafts.of(OWNER, media, None, "PUT").moving_blob(BlobMove(photo.id, PENDING, LIVE))
        await self.on.engine.commit(Call(Interaction.UPDATE, SYSTEM, NOW, "Media", "one"), change)
        return photo


def asking(photo: Photo) -> Call:
    principal = replace(SYSTEM, grant="of-the-token")
    return Call(Interaction.READ, principal, NOW, "Binary", photo.id)


async def test_m1_a_condemned_photo_is_gone_though_its_media_can_be_read() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.on.clinic.memory.photos[photo.id] = replace(photo, state=CONDEMNED)

    with pytest.raises(GoneError):
        await scene.delivery.open(asking(photo))


async def test_m1_a_photo_that_its_media_does_not_carry_is_not_shown() -> None:
    scene = Scene()
    photo = await scene.photo(url="https://elsewhere.example/picture")

    with pytest.raises(NotFoundError):
        await scene.delivery.open(asking(photo))


async def test_m1_a_running_stream_is_cut_when_the_token_ends() -> None:
    scene = Scene()
    call = asking(await scene.photo())
    opened = await scene.delivery.open(call)
    assert opened is not None
    stream = scene.delivery.stream(call, opened, 0, opened.photo.length)
    first = await anext(stream)
    scene.grants.over = True

    with pytest.raises(EndedTokenError):
        await anext(stream)

    assert len(first) == PART


async def test_s_23_who_watches_what_leaves_can_stop_it() -> None:
    scene = Scene()
    photo = await scene.photo()
    scene.watch.stops = True

    with pytest.raises(TooManyRequestsError):
        await scene.delivery.open(asking(photo))
