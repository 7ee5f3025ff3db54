"""An OAuth authorization server that only has metadata and keys; its tokens are made by the tests, good and bad."""

import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


@dataclass
class Issuer:
    """Signs tokens with the keys that it publishes, or with others."""

    audience: str
    url: str = ""
    elliptic: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    old: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def app(self) -> Starlette:
        """What it serves."""

        async def metadata(request: Request) -> JSONResponse:
            base = str(request.base_url).rstrip("/")
            return JSONResponse({"issuer": base, "jwks_uri": f"{base}/jwks"})

        async def jwks(_: Request) -> JSONResponse:
            keys = {
                "ec": ECAlgorithm.to_jwk(self.elliptic.public_key(), as_dict=True),
                "rsa": RSAAlgorithm.to_jwk(self.old.public_key(), as_dict=True),
            }
            return JSONResponse({"keys": [{**key, "kid": name, "use": "sig"} for name, key in keys.items()]})

        return Starlette(routes=[Route("/.well-known/openid-configuration", metadata), Route("/jwks", jwks)])

    def token(self, *, kid: str = "ec", key: Any = None, algorithm: str = "ES256", **claims: Any) -> str:
        """Return a token that is good but for what the arguments say; a claim that is None is left out."""
        usual = {"iss": self.url, "aud": self.audience, "sub": "ada", "client_id": "desk", "scope": "read"}
        told = {**usual, "exp": int(time.time()) + 60, **claims}
        said = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(said, self.elliptic if key is None else key, algorithm, {"kid": kid})
