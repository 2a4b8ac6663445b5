"""`python -m benchmarks.partitions`: would partitions hide how often a value of few possibilities occurs?

The design would store the token of a gender, a city or a year under one of four random partitions, so that nobody
counts the commonest value. This plays who has the database and not the key: given a column of partitioned tokens, put
those together again that stand for one value, by nothing but the other tokens of the same rows.
"""

import random  # noqa: TID251  a simulation that is the same each time
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt

from fhir_server.kernel.json import Json
from fhir_server.search.extract import index_keywords

_PARTITIONS = 4
_SIZES = (200, 1000, 5000)
_RUNS = 3
_NAMES = 200
_UNISEX = 0.05
_CITIES, _CODES = 6, 20
_BORN, _YEAR = (1940, 2005), 4
_TELLING = 0.9
"""A token belongs to one value if so much of it falls on as many tokens of the column as there are partitions."""

_COLUMNS: Mapping[str, Callable[[str, str], bool]] = {
    "gender": lambda parameter, _: parameter == "Patient.gender",
    "city": lambda parameter, keyword: parameter == "Patient.address" and keyword.endswith("ham") and keyword[0] == "=",
    "year of birth": lambda parameter, keyword: parameter == "Patient.birthdate" and len(keyword) == _YEAR,
}

Row = frozenset[tuple[str, str]]


def main() -> int:
    print("| column | patients | partitions put together rightly |\n|---|---|---|")
    for column in _COLUMNS:
        for size in _SIZES:
            shares = [_joined(column, list(_rows(size, run)), random.Random(run)) for run in range(_RUNS)]  # noqa: S311  a simulation
            print(f"| {column} | {size} | {sum(shares) / _RUNS:.0%} |")
    return 0


def _rows(size: int, run: int) -> Iterator[Row]:
    """Names as they are spread among people: few are common, most belong to one gender; a city has its postal codes."""
    chance = random.Random(run)  # noqa: S311  a simulation
    weights = [1 / (rank + 1) for rank in range(_NAMES)]
    for number in range(size):
        gender = chance.choice(["female", "male"])
        of = chance.choice(["female", "male"]) if chance.random() < _UNISEX else gender
        [given] = chance.choices(range(_NAMES), weights)
        city = chance.choices(range(_CITIES), [1 / (rank + 1) for rank in range(_CITIES)])[0]
        patient: Json = {
            "resourceType": "Patient",
            "id": f"p{number}",
            "gender": gender,
            "name": [{"given": [f"{_word(chance_of=given)}{of[0]}"]}],
            "address": [{"city": f"{_word(city)}ham", "postalCode": f"{city}{chance.randrange(_CODES):02}"}],
            "birthDate": f"{chance.randint(*_BORN)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        }
        yield frozenset(index_keywords(patient))


def _word(chance_of: int) -> str:
    """A word of its own for each number."""
    return "".join(chr(ord("a") + chance_of // 26**place % 26) for place in range(3))


def _joined(column: str, rows: Sequence[Row], chance: random.Random) -> float:
    """The share of partitions whose nearest others, by the tokens beside them, are those of the same value."""
    beside: dict[tuple[str, int], Counter[tuple[str, str]]] = defaultdict(Counter)
    seen: Counter[tuple[str, str]] = Counter()
    for row in rows:
        [value] = [keyword for parameter, keyword in row if _COLUMNS[column](parameter, keyword)]
        # Shorter forms of the same value would be partitioned as well.
        others = [each for each in row if not value.removeprefix("=").startswith(each[1].removeprefix("="))]
        seen.update(others)
        beside[value, chance.randrange(_PARTITIONS)].update(others)
    spread: dict[tuple[str, str], list[int]] = defaultdict(list)
    for counts in beside.values():
        for token, count in counts.items():
            spread[token].append(count)
    telling = {
        token
        for token, counts in spread.items()
        if seen[token] > 1 and sum(sorted(counts)[-_PARTITIONS:]) >= _TELLING * seen[token]
    }
    vectors = {each: {token: n for token, n in found.items() if token in telling} for each, found in beside.items()}
    right = [
        _nearest(each, vectors) == {other for other in vectors if other[0] == each[0]} - {each} for each in vectors
    ]
    return sum(right) / len(right)


def _nearest(one: tuple[str, int], vectors: Mapping[tuple[str, int], Mapping[tuple[str, str], int]]) -> set[object]:
    """As many as the value has other partitions; an attacker knows that number."""
    siblings = sum(other[0] == one[0] for other in vectors) - 1
    ordered = sorted(
        (other for other in vectors if other != one), key=lambda other: -_alike(vectors[one], vectors[other])
    )
    return set(ordered[:siblings])


def _alike(one: Mapping[tuple[str, str], int], other: Mapping[tuple[str, str], int]) -> float:
    """The cosine of two counts."""
    both = sum(count * other.get(token, 0) for token, count in one.items())
    return both / (sqrt(sum(n * n for n in one.values())) * sqrt(sum(n * n for n in other.values())) or 1)


if __name__ == "__main__":
    sys.exit(main())
