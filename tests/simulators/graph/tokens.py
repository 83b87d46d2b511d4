"""The login endpoint: discovery document, client credentials by secret or certificate, and the tokens themselves.

Sources: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
.../certificate-credentials. Error bodies follow .../reference-error-codes.
"""

import base64
import hashlib
import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from . import errors
from .clock import Clock

CONTOSO = "00000000-0000-4000-8000-000000000001"
FABRIKAM = "00000000-0000-4000-8000-000000000003"
CLIENT = "00000000-0000-4000-8000-000000000002"
SECRET = "simulated-secret"
TENANTS = {"contoso.example": CONTOSO, "fabrikam.example": FABRIKAM}
ROLES = ("Calendars.Read", "Calendars.ReadWrite", "MailboxSettings.Read", "MailboxSettings.ReadWrite")
LIFE_S = 3599
MOST_TOKENS = 10_000
GRAPH_HOSTS = frozenset(
    f"https://{host}"
    for host in (
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
    )
)
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that was issued; `expires` on the virtual clock."""

    tenant: str
    client: str
    roles: frozenset[str]
    expires: float


@dataclass(slots=True)
class App:
    """A registered application; the certificates are keyed by both thumbprints."""

    secret: str = SECRET
    secret_expired: bool = False
    roles: tuple[str, ...] = ROLES
    certificates: dict[str, x509.Certificate] = field(default_factory=dict)

    def trust(self, pem: bytes) -> None:
        """Accepts assertions signed with the key of this certificate."""
        certificate = x509.load_pem_x509_certificate(pem)
        der = certificate.public_bytes(Encoding.DER)
        for digest in (hashlib.sha256(der), hashlib.sha1(der)):
            thumbprint = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
            self.certificates[thumbprint] = certificate


class LoginError(Exception):
    """A refusal of the login endpoint."""

    def __init__(self, status: int, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.code = code
        self.message = message

    def body(self, now: float) -> dict[str, Any]:
        """The JSON of https://learn.microsoft.com/entra/identity-platform/reference-error-codes."""
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.message}\r\nTrace ID: {trace}\r\n"
            f"Correlation ID: {correlation}\r\nTimestamp: {moment}",
            "error_codes": [self.code],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }


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
        client, secret = _credentials(form, basic)
        app = self.apps.get((tenant, client))
        if app is None:
            raise LoginError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client}' was not found in the directory '{name}'.",
            )
        if form.get("client_assertion_type") == _ASSERTION:
            _check_assertion(
                app, form.get("client_assertion", ""), client, f"{base}/{name}/oauth2/v2.0/token"
            )
        else:
            _check_secret(app, client, secret)
        _check_scope(base, form.get("scope", ""), name)
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


def _credentials(form: dict[str, str], basic: str | None) -> tuple[str, str | None]:
    if basic and basic.lower().startswith("basic "):
        user, _, password = base64.b64decode(basic[6:]).decode().partition(":")
        return unquote_plus(user), unquote_plus(password)
    return form.get("client_id", ""), form.get("client_secret")


def _check_secret(app: App, client: str, secret: str | None) -> None:
    if secret is None:
        raise LoginError(
            401,
            "invalid_client",
            7000218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )
    if app.secret_expired:
        raise LoginError(
            401, "invalid_client", 7000222, f"The provided client secret keys for app '{client}' are expired."
        )
    if not secrets.compare_digest(secret.encode(), app.secret.encode()):
        raise LoginError(
            401,
            "invalid_client",
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
            f"value, not the client secret ID, for a secret added to app '{client}'.",
        )


def _check_assertion(app: App, assertion: str, client: str, endpoint: str) -> None:
    refusal = LoginError(
        401,
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on application, or its signature is not valid.",
    )
    try:
        header = jwt.get_unverified_header(assertion)
        # msal pads the thumbprint, other clients do not.
        certificate = app.certificates[(header.get("x5t#S256") or header["x5t"]).rstrip("=")]
        claims = jwt.decode(
            assertion,
            certificate.public_key(),  # type: ignore[arg-type]
            algorithms=["PS256", "RS256"],
            audience=endpoint,
            # Their times are the client's real ones, while the clock of the simulator may be far ahead.
            options={
                "require": ["exp", "iss", "sub", "jti", "aud"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.InvalidTokenError, KeyError) as error:
        raise refusal from error
    if claims["iss"] != client or claims["sub"] != client:
        raise LoginError(
            401,
            "invalid_client",
            700021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        )
    if float(claims["exp"]) <= time.time():
        raise LoginError(
            401, "invalid_client", 700024, "Client assertion is not within its valid time range."
        )


def _check_scope(base: str, scope: str, name: str) -> None:
    if len(scope.split()) != 1:
        raise LoginError(
            400,
            "invalid_scope",
            70011,
            f"The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid.",
        )
    resource, separator, rest = scope.partition("/.default")
    if not separator or rest:
        raise LoginError(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).",
        )
    own = {base, base.replace("127.0.0.1", "localhost"), base.replace("localhost", "127.0.0.1")}
    if resource.rstrip("/") not in GRAPH_HOSTS | own:
        raise LoginError(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {resource} was not found in the tenant named {name}.",
        )
