"""Content that only the holder of a key reads: compact JWE, encrypted directly with a key of 256 bits.

RFC 7516; https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html: `dir`, `A256GCM`, `DEF`.
"""

from joserfc import jwe
from joserfc.jwk import OctKey

_ALGORITHMS = ["dir", "A256GCM", "DEF"]


def encrypt_jwe(content: bytes, key: bytes, media_type: str) -> str:
    """Compressed, then encrypted; `media_type` becomes `cty`. A key is for one content."""
    header = {"alg": "dir", "enc": "A256GCM", "zip": "DEF", "cty": media_type}
    return jwe.encrypt_compact(header, content, OctKey.import_key(key), algorithms=_ALGORITHMS)
