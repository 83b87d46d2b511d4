"""Sign-in: ``/token`` in its three generations, bearer tokens, and the API key."""

import hmac
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from aiohttp import web

USER, PASSWORD, API_KEY = "connector", "simulated-secret", "simulated-key"
LIFE = timedelta(days=2)
MOST = 10_000  # tokens that are remembered; the oldest goes first


class Tokens:
    """The tokens that were given out. They live two days, or until they are expired by hand."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._expiries: dict[str, datetime] = {}

    def issue(self) -> tuple[str, datetime]:
        token = secrets.token_urlsafe(48)
        while len(self._expiries) >= MOST:
            del self._expiries[next(iter(self._expiries))]
        self._expiries[token] = self._now() + LIFE
        return token, self._expiries[token]

    def valid(self, token: str) -> bool:
        expires = self._expiries.get(token)
        return expires is not None and self._now() < expires

    def expire(self, token: str) -> None:
        self._expiries.pop(token, None)

    def expire_all(self) -> None:
        self._expiries.clear()

    def admits(self, request: web.Request) -> bool:
        """True for a living bearer token or the API key."""
        key = request.headers.get("X-API-KEY")
        if key is not None:
            return hmac.compare_digest(key.encode(), API_KEY.encode())
        return self.valid(bearer(request))


def bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def sign_in(request: web.Request, body: str, tokens: Tokens) -> web.Response:
    """Answer ``POST /token``.

    Form-encoded and JSON with ``UserName`` are the on-premises generations and answer ``access_token``; JSON
    with ``username`` is the cloud and answers ``token``.
    """
    if request.content_type == "application/x-www-form-urlencoded":
        return _form(body, tokens)
    try:
        wanted = json.loads(body)
    except ValueError:
        return web.json_response({"Message": "The request is invalid."}, status=400)
    if not isinstance(wanted, dict):
        return web.json_response({"Message": "The request is invalid."}, status=400)
    if "UserName" in wanted:
        return _json(wanted.get("UserName"), wanted.get("Password"), tokens, on_premises)
    return _json(wanted.get("username"), wanted.get("password"), tokens, cloud)


def on_premises(token: str, expires: datetime) -> dict[str, str]:
    # expires_in is text, as the .NET client declares it.
    life = str(int(LIFE.total_seconds()) - 1)
    return {
        "access_token": token,
        "token_type": "bearer",
        "expires_in": life,
        "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def cloud(token: str, expires: datetime) -> dict[str, str]:
    return {"token": token, "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _form(body: str, tokens: Tokens) -> web.Response:
    fields = {name: values[-1] for name, values in parse_qs(body, keep_blank_values=True).items()}
    if fields.get("grant_type") != "password":
        return web.json_response({"error": "unsupported_grant_type"}, status=400)
    if not _known(fields.get("username"), fields.get("password")):
        text = "The user name or password is incorrect."
        return web.json_response({"error": "invalid_grant", "error_description": text}, status=400)
    return web.json_response(on_premises(*tokens.issue()))


def _json(
    user: object, password: object, tokens: Tokens, answer: Callable[[str, datetime], dict[str, str]]
) -> web.Response:
    if not _known(user, password):
        return web.json_response({"Message": "The user name or password is incorrect."}, status=401)
    return web.json_response(answer(*tokens.issue()))


def _known(user: object, password: object) -> bool:
    return (user, password) == (USER, PASSWORD)
