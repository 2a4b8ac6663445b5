"""Whether an id is, or holds, a number by which a state knows a person: a table of forms and check digits.

Ids stay readable in the database and in URLs (architecture section 4), so a client must not choose such a one. The
sources are the rules of each issuing authority, named beside each row. Numbers without a check digit cannot be told
from others and are not here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from fhir_server.kernel.check_digits import (
    Check,
    born,
    both,
    complement,
    letter,
    luhn,
    mod_11_10,
    remainder,
    replaced,
    two_stages,
    weighted,
)

_YYMMDD = (slice(0, 2), slice(2, 4), slice(4, 6))
_DDMMYY = (slice(4, 6), slice(2, 4), slice(0, 2))
_CENTURY_IN_MONTH = (0, 20, 40, 60, 80)
_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"
_IRISH = "WABCDEFGHIJKLMNOPQRSTUV"
_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_BALTIC = two_stages((1, 2, 3, 4, 5, 6, 7, 8, 9, 1), (3, 4, 5, 6, 7, 8, 9, 1, 2, 3))
_LATVIAN = (1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_LATVIAN_WITHOUT_DATE = {f"3{digit}" for digit in range(2, 10)}
_ITALIAN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


@dataclass(frozen=True, slots=True)
class Scheme:
    """`form`: how the number is written without blanks, hyphens and dots, in capitals."""

    name: str
    form: re.Pattern[str]
    check: Check


def _codice_fiscale(number: str) -> bool:
    """Odd places count by a table, even ones by their rank; digits as the letters of the same rank."""
    ranks = [int(each) if each.isdigit() else ord(each) - ord("A") for each in number[:-1]]
    return (sum(_ITALIAN_ODD[rank] for rank in ranks[::2]) + sum(ranks[1::2])) % 26 == ord(number[-1]) - ord("A")


def _kvnr(number: str) -> bool:
    """The letter as its rank in two digits; then every second digit doubled, sums of digits modulo 10."""
    digits = f"{ord(number[0]) - ord('A') + 1:02}{number[1:-1]}"
    products = [int(digit) * (1 + place % 2) for place, digit in enumerate(digits)]
    return sum(product // 10 + product % 10 for product in products) % 10 == int(number[-1])


def _pps(number: str) -> bool:
    """Since 2013 a second letter counts too, nine times its rank; W is nought, as is none."""
    total = sum(map(int.__mul__, map(int, number[:7]), range(8, 1, -1))) + 9 * _IRISH.index(number[8:] or "W")
    return _IRISH[total % len(_IRISH)] == number[7]


def _tckn(number: str) -> bool:
    digits = [int(digit) for digit in number]
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def _repeats_as_it_must(number: str) -> bool:
    """§ 139b AO: among the first ten digits one occurs twice or three times, and no other repeats."""
    return sorted(number[:10].count(digit) for digit in set(number[:10]))[-2:] in ([1, 2], [1, 3])


_TABLE = (
    ("NHS, CHI and H&C number (NHS Data Dictionary)", r"\d{10}", weighted(range(10, 0, -1), 11)),
    ("PPS number (Ireland, Department of Social Protection)", r"\d{7}[A-W][A-IW]?", _pps),
    (
        "NIR and INS (France, INSEE and Référentiel INS)",
        r"[1-478]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2A|2B)\d{8}",
        replaced((("2A", "19"), ("2B", "18")), complement(13, 97, "")),
    ),
    (
        "NISS (Belgium, Rijksregister)",
        r"\d{2}(?:[024]\d|[135][0-2])(?:[0-2]\d|3[01])\d{5}",
        complement(9, 97, "", "2"),
    ),
    ("BSN (Netherlands, RvIG)", r"\d{9}", weighted((9, 8, 7, 6, 5, 4, 3, 2, -1), 11)),
    ("KVNR (Germany, § 290 SGB V)", r"[A-Z]\d{9}", _kvnr),
    ("Steuer-IdNr (Germany, § 139b AO)", r"[1-9]\d{10}", both(mod_11_10, _repeats_as_it_must)),
    (
        "Sozialversicherungsnummer (Austria, § 30c ASVG)",
        r"[1-9]\d{9}",
        both(
            remainder((3, 7, 9, 0, 5, 8, 4, 2, 1, 6), 11, 3),
            born(slice(8, 10), slice(6, 8), slice(4, 6), months=(0, 1, 2, 3)),
        ),
    ),
    ("AHV number (Switzerland, AHVV art. 133)", r"756\d{10}", weighted((1, 3) * 6 + (1,), 10)),
    (
        "Matricule (Luxembourg, loi du 19 juin 2013)",
        r"(?:18|19|20)\d{11}",
        both(lambda number: luhn(12)(number[:12]), born(slice(0, 4), slice(4, 6), slice(6, 8))),
    ),
    ("DNI (Spain, Ministerio del Interior)", r"\d{8}[A-HJ-NP-TV-Z]", letter(_SPANISH)),
    (
        "NIE (Spain, Ministerio del Interior)",
        r"[XYZ]\d{7}[A-HJ-NP-TV-Z]",
        lambda number: letter(_SPANISH)(f"{'XYZ'.index(number[0])}{number[1:]}"),
    ),
    ("NIF (Portugal, Decreto-Lei 14/2013)", r"[123]\d{8}", remainder(range(-9, -1), 11, instead_of_ten=0)),
    (
        "Codice fiscale (Italy, D.M. 23 dicembre 1976)",
        r"[A-Z]{6}[\dL-V]{2}[A-EHLMPR-T][\dL-V]{2}[A-Z][\dL-V]{3}[A-Z]",
        _codice_fiscale,
    ),
    (
        "CPR number (Denmark, CPR-kontoret)",
        r"\d{10}",
        both(weighted((4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11), born(*_DDMMYY)),
    ),
    ("Personnummer (Sweden, Skatteverket)", r"\d{10}", both(luhn(10), born(*_YYMMDD, days=(0, 60)))),
    (
        "Personnummer with century (Sweden, Skatteverket)",
        r"(?:18|19|20)\d{10}",
        both(luhn(10), born(slice(0, 4), slice(4, 6), slice(6, 8), days=(0, 60))),
    ),
    (
        "Fødselsnummer and D-nummer (Norway, Skatteetaten)",
        r"\d{11}",
        both(
            weighted((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), 11),
            weighted((5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11),
            born(*_DDMMYY, months=(0, 40, 80), days=(0, 40)),
        ),
    ),
    (
        "Henkilötunnus (Finland, DVV)",
        r"\d{6}[A-FU-Y]?\d{3}[0-9A-FHJ-NPR-Y]",
        both(lambda number: _FINNISH[int(number[:6] + number[-4:-1]) % 31] == number[-1], born(*_DDMMYY)),
    ),
    (
        "Kennitala (Iceland, Þjóðskrá)",
        r"\d{9}[089]",
        both(weighted((3, 2, 7, 6, 5, 4, 3, 2, 1), 11), born(*_DDMMYY)),
    ),
    (
        "Isikukood and asmens kodas (Estonia, Lithuania)",
        r"[1-8]\d{10}",
        both(_BALTIC, born(slice(1, 3), slice(3, 5), slice(5, 7))),
    ),
    (
        "Personas kods (Latvia, PMLP)",
        r"\d{11}",
        both(
            lambda number: int(number[-1]) == (1 - sum(map(int.__mul__, map(int, number), _LATVIAN))) % 11 % 10,
            lambda number: number[:2] in _LATVIAN_WITHOUT_DATE or born(*_DDMMYY)(number),
        ),
    ),
    (
        "PESEL (Poland, Ministerstwo Cyfryzacji)",
        r"\d{11}",
        both(weighted((1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10), born(*_YYMMDD, months=_CENTURY_IN_MONTH)),
    ),
    (
        "Rodné číslo (Czechia, Slovakia)",
        r"\d{10}",
        both(lambda number: int(number[:9]) % 11 % 10 == int(number[9]), born(*_YYMMDD, months=(0, 20, 50, 70))),
    ),
    ("TAJ number (Hungary, 1996. évi XX. törvény)", r"\d{9}", remainder((3, 7, 3, 7, 3, 7, 3, 7), 10)),
    (
        "CNP (Romania, O.U.G. 97/2005)",
        r"[1-9]\d{12}",
        both(
            remainder((2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9), 11, instead_of_ten=1),
            born(slice(1, 3), slice(3, 5), slice(5, 7)),
        ),
    ),
    (
        "EGN (Bulgaria, GRAO)",
        r"\d{10}",
        both(remainder((2, 4, 8, 5, 10, 9, 7, 3, 6), 11, instead_of_ten=0), born(*_YYMMDD, months=(0, 20, 40))),
    ),
    ("AMKA (Greece, IDIKA)", r"\d{11}", both(luhn(11), born(*_DDMMYY))),
    ("OIB (Croatia, Porezna uprava)", r"\d{11}", mod_11_10),
    (
        "EMŠO and JMBG (Slovenia and others)",
        r"\d{4}[09]\d{8}",
        both(
            remainder((-7, -6, -5, -4, -3, -2) * 2, 11, instead_of_ten=0),
            born(slice(5, 7), slice(2, 4), slice(0, 2)),
        ),
    ),
    ("T.C. kimlik no (Türkiye, Law 5490)", r"[1-9]\d{10}", _tckn),
)

SCHEMES = tuple(Scheme(name, re.compile(form, re.ASCII), check) for name, form, check in _TABLE)

_SHORTEST, _LONGEST = 8, 16
_SEPARATOR = re.compile(r"[-.]+")
_LABELLED = re.compile(r"(?=[A-F]*[G-Z])[A-Z]{1,16}(\d+)", re.ASCII)
_UUID = re.compile(r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.ASCII)


@lru_cache(maxsize=10_000)
def national_number(id: str) -> str | None:
    """The name of a scheme whose number the id is, with or without separators or a label such as `nhs-`; else None."""
    text = id.upper()
    if _UUID.fullmatch(text):
        return None
    for candidate in dict.fromkeys(_candidates(text)):
        if _SHORTEST <= len(candidate) <= _LONGEST:
            for scheme in SCHEMES:
                if scheme.form.fullmatch(candidate) and scheme.check(candidate):
                    return scheme.name
    return None


def _candidates(id: str) -> Iterator[str]:
    """The whole, each part between separators, and all but the words around it.

    Not any digits within a longer text: random ids would pass by chance. A label has a letter that no hexadecimal
    number has, for the same reason.
    """
    parts = [part for part in _SEPARATOR.split(id) if part]
    yield "".join(parts)
    yield from parts
    yield from (labelled[1] for part in parts if (labelled := _LABELLED.fullmatch(part)))
    while parts and parts[0].isalpha():
        parts.pop(0)
    while parts and parts[-1].isalpha():
        parts.pop()
    yield "".join(parts)
