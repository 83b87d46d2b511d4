"""The login endpoint: discovery document, client credentials by secret or certificate, and the tokens themselves.

Sources: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
.../certificate-credentials. Error bodies follow .../reference-error-codes.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import jwt

from . import errors
from .clock import Clock
from .credentials import (
    ROLES,
    SECRET,
    App,
    LoginError,
    check_assertion,
    check_scope,
    check_secret,
    credentials,
)

CONTOSO = "00000000-0000-4000-8000-000000000001"
FABRIKAM = "00000000-0000-4000-8000-000000000003"
CLIENT = "00000000-0000-4000-8000-000000000002"
TENANTS = {"contoso.example": CONTOSO, "fabrikam.example": FABRIKAM}
LIFE_S = 3599
MOST_TOKENS = 10_000

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that was issued; `expires` on the virtual clock."""

    tenant: str
    client: str
    roles: frozenset[str]
    expires: float


class Login:
    """Both tenants, their applications, and every token that was issued."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self.apps: dict[tuple[str, str], App] = {(tenant, CLIENT): App() for tenant in TENANTS.values()}
        self.issued: dict[str, Token] = {}

    def tenant(self, name: str) -> str:
        """The id of the tenant of that id or verified domain."""
        tenant = TENANTS.get(name.lower(), name.lower())
        if tenant in TENANTS.values():
            return tenant
        if not re.fullmatch(r"[0-9a-f-]{36}|[\w-]+(\.[\w-]+)+", tenant):
            raise LoginError(
                400,
                "invalid_request",
                900023,
                f"Specified tenant identifier '{name}' is neither a valid DNS name, nor a valid external domain.",
            )
        raise LoginError(
            400,
            "invalid_request",
            90002,
            f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into "
            "the correct cloud. Check with your subscription administrator, this may happen if there are no "
            "active subscriptions for the tenant.",
        )

    def discovery(self, base: str, name: str) -> dict[str, Any]:
        """The OpenID configuration of a tenant."""
        self.tenant(name)
        return {
            "token_endpoint": f"{base}/{name}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
                "client_secret_basic",
            ],
            "jwks_uri": f"{base}/{name}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/{name}/v2.0",
            "authorization_endpoint": f"{base}/{name}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/{name}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/{name}/oauth2/v2.0/logout",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }

    def issue(self, base: str, name: str, form: dict[str, str], basic: str | None) -> dict[str, Any]:
        """The answer to a token request; LoginError for a refusal."""
        tenant = self.tenant(name)
        if form.get("grant_type") != "client_credentials":
            raise LoginError(
                400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
            )
        client, secret = credentials(form, basic)
        app = self.apps.get((tenant, client))
        if app is None:
            raise LoginError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client}' was not found in the directory '{name}'.",
            )
        if form.get("client_assertion_type") == _ASSERTION:
            check_assertion(app, form.get("client_assertion", ""), client, f"{base}/{name}/oauth2/v2.0/token")
        else:
            check_secret(app, client, secret)
        check_scope(base, form.get("scope", ""), name)
        return self._grant(tenant, client, app)

    def _grant(self, tenant: str, client: str, app: App) -> dict[str, Any]:
        now = self._clock.time()
        claims = {
            "aud": "https://graph.microsoft.com",
            "iss": f"https://sts.windows.net/{tenant}/",
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + LIFE_S + 1,
            "appid": client,
            "idtyp": "app",
            "tid": tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        } | ({"roles": list(app.roles)} if app.roles else {})
        token = jwt.encode(claims, self._key, algorithm="HS256", headers={"kid": "simulated"})
        if len(self.issued) >= MOST_TOKENS:
            self.issued = {text: each for text, each in self.issued.items() if each.expires > now}
        self.issued[token] = Token(tenant, client, frozenset(app.roles), now + LIFE_S)
        return {
            "token_type": "Bearer",
            "expires_in": LIFE_S,
            "ext_expires_in": LIFE_S,
            "access_token": token,
        }

    def check(self, authorization: str | None) -> Token:
        """The token of a request's Authorization header; GraphError 401."""
        kind, _, text = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not text:
            raise errors.unauthenticated("Access token is empty.")
        token = self.issued.get(text.strip())
        if token is None:
            raise errors.unauthenticated("CompactToken parsing failed with error code: 80049217")
        if token.expires <= self._clock.time():
            del self.issued[text.strip()]
            raise errors.unauthenticated("Lifetime validation failed, the token is expired.")
        return token


__all__ = ["CLIENT", "CONTOSO", "FABRIKAM", "ROLES", "SECRET", "TENANTS", "Login", "Token"]
