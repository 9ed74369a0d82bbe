"""Signed tokens and the keys that check them, by way of joserfc (docs/adr/0010).

The algorithm is never taken from the token: whoever checks says which ones it takes, and a key serves only those of its
own kind. Headers that point to keys elsewhere (`jku`, `x5u`) or carry them (`jwk`, `x5c`) are never followed.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from fhir_server.model.codec import decode, encode
from fhir_server.model.errors import Malformed

Claims = dict[str, Any]

LONGEST_TOKEN: Final = 8192
"""Bytes of a token; uvicorn takes headers of 64 KiB, and nobody needs so much to say who they are."""
_SMALLEST_RSA: Final = 2048
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CURVES: Final = frozenset({"P-256", "P-384"})
_MOST_KEYS: Final = 50


class TokenRefused(Exception):
    """A token is not taken; the text says why, in words that hold nothing of the token but its plain claims."""


class Unverified(NamedTuple):
    """What a token says of itself, before anybody checked it: good for finding the key, for nothing else."""

    header: Mapping[str, Any]
    claims: Claims


def unverified(token: str) -> Unverified:
    """Take a token apart. Raises TokenRefused when it is none."""
    if len(token) > LONGEST_TOKEN:
        raise TokenRefused(f"The token has {len(token)} characters; at most {LONGEST_TOKEN} are taken.")
    try:
        taken = jws.extract_compact(token.encode("ascii"), registry=_registry(("RS256",)))
        header, claims = taken.headers(), decode(taken.payload)
    except (JoseError, Malformed, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TokenRefused("This is no signed token: three parts of base64url, the first two JSON objects.") from error
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise TokenRefused("The header and the claims of a token are JSON objects.")
    if "crit" in header:
        raise TokenRefused("The header asks for extensions (`crit`); none is known here.")
    return Unverified(header, claims)


def verified(token: str, keys: KeySet, algorithms: tuple[str, ...], kid: object) -> Claims:
    """Return the claims of a token that the key `kid` of a set signed. Raises TokenRefused otherwise."""
    key = key_named(keys, kid)
    if key is None:
        raise TokenRefused(f"No key {str(kid)[:100]!r} is known for the issuer of this token.")
    try:
        return jwt.decode(token, key, registry=_registry(algorithms)).claims
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        raise TokenRefused(
            f"The signature is not that of the key {str(kid)[:100]!r} with {' or '.join(algorithms)}."
        ) from error


def key_named(keys: KeySet, kid: object) -> RSAKey | ECKey | None:
    """Return the one key of a set with this id."""
    if not isinstance(kid, str):
        return None
    for key in keys.keys:
        if isinstance(key, RSAKey | ECKey) and key.kid == kid:
            return key
    return None


def signed(header: Mapping[str, Any], claims: Claims, key: RSAKey | ECKey) -> str:
    """Sign claims with a private key of ours; the header names the algorithm."""
    return jwt.encode(dict(header), claims, key, registry=_registry((header["alg"],)))


@lru_cache(maxsize=1024)
def key_set(jwks: bytes) -> KeySet:
    """Read the public keys of a JWK Set that can sign; others in it are passed over. Raises Malformed `bad-jwks`."""
    found = decode(jwks)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
        raise _bad(f"A JWK Set is an object with a list of 1 to {_MOST_KEYS} `keys`")
    usable = (_usable(item) for item in listed)
    keys: list[Key] = [key for key in usable if key is not None]
    if not keys:
        raise _bad(
            "It holds no public key for signatures: RSA of 2048 bits or more, or EC on P-256 or P-384, with a `kid`"
        )
    if len({key.kid for key in keys}) < len(keys):
        raise _bad("Two keys have one `kid`")
    return KeySet(keys)


def registered_keys(jwks: object, curves: Collection[str] = ("P-384",)) -> bytes:
    """Check the keys that a client is registered with and return them as they are kept. Raises Malformed `bad-jwks`.

    Unlike in a set of others, a key that cannot serve is refused: who registers it should know.
    """
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    for item in listed if isinstance(listed, list) else ():
        if not isinstance(item, dict) or _PRIVATE & item.keys():
            raise _bad(
                "A key in it is private or symmetric. Send public keys only, and make new ones: these are known now"
            )
        if item.get("kty") == "EC" and item.get("crv") not in curves:
            raise _bad(f"The curve {str(item.get('crv'))[:20]!r} is not taken; {' or '.join(curves)} is")
        if _usable(item) is None:
            raise _bad(
                f"The key {str(item.get('kid'))[:100]!r} cannot serve: an RSA key of 2048 bits or EC, with a `kid`"
            )
    kept = encode(jwks)
    key_set(kept)
    return kept


def _usable(item: object) -> RSAKey | ECKey | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig" or not isinstance(item.get("kid"), str):
        return None
    public = {name: value for name, value in item.items() if name not in _PRIVATE}
    try:
        if item.get("kty") == "RSA":
            rsa = RSAKey.import_key(public)
            return rsa if rsa.raw_value.key_size >= _SMALLEST_RSA else None
        if item.get("kty") == "EC" and item.get("crv") in _CURVES:
            ec = ECKey.import_key(public)
            _ = ec.raw_value
            return ec
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return None


@lru_cache(maxsize=16)
def _registry(algorithms: tuple[str, ...]) -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
    registry.max_header_length = LONGEST_TOKEN
    return registry


def _bad(reason: str) -> Malformed:
    return Malformed(f"The keys are refused. {reason}.", key="bad-jwks", code="value")
