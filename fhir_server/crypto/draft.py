"""Keys to seal with before it is known that they stand.

Architecture section 5: a key is durable before its first use, and what was sealed is used once it is committed. So the
database may store the keys and what they seal at the same time, as long as the one has ended before the other commits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhir_server.crypto.keys import DataKey, DataRequest
from fhir_server.crypto.making import Drawn
from fhir_server.crypto.rows import Wanted


@dataclass(frozen=True, slots=True)
class Draft:
    """`remembered` and `made` are by the keys' names; `left` is what was not remembered.

    `began`: how often something had been forgotten, so that nothing is remembered that was forgotten meanwhile.
    """

    asked: Mapping[DataRequest, Wanted]
    remembered: Mapping[str, DataKey]
    left: Sequence[Wanted]
    drawn: Drawn | None
    made: Mapping[str, DataKey]
    began: int

    @property
    def keys(self) -> Mapping[DataRequest, DataKey] | None:
        """None where some have to be looked for in the store first."""
        if self.left and self.drawn is None:
            return None
        return self.answer({**self.remembered, **self.made})

    def answer(self, keys: Mapping[str, DataKey]) -> Mapping[DataRequest, DataKey]:
        """These keys, by what was asked for."""
        return {request: keys[place.name] for request, place in self.asked.items()}
