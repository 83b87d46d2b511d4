"""Access tokens of one profile, from Entra ID by msal, which blocks: it works in a thread of its own.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import msal
import requests

from common.errors import Configuration, SyncError, Transient
from common.graph.profiles import Profile, credential
from common.graph.trust import Session

_TIMEOUT = 10.0
_RENEW_BEFORE = 300.0
_RENEW_AGAIN = 30.0
_WORD = re.compile(r"[a-z0-9_]{1,60}")

_CODES = {"invalid_client": "EXC-SIGN-IN-SECRET", "unauthorized_client": "EXC-SIGN-IN-CLIENT"}
# AADSTS numbers may change, says Microsoft; here they only choose the advice.
_TENANT_UNKNOWN = {90002, 900023}


@dataclass(frozen=True, slots=True)
class _Held:
    value: str
    renew_at: float
    expires_at: float


class Tokens:
    """Tokens of one profile; however many ask, one sign-in runs at a time, and all share its outcome."""

    def __init__(
        self,
        profile: Profile,
        *,
        ask: Callable[[Profile], Mapping[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` blocks until Entra ID has answered a token or an error; `clock` counts seconds."""
        self._profile = profile
        self._ask = ask or ask_entra
        self._clock = clock
        self._held: _Held | None = None
        self._pending: asyncio.Task[str] | None = None
        # Of its own: where Entra ID hangs for one tenant, others must not wait for a thread.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sign-in")

    async def token(self) -> str:
        """Give a token that lasts some minutes; Configuration or Transient of scope tenant where there is none."""
        if self._held and self._clock() < self._held.renew_at:
            return self._held.value
        if self._pending is None:
            self._pending = asyncio.create_task(self._renewed())
            self._pending.add_done_callback(self._settled)
        return await asyncio.shield(self._pending)

    def reject(self, token: str) -> None:
        """Note that Graph refused the token, so that the next one is new."""
        if self._held and self._held.value == token:
            self._held = None

    async def close(self) -> None:
        """Stop waiting; a sign-in under way ends by its timeout."""
        if self._pending:
            self._pending.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _settled(self, task: asyncio.Task[str]) -> None:
        self._pending = None
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more; asyncio would complain

    async def _renewed(self) -> str:
        """Sign in; where Entra ID is out of reach, go on with a token that has not expired yet."""
        loop = asyncio.get_running_loop()
        try:
            self._held = await loop.run_in_executor(self._thread, self._sign_in)
        except Transient:
            if self._held is None or self._clock() >= self._held.expires_at:
                raise
            self._held = replace(self._held, renew_at=self._clock() + _RENEW_AGAIN)
        return self._held.value

    def _sign_in(self) -> _Held:
        """Ask Entra ID, always: a new msal application each time has none of msal's memory of tokens and errors.

        So a secret or certificate that was mended, or a file that was renewed, counts at once.
        """
        asked_at = self._clock()
        result = self._ask(self._profile)
        if not isinstance(result.get("access_token"), str):
            raise refusal(result)
        lifetime = float(result.get("expires_in") or 0)
        renew_after = max(lifetime - _RENEW_BEFORE, lifetime / 2)
        return _Held(result["access_token"], asked_at + renew_after, asked_at + lifetime)


def refusal(result: Mapping[str, Any]) -> SyncError:
    """Give the error that an error answer of Entra ID stands for; the message holds its code and numbers only.

    https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    error = str(result.get("error"))
    name = error if _WORD.fullmatch(error) else "an error"
    numbers = [number for number in result.get("error_codes") or () if isinstance(number, int)]
    message = " ".join(["Entra ID answered", name, *(f"AADSTS{number}" for number in numbers)])
    if name == "temporarily_unavailable":
        return Transient(message, code="EXC-SIGN-IN-UNAVAILABLE", scope="tenant")
    unknown_tenant = name == "invalid_tenant" or _TENANT_UNKNOWN.intersection(numbers)
    code = "EXC-SIGN-IN-TENANT" if unknown_tenant else _CODES.get(name, "EXC-SIGN-IN-REFUSED")
    return Configuration(message, code=code, scope="tenant")


def ask_entra(profile: Profile) -> Mapping[str, Any]:
    """Give Entra ID's answer to a sign-in, a token or an error; blocks."""
    ca_file = str(profile.ca_file) if profile.ca_file else None
    secret = credential(profile)
    with Session(ca_file, _TIMEOUT) as session:
        try:
            application = _application(profile, secret, session)
            answer: Mapping[str, Any] = application.acquire_token_for_client([_scope(profile)])
        except (requests.RequestException, ValueError, RuntimeError, OSError) as error:
            message = f"Entra ID is out of reach: {type(error).__name__}"
            raise Transient(message, code="EXC-SIGN-IN-UNAVAILABLE", scope="tenant") from error
    return answer


def _application(profile: Profile, secret: object, session: Session) -> Any:
    """Build msal's application, which looks the tenant up; a ValueError of that is an answer 4xx."""
    authority = f"{profile.login_url.rstrip('/')}/{profile.tenant_id}"
    try:
        return msal.ConfidentialClientApplication(
            profile.client_id,
            client_credential=secret,
            authority=authority,
            instance_discovery=False,  # or an unknown host is looked up at login.microsoftonline.com
            http_client=session,
        )
    except ValueError as error:
        if isinstance(error, requests.RequestException):
            raise
        message = "Entra ID does not know the tenant"
        raise Configuration(message, code="EXC-SIGN-IN-TENANT", scope="tenant") from error


def _scope(profile: Profile) -> str:
    """Each cloud's Graph is a resource of its own."""
    graph = urlsplit(profile.graph_url)
    return f"{graph.scheme}://{graph.netloc}/.default"
