"""OpenID providers whose people are let in: which are trusted, and what their claims mean here, as data in a file."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast, get_args

from joserfc.jwk import KeySet

from fhir_server.access.jose import TokenRefused, Unverified, verified
from fhir_server.access.principal import Principal, Role
from fhir_server.access.scopes import Scope, resource_scopes
from fhir_server.access.tokens import Checked, check_times
from fhir_server.model.errors import FhirError
from fhir_server.model.reference import parse_reference

_SCHEMA: Final = Path(__file__).with_name("issuers.schema.json")
_ROLES: Final = frozenset(get_args(Role)) - {"platform"}
_ALGORITHMS: Final = ("RS256", "ES256", "PS256", "RS384", "ES384")
_LONGEST: Final = 3_600_000
"""Milliseconds for which a token of another server is believed at most, whatever it says."""


class IssuersUnusable(ValueError):
    """The file of issuers is wrong; the text says where."""


class Providers(Protocol):
    """Keys of providers: outbound.providers."""

    async def keys(self, issuer: str, kid: str) -> KeySet:
        """Return the keys of a provider, found by OpenID discovery. Raises TokenRefused."""
        ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """One trusted provider."""

    url: str
    name: str
    audience: str
    algorithms: tuple[str, ...]
    claims: Mapping[str, Mapping[str, Any]]
    client_id: str = ""
    client_secret: str = ""

    def principal(self, claims: Mapping[str, Any], own_base: str, scopes: tuple[Scope, ...] | None) -> Principal:
        """Return who a person is here. Raises TokenRefused when the claims give no role."""
        roles = frozenset(self._many("roles", claims)) & _ROLES
        if not roles:
            raise TokenRefused("The provider says nothing that gives this person a role here.")
        organization = _reference(self._one("organization", claims), ("Organization",), own_base)
        person = _reference(self._one("person", claims), ("Patient", "RelatedPerson"), own_base)
        areas = (_reference(area, ("Location",), own_base) for area in self._many("areas", claims))
        if scopes is not None and not person:
            scopes = tuple(scope for scope in scopes if scope.level != "patient")
        return Principal(
            organization,
            cast("frozenset[Role]", roles),
            f"user:{self.url}#{claims.get('sub')}",
            person,
            scopes,
            areas=frozenset(area for area in areas if area),
        )

    def may_break_glass(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether the person may state the purpose BTG."""
        return "true" in self._many("break_glass", claims)

    def _one(self, name: str, claims: Mapping[str, Any]) -> str:
        rule = self.claims.get(name)
        if rule is None:
            return ""
        if "always" in rule:
            return str(rule["always"])
        said = _claim(claims, rule["claim"])
        if not isinstance(said, str):
            return ""
        return str(rule["values"].get(said, "")) if "values" in rule else said

    def _many(self, name: str, claims: Mapping[str, Any]) -> list[str]:
        rule = self.claims.get(name)
        if rule is None:
            return []
        if "always" in rule:
            return list(rule["always"])
        said = _claim(claims, rule["claim"])
        listed = said if isinstance(said, list) else [said]
        return [rule["values"][item] for item in listed if isinstance(item, str) and item in rule["values"]]


class TrustedIssuers:
    """Checks access tokens of the trusted providers."""

    def __init__(self, issuers: Mapping[str, Issuer], providers: Providers, own_base: str) -> None:
        self._issuers = issuers
        self._providers = providers
        self._own_base = own_base

    async def check(self, token: str, said: Unverified, now: int) -> Checked | None:
        """Judge a token; None when its issuer is not trusted here. Raises TokenRefused."""
        url = said.claims.get("iss")
        issuer = self._issuers.get(url) if isinstance(url, str) else None
        if issuer is None:
            return None
        if said.header.get("alg") not in issuer.algorithms:
            raise TokenRefused(f"`alg` is {str(said.header.get('alg'))[:20]!r}, which is not taken from this issuer.")
        kid = said.header.get("kid")
        keys = await self._providers.keys(issuer.url, str(kid))
        claims = verified(token, keys, issuer.algorithms, kid)
        audience = claims.get("aud")
        if claims.get("iss") != url or issuer.audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRefused("The token is for another server.")
        check_times(claims, now // 1000)
        try:
            scopes = resource_scopes(str(claims.get("scope", "")))
        except FhirError as error:
            raise TokenRefused(str(error)) from error
        personal = tuple(scope for scope in scopes if scope.level != "system")
        found = issuer.principal(claims, self._own_base, personal)
        return Checked(found, min(int(claims["exp"]) * 1000, now + _LONGEST), issuer.may_break_glass(claims))


def read_issuers(file: Path, own_base: str) -> dict[str, Issuer]:
    """Read the file of issuers, TOML or JSON, by their URL. Raises IssuersUnusable with the place of the fault."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  # 0.1 s of import, only for who trusts others

    try:
        text = file.read_text(encoding="utf-8")
        said = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
        schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IssuersUnusable(f"{file} cannot be read: {error}") from error
    for fault in Draft202012Validator(schema).iter_errors(said):
        raise IssuersUnusable(f"{file}: {fault.json_path}: {fault.message[:300]}")
    found = {item["url"]: _issuer(item, own_base) for item in said["issuer"]}
    if len(found) < len(said["issuer"]):
        raise IssuersUnusable(f"{file}: two issuers have one url")
    for issuer in found.values():
        for name, allowed in (("roles", _ROLES), ("break_glass", {"true"})):
            rule = issuer.claims.get(name, {})
            named = set(rule.get("always") or rule.get("values", {}).values())
            if wrong := named - allowed:
                raise IssuersUnusable(f"{file}: {issuer.url} gives {name} {min(wrong)}; allowed are {sorted(allowed)}")
    return found


def _issuer(item: Mapping[str, Any], own_base: str) -> Issuer:
    secret = ""
    if path := item.get("client_secret_file"):
        try:
            secret = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise IssuersUnusable(f"{path} cannot be read: {error.strerror}") from error
    return Issuer(
        item["url"],
        item["name"],
        item.get("audience", own_base),
        tuple(item.get("algorithms", _ALGORITHMS)),
        item["claims"],
        item.get("client_id", ""),
        secret,
    )


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim, which may lie deeper; a name that holds dots itself counts before the path."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _reference(text: str, types: tuple[str, ...], own_base: str) -> str:
    """Return `Type/id`, "" for what refers to nothing of these types here."""
    parsed = parse_reference(text, own_base)
    return parsed.key if parsed.kind == "relative" and parsed.type in types else ""
