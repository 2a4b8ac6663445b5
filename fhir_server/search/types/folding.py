"""Folds text so that case, accents and spacing do not matter: `Müller`, `MULLER` and `muller` are one.

https://hl7.org/fhir/R4/search.html#string
"""

from unicodedata import combining, normalize

_LETTERS = str.maketrans(
    {
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "\N{LATIN SMALL LETTER O WITH STROKE}": "o",
        "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
        "\N{LATIN SMALL LETTER D WITH STROKE}": "d",
        "\N{LATIN SMALL LETTER H WITH STROKE}": "h",
        "\N{LATIN SMALL LETTER ETH}": "d",
        "\N{LATIN SMALL LETTER THORN}": "th",
        "\N{LATIN SMALL LETTER AE}": "ae",
        "\N{LATIN SMALL LIGATURE OE}": "oe",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{MODIFIER LETTER APOSTROPHE}": "'",
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
    }
)
"""What Unicode does not decompose and people still type plainly."""


def fold(text: str) -> str:
    """Case folded, accents stripped, runs of white space one space. Folding twice changes nothing."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = normalize("NFKD", normalize("NFKD", text).casefold())
    bare = "".join(letter for letter in plain if not combining(letter))
    return " ".join(bare.translate(_LETTERS).split())
