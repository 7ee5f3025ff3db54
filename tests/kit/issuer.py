"""An OAuth authorization server of the tests' own: metadata, keys, registration, a page that asks nothing, tokens."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route


@dataclass
class Issuer:
    """Signs tokens with the keys that it publishes, or with others; `grants` are those that it was asked for."""

    audience: str
    url: str = ""
    refuses: bool = False
    grants: list[str] = field(default_factory=list)
    elliptic: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    old: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def app(self) -> Starlette:
        """What it serves."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/jwks", self._jwks),
                Route("/register", self._register, methods=["POST"]),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def token(self, *, kid: str = "ec", key: Any = None, algorithm: str = "ES256", **claims: Any) -> str:
        """Return a token that is good but for what the arguments say; a claim that is None is left out."""
        usual = {"iss": self.url, "aud": self.audience, "sub": "ada", "client_id": "desk", "scope": "read"}
        told = {**usual, "exp": int(time.time()) + 60, **claims}
        said = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(said, self.elliptic if key is None else key, algorithm, {"kid": kid})

    async def _metadata(self, request: Request) -> JSONResponse:
        base = str(request.base_url).rstrip("/")
        places = {"jwks_uri": "jwks", "registration_endpoint": "register"}
        places |= {"authorization_endpoint": "authorize", "token_endpoint": "token"}
        told = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
        return JSONResponse({"issuer": base, **{name: f"{base}/{path}" for name, path in places.items()}, **told})

    async def _jwks(self, _: Request) -> JSONResponse:
        keys = {
            "ec": ECAlgorithm.to_jwk(self.elliptic.public_key(), as_dict=True),
            "rsa": RSAAlgorithm.to_jwk(self.old.public_key(), as_dict=True),
        }
        return JSONResponse({"keys": [{**key, "kid": name, "use": "sig"} for name, key in keys.items()]})

    async def _register(self, request: Request) -> JSONResponse:
        return JSONResponse({**await request.json(), "client_id": "desk", "token_endpoint_auth_method": "none"}, 201)

    async def _authorize(self, request: Request) -> RedirectResponse:
        asked = request.query_params
        answer = {"error": "access_denied"} if self.refuses else {"code": secrets.token_hex(8)}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state']})}")

    async def _token(self, request: Request) -> JSONResponse:
        asked = await request.form()
        self.grants.append(str(asked["grant_type"]))
        told = {"access_token": self.token(), "token_type": "Bearer", "expires_in": 60, "refresh_token": "again"}
        return JSONResponse(told)
