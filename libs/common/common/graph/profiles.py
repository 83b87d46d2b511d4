"""What is needed of a profile, and its credential as it is at this moment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from common.errors import Configuration

_KEY = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Secret(Protocol):
    """What keeps a value out of logs, like pydantic's SecretStr."""

    def get_secret_value(self) -> str:
        """Give the value."""


class Profile(Protocol):
    """What is needed of a connection to one Entra tenant; a client secret or a certificate is there."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def client_id(self) -> str: ...
    @property
    def client_secret(self) -> str | Secret | None: ...
    @property
    def client_secret_file(self) -> str | Path | None:
        """File of the secret, which wins over the value: it is read at each sign-in, so it may be renewed."""

    @property
    def certificate(self) -> str | Secret | None:
        """PEM of a certificate and its private key, or the path of a file that holds both."""

    @property
    def certificate_file(self) -> str | Path | None: ...

    @property
    def login_url(self) -> str: ...
    @property
    def graph_url(self) -> str: ...
    @property
    def ca_file(self) -> str | Path | None: ...


def credential(profile: Profile) -> str | dict[str, str]:
    """Give the client secret or certificate as msal takes it; Configuration where it cannot be used."""
    secret = _current(profile.client_secret_file, profile.client_secret)
    return secret.strip() if secret else _certificate(_current(profile.certificate_file, profile.certificate))


def _current(file: str | Path | None, value: str | Secret | None) -> str:
    """Give a secret as it is now; its file is read each time, so that it may be renewed in place."""
    if not file:
        return _revealed(value)
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unusable(type(error).__name__) from error


def _certificate(pem: str) -> dict[str, str]:
    """Give a certificate as msal takes it: a PS256 assertion with the certificates beside it."""
    if pem and "-----BEGIN" not in pem:
        pem = _current(pem.strip(), None)
    key, certificates = _KEY.search(pem), _CERTIFICATE.findall(pem)
    if key is None or not certificates:
        raise _unusable("no certificate with its private key is in it")
    if not _pair(key.group(), certificates[0]):
        raise _unusable("certificate and private key are no pair of RSA, which Entra ID asks for")
    return {"private_key": key.group(), "public_certificate": "\n".join(certificates)}


def _pair(key: str, certificate: str) -> bool:
    """Tell whether both can be read, are RSA, and belong together."""
    try:
        private = load_pem_private_key(key.encode(), password=None)
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except (ValueError, TypeError) as error:  # TypeError: the key is encrypted
        raise _unusable(type(error).__name__) from error
    return isinstance(private, RSAPrivateKey) and private.public_key() == public


def _unusable(reason: str) -> Configuration:
    message = f"the secret or certificate cannot be used: {reason}"
    return Configuration(message, code="EXC-SIGN-IN-SECRET", scope="tenant")


def _revealed(secret: str | Secret | None) -> str:
    return secret if isinstance(secret, str) else secret.get_secret_value() if secret else ""
