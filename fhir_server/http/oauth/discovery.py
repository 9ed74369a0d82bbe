"""What clients find out by themselves: /.well-known/smart-configuration and the public keys."""

from typing import Any

from fhir_server.access.assertions import ALGORITHMS
from fhir_server.http.oauth.common import OAuth

_PUBLIC = ("kty", "kid", "crv", "x", "y")


def smart_configuration(oauth: OAuth) -> dict[str, Any]:
    """Describe this server (SMART App Launch 2, conformance); nothing is named that a test does not exercise."""
    return {
        "issuer": oauth.issuer,
        "jwks_uri": f"{oauth.issuer}/oauth/jwks",
        "token_endpoint": oauth.token_url,
        "introspection_endpoint": f"{oauth.issuer}/oauth/introspect",
        "revocation_endpoint": f"{oauth.issuer}/oauth/revoke",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": ["system/*.cruds", "system/*.rs", "user/*.cruds", "patient/*.rs"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }


def jwks(oauth: OAuth) -> dict[str, Any]:
    """Return the public keys that check our tokens; those of a key that was replaced stay until its tokens are over."""
    keys = (key.as_dict(private=False) for key in oauth.tokens.public_keys().keys)
    return {
        "keys": [{name: key[name] for name in _PUBLIC if name in key} | {"use": "sig", "alg": "ES256"} for key in keys]
    }
