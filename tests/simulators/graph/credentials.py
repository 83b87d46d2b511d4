"""What an application proves at the login endpoint, and how Entra refuses it."""

import base64
import hashlib
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

SECRET = "simulated-secret"
ROLES = ("Calendars.Read", "Calendars.ReadWrite", "MailboxSettings.Read", "MailboxSettings.ReadWrite")
GRAPH_HOSTS = frozenset(
    f"https://{host}"
    for host in (
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
    )
)


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


def credentials(form: dict[str, str], basic: str | None) -> tuple[str, str | None]:
    """(client id, secret) from the form or from HTTP Basic."""
    if basic and basic.lower().startswith("basic "):
        user, _, password = base64.b64decode(basic[6:]).decode().partition(":")
        return unquote_plus(user), unquote_plus(password)
    return form.get("client_id", ""), form.get("client_secret")


def check_secret(app: App, client: str, secret: str | None) -> None:
    """LoginError unless the secret is the application's and still good."""
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


def check_assertion(app: App, assertion: str, client: str, endpoint: str) -> None:
    """LoginError unless a certificate of the application signed it, for this endpoint and client."""
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


def check_scope(base: str, scope: str, name: str) -> None:
    """LoginError unless it is the default scope of Graph (also under the simulator's own address)."""
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
