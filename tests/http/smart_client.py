"""A client of SMART Backend Services as another system would write it, and a server in protected mode to meet it."""

import secrets
import time
from pathlib import Path
from typing import Any

import httpx
from joserfc import jws, jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from fhir_server.access.clients import add_client, new_client
from fhir_server.access.keys import KeyFolder
from fhir_server.access.principal import Principal
from fhir_server.app import build_engine
from fhir_server.cli.client import OPERATOR
from fhir_server.interactions.perform import perform
from fhir_server.interactions.request import Request
from fhir_server.model.clock import SystemClock
from fhir_server.model.codec import encode
from fhir_server.settings import Settings

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-384", {"kid": "ec-1"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa-1"})
"""A key with the id of another."""
ALL = jws.JWSRegistry(
    algorithms=["RS256", "RS384", "ES384", "ES256", "HS256", "HS384", "none"], strict_check_header=False
)
SCOPES = "system/Task.rus system/ServiceRequest.cruds system/Organization.rs"


def public(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """Return a JWK Set."""
    return {"keys": [{**key.as_dict(private=False), "kid": key.kid} for key in keys]}


def prepare(folder: Path, **clients: dict[str, Any]) -> dict[str, Any]:
    """Make a store with an organisation and clients, and keys; return the settings of a server on them."""
    settings: dict[str, Any] = {
        "store": f"sqlite:///{folder / 'fhir.sqlite'}",
        "key_folder": str(folder / "keys"),
        "mode": "protected",
        "publish_artifacts": False,
    }
    KeyFolder(folder / "keys", SystemClock()).rotate()
    engine = build_engine(Settings(**settings))
    organization = encode({"resourceType": "Organization", "id": "caw", "name": "CAW", "active": True})
    operator = Principal(roles=frozenset({"operator"}), agent="test")
    perform(
        engine,
        Request("PUT", "Organization/caw", body=organization, content_type="application/fhir+json", principal=operator),
    )
    for name, given in {"epd": {}, **clients}.items():
        stated = {
            "id": name,
            "name": name,
            "organization": "Organization/caw",
            "roles": ["referrer"],
            "scopes": SCOPES,
            "jwks": public(RSA, EC),
        } | given
        made = new_client({member: value for member, value in stated.items() if value is not None})
        engine.store.write(lambda uow, made=made: add_client(uow, made, OPERATOR))
    engine.store.close()
    return settings


def claims_for(url: str, client: str = "epd", **changed: Any) -> dict[str, Any]:
    """Return good claims of an assertion, some of them changed; None takes one out."""
    now = int(time.time())
    claims = {"iss": client, "sub": client, "aud": url, "exp": now + 120, "iat": now, "jti": secrets.token_hex(16)}
    return {name: value for name, value in (claims | changed).items() if value is not None}


def assertion(claims: dict[str, Any], key: RSAKey | ECKey | OctKey = RSA, **header: Any) -> str:
    """Sign an assertion."""
    given = {"alg": "RS384" if isinstance(key, RSAKey) else "ES384", "kid": key.kid, "typ": "JWT"} | header
    return jwt.encode(given, claims, key, registry=ALL)


class Caller:
    """Talks to one server."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.root = base.removesuffix("/fhir")
        self.token_url = f"{self.root}/oauth/token"
        self.http = httpx.Client(timeout=20)

    def ask(self, signed: str, scope: str = "system/Task.rs", at: str = "token", **more: str) -> httpx.Response:
        """Post a form with an assertion."""
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
        grant = {"grant_type": "client_credentials", "scope": scope} if at == "token" else {}
        return self.http.post(f"{self.root}/oauth/{at}", data={**form, **grant, **more})

    def good(self, client: str = "epd", at: str = "token", **changed: Any) -> str:
        """Return an assertion that is good but for what is changed."""
        return assertion(claims_for(f"{self.root}/oauth/{at}", client, **changed))

    def token(self, client: str = "epd", scope: str = "system/*.cruds") -> str:
        """Return an access token."""
        answer = self.ask(self.good(client), scope)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def read(self, token: str, path: str = "Organization/caw", **headers: str) -> httpx.Response:
        """Read with a token."""
        return self.http.get(f"{self.base}/{path}", headers={"Authorization": f"Bearer {token}", **headers})

    def close(self) -> None:
        """Close the connections."""
        self.http.close()


def keys_of(answer: dict[str, Any]) -> KeySet:
    """Read a published key set."""
    return KeySet.import_key_set({"keys": answer["keys"]})
