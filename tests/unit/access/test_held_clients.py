"""What may not stand in the registration of a client, and which keys may not stand for one."""

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from fhir_server.access.clients import new_client
from fhir_server.access.jose import registered_keys
from fhir_server.model.errors import Malformed

RSA = {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "rsa"}
EC = {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "ec"}
STATED: dict[str, Any] = {
    "id": "epd",
    "name": "EPD",
    "organization": "Organization/caw",
    "roles": ["recipient"],
    "scopes": "system/Task.rs",
    "jwks": {"keys": [RSA, EC]},
}


def refused(key: str, work: Any, *given: Any) -> str:
    with pytest.raises(Malformed) as caught:
        work(*given)
    (issue,) = caught.value.issues
    assert issue.key == key
    return issue.diagnostics


def test_what_is_stated_is_what_a_client_has() -> None:
    made = new_client({**STATED, "areas": ["Location/halle"], "break_glass": True})
    assert (made.id, made.organization, made.roles) == ("epd", "Organization/caw", {"recipient"})
    assert [scope.text for scope in made.scopes] == ["system/Task.rs"]
    assert (made.areas, made.break_glass, made.jwks_url) == ({"Location/halle"}, True, "")
    assert [key["kid"] for key in json.loads(made.jwks)["keys"]] == ["rsa", "ec"]
    assert new_client(STATED).break_glass is False


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"admin": True}, "'admin' is no member"),
        ({"id": "a b"}, "The id 'a b'"),
        ({"id": 7}, "The id '7'"),
        ({"name": " "}, "The name ' '"),
        ({"name": "n" * 201}, "The name"),
        ({"name": None}, "The name"),
        ({"organization": "Patient/1"}, "organization is 'Patient/1'"),
        ({"organization": "https://elsewhere.example/Organization/1"}, "organization is"),
        ({"organization": "Organization/caw/_history/1"}, "organization is"),
        ({"organization": None}, "organization is"),
        ({"roles": []}, "The roles are none"),
        ({"roles": ["recipient", "platform"]}, "The roles are platform"),
        ({"roles": "recipient"}, "roles is a list of texts"),
        ({"roles": ["recipient", 1]}, "roles is a list of texts"),
        ({"scopes": "system/Task.rs user/Task.rs"}, "are not system scopes"),
        ({"scopes": "patient/Task.rs"}, "are not system scopes"),
        ({"scopes": ""}, "are not system scopes"),
        ({"scopes": None}, "are not system scopes"),
        ({"break_glass": "no"}, "break_glass is true or false"),
        ({"areas": ["Organization/caw"]}, "areas is 'Organization/caw'"),
        ({"jwks": None}, "either `jwks`"),
        ({"jwks_url": "https://epd.example/jwks"}, "either `jwks`"),
        ({"jwks": None, "jwks_url": "http://epd.example/jwks"}, "is not https"),
        ({"jwks": None, "jwks_url": "https://an@epd.example/jwks"}, "is not https"),
        ({"jwks": None, "jwks_url": "https://epd.example/jwks#1"}, "is not https"),
        ({"jwks": None, "jwks_url": "https://epd.example:99999/jwks"}, "is not https"),
        ({"jwks": None, "jwks_url": 7}, "is not https"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_client_with_a_fault_is_refused(changed: dict[str, Any], told: str) -> None:
    assert told in refused("bad-client", new_client, {**STATED, **changed})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ([RSA, RSAKey.generate_key(2048, {"kid": "x"}).as_dict(private=True)], "private or symmetric"),
        ([OctKey.generate_key(256, {"kid": "x"}).as_dict()], "private or symmetric"),
        (["a text"], "private or symmetric"),
        ([ECKey.generate_key("P-256", {"kid": "x"}).as_dict(private=False)], "'P-256' is not taken; P-384 is"),
        ([{**ECKey.generate_key("P-384").as_dict(private=False), "kid": None}], "cannot serve"),
        ([{**RSA, "use": "enc"}], "cannot serve"),
        ([{**RSA, "n": "AQAB"}], "cannot serve"),
        ([{**EC, "x": EC["y"]}], "cannot serve"),
        ([RSA, {**EC, "kid": "rsa"}], "Two keys have one `kid`"),
        ([], "no public key"),
        ([{**RSA, "kid": f"k{number}"} for number in range(200)], "an object with a list"),
    ],
    ids=[
        "private", "symmetric", "text", "curve", "no kid", "for encryption", "short", "no point", "one kid", "none", "many",
    ],
)  # fmt: skip
def test_keys_that_cannot_or_may_not_serve_are_refused(keys: list[Any], told: str) -> None:
    assert told in refused("bad-jwks", registered_keys, {"keys": keys})


@pytest.mark.parametrize("given", [None, [RSA], {"keys": RSA}, {}, "text"])
def test_what_is_no_set_of_keys_is_refused(given: Any) -> None:
    assert "A JWK Set is an object" in refused("bad-jwks", registered_keys, given)
