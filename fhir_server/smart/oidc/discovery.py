"""What the server says of its authorization, in the three documents in which clients look for it: only what is so.

SMART App Launch 2.2 "Conformance", RFC 8414, OpenID Connect Discovery 1.0; IHE ITI-103. R-SMART-001 to -009, -068.
"""

from fhir_server.kernel.json import Json
from fhir_server.smart.clients.public_keys import ALGORITHMS
from fhir_server.smart.oidc.signing_keys import ALGORITHM

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
_SCOPES = (
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "patient/*.rs",
    "patient/*.read",
    "user/*.cruds",
    "user/*.rs",
    "user/*.read",
    "system/*.cruds",
    "system/*.rs",
    "system/*.read",
)
STYLES = {
    "color_background": "#ffffff",
    "color_error": "#9e2d2d",
    "color_highlight": "#1d6f78",
    "color_modal_backdrop": "",
    "color_success": "#3a7d44",
    "color_text": "#222222",
    "dim_border_radius": "4px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "sans-serif",
    "font_family_heading": "sans-serif",
}
"""The style that an app gets from an EHR which brings none of its own."""

_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def authorization_server(issuer: str) -> Json:
    """RFC 8414."""
    signing = list(ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/auth/authorize",
        "token_endpoint": f"{issuer}/auth/token",
        "introspection_endpoint": f"{issuer}/auth/introspect",
        "revocation_endpoint": f"{issuer}/auth/revoke",
        "jwks_uri": f"{issuer}/auth/jwks",
        "scopes_supported": _SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", *_METHODS],
        "token_endpoint_auth_signing_alg_values_supported": signing,
        "introspection_endpoint_auth_methods_supported": _METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": signing,
        "revocation_endpoint_auth_methods_supported": ["none", *_METHODS],
        "revocation_endpoint_auth_signing_alg_values_supported": signing,
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["en", "fr"],
        # IHE ITI-103: of which form access tokens are.
        "access_token_format": "ihe-jwt",
    }


def smart_configuration(issuer: str) -> Json:
    return {**authorization_server(issuer), "capabilities": CAPABILITIES}


def openid_configuration(issuer: str) -> Json:
    return {
        **authorization_server(issuer),
        "userinfo_endpoint": f"{issuer}/auth/userinfo",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "amr", "acr", "nonce", "fhirUser", "name"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }
