"""Whom to believe in TLS: a profile's own authority, or those of the system and of Mozilla's list."""

from __future__ import annotations

import ssl
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter

from common.errors import Configuration, Throttled, Transient
from common.graph.failures import retry_after


def context(ca_file: str | None) -> ssl.SSLContext:
    """Give the trust for Graph's calls; Configuration where the profile's authority cannot be read."""
    try:
        trust = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one, too
        message = f"the CA file cannot be used: {error.strerror or type(error).__name__}"
        raise Configuration(message, code="EXC-SIGN-IN-REFUSED", scope="tenant") from error
    if ca_file is None:
        trust.load_verify_locations(certifi.where())
    return trust


class Session(requests.Session):
    """What msal talks through: bounded in time, blind to the environment's proxies and authorities.

    Raises Transient itself for answers 429 and 5xx, which msal would remember, or take for an unknown tenant.
    """

    def __init__(self, ca_file: str | None, timeout: float) -> None:
        """`timeout` is in seconds, for connecting and for each wait for bytes."""
        super().__init__()
        self.trust_env = False
        self._timeout = timeout
        if ca_file is None:
            self.mount("https://", _SystemTrust())
        else:
            self.verify = ca_file

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        options.setdefault("timeout", self._timeout)
        answer = super().request(method, url, *args, **options)
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _unavailable(answer)
        return answer


class _SystemTrust(HTTPAdapter):
    """Requests knows only Mozilla's list; many companies add their own authority to the system's."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=ssl.create_default_context(), **options)


def _unavailable(answer: requests.Response) -> Transient:
    message = f"Entra ID answered {answer.status_code}"
    wait = retry_after({name.lower(): value for name, value in answer.headers.items()})
    if wait is None:
        return Transient(message, code="EXC-SIGN-IN-UNAVAILABLE", scope="tenant", status=answer.status_code)
    return Throttled(
        message, retry_after=wait, code="EXC-SIGN-IN-UNAVAILABLE", scope="tenant", status=answer.status_code
    )
