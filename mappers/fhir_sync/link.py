"""Two resources that are one: where each is, and how each was when they were last the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mappers.mapping.json_text import Json, decode_object, encode


@dataclass(frozen=True, slots=True)
class Link:
    """`etag`: the version that their server answered with. `our_base`, `their_base`: digests of elements.

    `ended`: one of the two is not there any more, and neither is made again.
    """

    ours: str
    theirs: str
    etag: str = ""
    our_base: Mapping[str, str] = field(default_factory=dict, repr=False)
    their_base: Mapping[str, str] = field(default_factory=dict, repr=False)
    ended: bool = False

    def written(self) -> str:
        said: Json = {
            "ours": self.ours,
            "theirs": self.theirs,
            "etag": self.etag,
            "our_base": dict(self.our_base),
            "their_base": dict(self.their_base),
            "ended": self.ended,
        }
        return encode(said).decode()


def read(text: str) -> Link:
    said = decode_object(text.encode())
    return Link(said["ours"], said["theirs"], said["etag"], said["our_base"], said["their_base"], said["ended"])
