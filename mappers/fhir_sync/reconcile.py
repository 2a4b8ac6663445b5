"""One resource on two servers -> what is written on either side, what is lost. The owner of an element is believed.

Nothing moves while nothing moved; what one side never said is not taken from the other. A second time changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mappers.fhir_sync.arriving import arriving
from mappers.fhir_sync.authority import Authority, Rule, Side
from mappers.fhir_sync.crossing import Crossing
from mappers.fhir_sync.elements import COPY_OF, SECURITY, digests, elements, origins, placed
from mappers.fhir_sync.link import Link
from mappers.fhir_sync.look import Look
from mappers.mapping.faults import UnusableError
from mappers.mapping.identifiers import identifier
from mappers.mapping.json_text import Json
from mappers.mapping.result import Loss

STAYS = "It stays on its own side."
NOT_TAKEN = "What that side makes of this kind is not carried."
DELETED = "It was deleted on one side, and stays on the other."
_MOST_ORIGINS = 8


@dataclass(frozen=True, slots=True)
class Ends:
    """`ours`, `theirs`: base URLs. `known`: our reference -> theirs, of what is on both sides."""

    ours: str
    theirs: str
    known: Mapping[str, str] = field(default_factory=dict, repr=False)

    def base(self, side: Side) -> str:
        return self.ours if side is Side.OURS else self.theirs

    def crossing(self, source: Side) -> Crossing:
        known = self.known if source is Side.OURS else {theirs: ours for ours, theirs in self.known.items()}
        return Crossing(self.base(source), known)


@dataclass(frozen=True, slots=True)
class Changes:
    """What to write: None leaves that side as it is. `delete`: on which side it ends. `ended`: it is let go of."""

    ours: Json | None = field(default=None, repr=False)
    theirs: Json | None = field(default=None, repr=False)
    losses: tuple[Loss, ...] = ()
    delete: Side | None = None
    ended: bool = False


def reconcile(theirs: Json | None, ours: Json | None, link: Link | None, ends: Ends, authority: Authority) -> Changes:
    """UnusableError where what would have to be written is not what was said."""
    if link is not None and link.ended:
        return Changes(ended=True)
    if theirs is not None and ours is not None:
        return _joined({Side.THEIRS: theirs, Side.OURS: ours}, link, ends, authority)
    there = Side.THEIRS if theirs is not None else Side.OURS
    found = theirs if theirs is not None else ours
    if found is None:
        return Changes(ended=True)
    if link is not None:
        return _deleted(found, there, authority)
    return _made(found, there, ends, authority)


def linked(theirs: Json, ours: Json, authority: Authority, sent: Changes) -> Link:
    """How both are now: what the next look is compared with.

    What a server made of what was sent to it is accepted, but where its own word counts: that is news to the other.
    """
    return Link(
        f"{ours['resourceType']}/{ours['id']}",
        f"{theirs['resourceType']}/{theirs['id']}",
        str(theirs.get("meta", {}).get("versionId", "")),
        _base(ours, sent.ours, Side.OURS, authority),
        _base(theirs, sent.theirs, Side.THEIRS, authority),
    )


def _base(stored: Json, sent: Json | None, side: Side, authority: Authority) -> dict[str, str]:
    type = stored["resourceType"]
    found = elements(stored, authority.choices(type))
    said = digests(found, [name for name in found if authority.rule(type, name) is Rule.JOINED])
    if sent is None:
        return said
    given = digests(elements(sent, authority.choices(type)))
    for name in found.keys() - {SECURITY}:
        if authority.rule(type, name) is Rule.JOINED or authority.owner(type, name) is side:
            said[name] = given.get(name, "")
    return said


def _deleted(left: Json, there: Side, authority: Authority) -> Changes:
    type = left["resourceType"]
    if authority.deletes(type, there.other):
        return Changes(delete=there, ended=True)
    return Changes(losses=(Loss(type, DELETED),), ended=True)


def _made(found: Json, source: Side, ends: Ends, authority: Authority) -> Changes:
    type = found["resourceType"]
    if not authority.may_create(type, source):
        return Changes(losses=(Loss(type, NOT_TAKEN),))
    url = f"{ends.base(source)}/{type}/{found['id']}"
    known = (*origins(found), url)
    if len(known) > _MOST_ORIGINS:
        raise UnusableError("It went through too many servers already.")
    crossing, losses = ends.crossing(source), list[Loss]()
    moved: dict[str, Json | None] = {}
    for name, element in elements(found, authority.choices(type)).items():
        if authority.rule(type, name) is Rule.STAYS:
            losses.append(Loss(f"{type}.{name}", STAYS))
        else:
            moved[name] = arriving(found, name, element, source, crossing, losses)
    copies = [identifier(COPY_OF, one, "secondary") for one in known]
    empty: Json = {"resourceType": type, "meta": {"source": url}, "identifier": copies}
    made = placed(empty, {"identifier": None, **moved}, authority.choices(type))
    if type == "Appointment" and "participant" not in made:
        raise UnusableError("The appointment is nobody's.")
    said = Changes(losses=tuple(losses))
    return replace(said, ours=made) if source is Side.THEIRS else replace(said, theirs=made)


def _joined(both: Mapping[Side, Json], link: Link | None, ends: Ends, authority: Authority) -> Changes:
    type = both[Side.OURS]["resourceType"]
    choices = authority.choices(type)
    look = Look(
        both,
        {side: elements(resource, choices) for side, resource in both.items()},
        {Side.OURS: link.our_base, Side.THEIRS: link.their_base} if link else None,
        {side: ends.crossing(side) for side in Side},
    )
    for name in sorted(look.given[Side.OURS].keys() | look.given[Side.THEIRS].keys() | look.remembered):
        rule = authority.rule(type, name)
        if look.is_still(name) or rule in {Rule.STAYS, Rule.ONCE}:
            continue
        if rule is Rule.JOINED:
            look.join(name)
        else:
            look.follow(name, authority.owner(type, name))
    new = {side: placed(both[side], moved, choices) if moved else None for side, moved in look.moved.items()}
    return Changes(new[Side.OURS], new[Side.THEIRS], tuple(look.losses))
