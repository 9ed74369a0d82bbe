"""An OpenID provider in a process of its own, for tests: discovery, keys, authorisation with PKCE, tokens.

`python -m tests.http.local_issuer PORT`. POST /sign signs any claims, which no real provider would do for a stranger.
"""

import base64
import hashlib
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey


class Provider(BaseHTTPRequestHandler):
    keys: ClassVar[dict[str, RSAKey]] = {}
    codes: ClassVar[dict[str, dict[str, str]]] = {}

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/.well-known/openid-configuration":
            said = {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
            }
            self.answer(said)
        elif parts.path == "/jwks":
            self.answer({"keys": [{**key.as_dict(private=False), "kid": name} for name, key in self.keys.items()]})
        elif parts.path == "/authorize":
            asked = dict(parse_qsl(parts.query))
            code = secrets.token_urlsafe(8)
            self.codes[code] = asked
            self.send_response(302)
            self.send_header(
                "Location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            )
            self.end_headers()
        else:
            self.answer({"error": "not_found"}, 404)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/sign":
            self.answer({"token": self.sign(json.loads(sent))})
            return
        form = dict(parse_qsl(sent.decode()))
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        basic = base64.b64encode(b"pages:s3cret").decode()
        if (
            asked is None
            or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
            or self.headers["authorization"] != f"Basic {basic}"
        ):
            self.answer({"error": "invalid_grant"}, 400)
            return
        claims = {"aud": "pages", "sub": "an", "nonce": asked["nonce"], "groups": ["helpers"], "org": "0400"}
        self.answer({"access_token": "unused", "token_type": "Bearer", "id_token": self.sign(claims)})

    def sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": "RS256", "kid": "first", **claims.pop("_header", {})}
        key = self.keys.get(str(header["kid"])) or self.keys.setdefault(str(header["kid"]), RSAKey.generate_key(2048))
        now = int(time.time())
        said = {"iss": self.issuer, "iat": now, "exp": now + 300} | claims
        return jwt.encode(header, said, key, algorithms=["RS256", "RS512"])

    def answer(self, said: Mapping[str, object], status: int = 200) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def local_issuer() -> Iterator[str]:
    """Start a provider and return its issuer URL."""
    command = [sys.executable, "-m", "tests.http.local_issuer"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            yield url
        finally:
            process.terminate()
            process.wait(10)


def signed_by(issuer: str, **claims: object) -> str:
    """Let a provider sign claims."""
    return str(httpx.post(f"{issuer}/sign", json=claims).json()["token"])


if __name__ == "__main__":
    Provider.keys["first"] = RSAKey.generate_key(2048)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
