"""The stamp of a resource: which message made it as it is, so that an older one that comes later changes nothing.

An extension, one per aspect: `*` is the resource as a whole, `status` its status alone, `participant …` the answer of
one participant.
"""

from mappers.mapping.identifiers import OURS
from mappers.mapping.json_text import Json
from mappers.mapping.result import Order

ORDER = f"{OURS}:order"
WHOLE = "*"
_PARTS = 4
_DIGITS = 9


def stamped(resource: Json, order: Order, aspect: str = WHOLE) -> Json:
    """With a stamp of this aspect instead of the one it had."""
    others = [extension for extension in resource.get("extension", ()) if _aspect(extension) != aspect]
    return {**resource, "extension": [*others, {"url": ORDER, "valueString": _written(order, aspect)}]}


def stamps(resource: Json) -> dict[str, Order]:
    """What is no stamp of ours is passed over."""
    found = (extension for extension in resource.get("extension", ()) if extension.get("url") == ORDER)
    return dict(stamp for stamp in (_read(str(extension.get("valueString"))) for extension in found) if stamp)


def _written(order: Order, aspect: str) -> str:
    return "|".join((f"{order.sequence:0{_DIGITS}}", order.instant, order.tie.replace("|", "/"), aspect))


def _read(text: str) -> tuple[str, Order] | None:
    parts = text.split("|", _PARTS - 1)
    if len(parts) != _PARTS or not parts[0].isdigit():
        return None
    return parts[3], Order(int(parts[0]), parts[1], parts[2])


def _aspect(extension: Json) -> str | None:
    read = _read(str(extension.get("valueString"))) if extension.get("url") == ORDER else None
    return read[0] if read else None
