"""Units that measure the same thing, and how they convert: those of UCUM that clinics write, exactly.

A unit that is not listed is compared as it is written. What is convertible is a list and no grammar, because an index
must know every spelling under which a quantity may have been stored.
https://ucum.org/ucum, https://hl7.org/fhir/R4/search.html#quantity
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

UCUM = "http://unitsofmeasure.org"


@dataclass(frozen=True, slots=True)
class Unit:
    """`dimension` names what it measures. In the first unit of that dimension a number is `number * factor + zero`."""

    code: str
    dimension: str
    factor: Fraction
    zero: Fraction = Fraction(0)

    def normal(self, number: Decimal | Fraction) -> Fraction:
        return Fraction(number) * self.factor + self.zero

    def own(self, normal: Fraction) -> Fraction:
        """The inverse of `normal`."""
        return (normal - self.zero) / self.factor


_SCALES: Mapping[str, Mapping[str, str]] = {
    "mass": {
        "g": "1",
        "kg": "1000",
        "mg": "1/1000",
        "ug": "1/1000000",
        "ng": "1/1000000000",
        "pg": "1/1000000000000",
        "[lb_av]": "453.59237",
        "[oz_av]": "28.349523125",
        "[stone_av]": "6350.29318",
    },
    "length": {
        "m": "1",
        "km": "1000",
        "dm": "1/10",
        "cm": "1/100",
        "mm": "1/1000",
        "um": "1/1000000",
        "nm": "1/1000000000",
        "[in_i]": "0.0254",
        "[ft_i]": "0.3048",
    },
    "area": {"m2": "1", "dm2": "1/100", "cm2": "1/10000", "mm2": "1/1000000"},
    "volume": {"L": "1", "l": "1", "dL": "1/10", "cL": "1/100", "mL": "1/1000", "ml": "1/1000", "uL": "1/1000000"}
    | {"cm3": "1/1000", "dm3": "1", "mm3": "1/1000000", "fL": "1/1000000000000000"},
    "time": {"s": "1", "ms": "1/1000", "min": "60", "h": "3600", "d": "86400", "wk": "604800"}
    | {"mo": "2629800", "a": "31557600"},
    "temperature": {"Cel": "1", "K": "1", "[degF]": "5/9"},
    "pressure": {"Pa": "1", "hPa": "100", "kPa": "1000", "bar": "100000", "mbar": "100"}
    | {"mm[Hg]": "133.322", "cm[H2O]": "98.0665"},
    "energy": {"J": "1", "kJ": "1000", "mJ": "1/1000", "cal": "4.184", "kcal": "4184"},
    "fluence": {"J/cm2": "1", "mJ/cm2": "1/1000", "J/m2": "1/10000"},
    "power": {"W": "1", "kW": "1000", "mW": "1/1000"},
    "frequency": {"/s": "1", "Hz": "1", "/min": "1/60", "{beats}/min": "1/60", "{breaths}/min": "1/60", "/h": "1/3600"},
    "mass concentration": {"g/L": "1", "g/dL": "10", "g/mL": "1000", "mg/L": "1/1000", "mg/dL": "1/100", "mg/mL": "1"}
    | {"ug/L": "1/1000000", "ug/dL": "1/100000", "ug/mL": "1/1000", "ng/L": "1/1000000000", "ng/dL": "1/100000000"}
    | {"ng/mL": "1/1000000", "pg/mL": "1/1000000000"},
    "substance concentration": {"mol/L": "1", "mmol/L": "1/1000", "umol/L": "1/1000000", "nmol/L": "1/1000000000"}
    | {"pmol/L": "1/1000000000000", "mmol/dL": "1/100", "umol/dL": "1/100000", "nmol/mL": "1/1000000"},
    "number concentration": {"/L": "1", "/mL": "1000", "/uL": "1000000", "10*3/uL": "1000000000"}
    | {"10*6/uL": "1000000000000", "10*9/L": "1000000000", "10*12/L": "1000000000000"},
    "activity concentration": {
        "[IU]/L": "1",
        "[IU]/mL": "1000",
        "m[IU]/L": "1/1000",
        "m[IU]/mL": "1",
        "u[IU]/mL": "1/1000",
    },
    "catalytic concentration": {
        "U/L": "1",
        "kU/L": "1000",
        "U/mL": "1000",
        "mU/L": "1/1000",
        "mU/mL": "1",
        "U/dL": "10",
    },
    "body mass index": {"kg/m2": "1", "g/m2": "1/1000"},
    "fraction": {"1": "1", "%": "1/100", "[ppth]": "1/1000", "[ppm]": "1/1000000"},
}
_ZEROS = {"K": Fraction("-273.15"), "[degF]": Fraction(-160, 9)}
"""0 K and 0 °F in degrees Celsius."""

UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        code: Unit(code, dimension, Fraction(factor), _ZEROS.get(code, Fraction(0)))
        for dimension, scale in _SCALES.items()
        for code, factor in scale.items()
    }
)
ALIKE: Mapping[str, tuple[Unit, ...]] = MappingProxyType(
    {dimension: tuple(UNITS[code] for code in scale) for dimension, scale in _SCALES.items()}
)
"""Dimension -> its units."""
