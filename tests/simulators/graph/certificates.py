"""The simulator's certificate authority, its server certificate, and a client certificate."""

import ssl
from pathlib import Path

import trustme

NAMES = ("127.0.0.1", "localhost")
_FILES = ("ca.pem", "server.pem", "client.pem")


def provide(folder: Path) -> ssl.SSLContext:
    """Writes ca.pem, server.pem and client.pem (key and certificate) unless all are there; the server's context."""
    folder.mkdir(parents=True, exist_ok=True)
    if not all((folder / name).exists() for name in _FILES):
        _make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "server.pem")
    return context


def _make(folder: Path) -> None:
    authority = trustme.CA(organization_name="Graph simulator")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server = authority.issue_cert(*NAMES)
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    # Entra takes RSA keys only.
    client = authority.issue_cert("client.contoso.example", key_type=trustme.KeyType.RSA)
    client.private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    for name in ("server.pem", "client.pem"):
        (folder / name).chmod(0o600)
