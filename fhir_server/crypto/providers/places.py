"""Which keeper of the root key a name means: each names its key as its own world does.

RFC 7512 (PKCS #11 URIs), the address of a key in Vault's HTTP API, an ARN of AWS; no name is the file.
"""

from pathlib import Path

from fhir_server.crypto.errors import ProviderError
from fhir_server.crypto.providers.file import FileProvider
from fhir_server.crypto.providers.port import RootKeyProvider

_MOST_TOKEN = 16_384


def keeper(name: str, file: Path, token: Path | None) -> RootKeyProvider:
    """Its library is imported only where it is used. Raises ProviderError; that a key is there is not looked at."""
    try:
        if name.startswith("pkcs11:"):
            from fhir_server.crypto.providers.pkcs11 import ModuleKey, Pkcs11Provider

            return Pkcs11Provider(ModuleKey.at(name))
        if name.startswith("arn:"):
            from fhir_server.crypto.providers.aws import AwsProvider, KmsKey

            return AwsProvider(KmsKey.at(name))
    except ImportError as missing:
        raise ProviderError(f"This keeper of the root key needs a package that is not here: {missing.name}.") from None
    if name:
        from fhir_server.crypto.providers.vault import TransitKey, VaultProvider

        return VaultProvider(TransitKey.at(name), lambda: _token(token))
    return FileProvider(file)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open() as file:
            return file.read(_MOST_TOKEN).strip()
    except (OSError, ValueError):
        raise ProviderError("The file with the token for the keeper of the root key cannot be read.") from None
