"""msal signs in at the simulator as it does at Entra."""

import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from simulators.graph.tokens import CLIENT, CONTOSO, FABRIKAM, SECRET

SCOPES = ["https://graph.microsoft.com/.default"]


@pytest.mark.parametrize("tenant", [CONTOSO, FABRIKAM, "contoso.example"])
def test_a_secret_gets_a_token(make_app, tenant):
    answer = make_app(tenant=tenant).acquire_token_for_client(SCOPES)

    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599


def test_a_certificate_gets_a_token(make_app, simulator):
    pem = simulator.client_pem
    app = make_app({"private_key": pem, "public_certificate": pem})

    assert "access_token" in app.acquire_token_for_client(SCOPES)


def test_a_certificate_named_by_thumbprint_gets_a_token(make_app, simulator):
    pem = simulator.client_pem
    thumbprint = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA1()).hex()
    app = make_app({"private_key": pem, "thumbprint": thumbprint})

    assert "access_token" in app.acquire_token_for_client(SCOPES)


def test_another_certificate_does_not(make_app, simulator):
    server = (simulator.cert_dir / "server.pem").read_text()
    key = simulator.client_pem
    app = make_app({"private_key": key, "public_certificate": server[server.index("-----BEGIN CERT") :]})

    answer = app.acquire_token_for_client(SCOPES)

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [700027])


def test_a_wrong_secret_is_refused_with_the_words_of_entra(make_app):
    answer = make_app("wrong").acquire_token_for_client(SCOPES)

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])
    assert answer["error_description"].startswith("AADSTS7000215: ")
    assert "\r\nTrace ID: " in answer["error_description"]


def test_an_expired_secret_is_refused(make_app, simulator):
    app = {"tenant": CONTOSO, "client_id": CLIENT}
    simulator.door("POST", "/_sim/apps", app | {"secret_expired": True})

    answer = make_app().acquire_token_for_client(SCOPES)

    simulator.door("POST", "/_sim/apps", app | {"secret_expired": False})
    assert answer["error_codes"] == [7000222]


@pytest.mark.parametrize(
    ("scope", "error", "code"),
    [
        ("https://graph.microsoft.com/Calendars.Read", "invalid_scope", 1002012),
        ("https://graph.example/.default", "invalid_resource", 500011),
    ],
)
def test_scopes_must_be_the_default_of_a_known_resource(make_app, scope, error, code):
    answer = make_app().acquire_token_for_client([scope])

    assert (answer["error"], answer["error_codes"]) == (error, [code])


def test_the_simulator_itself_is_a_known_resource(make_app, simulator):
    assert "access_token" in make_app().acquire_token_for_client([f"{simulator.address}/.default"])


def test_an_unknown_tenant_has_no_discovery_document(make_app, simulator, session):
    tenant = "00000000-0000-4000-8000-000000000009"
    answer = session.get(f"{simulator.address}/{tenant}/v2.0/.well-known/openid-configuration")

    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])
    with pytest.raises(ValueError, match="authority"):
        make_app(tenant=tenant)


def test_an_unknown_client_and_grant_are_refused(simulator, session):
    url = f"{simulator.address}/{CONTOSO}/oauth2/v2.0/token"
    form = {"client_id": "x", "client_secret": "y", "scope": SCOPES[0], "grant_type": "client_credentials"}

    unknown_client = session.post(url, data=form)
    unknown_grant = session.post(url, data=form | {"grant_type": "password"})

    assert (unknown_client.status_code, unknown_client.json()["error_codes"]) == (400, [700016])
    assert (unknown_grant.status_code, unknown_grant.json()["error_codes"]) == (400, [70003])


def test_the_login_endpoint_can_be_away(make_app, simulator):
    app = make_app()
    simulator.door("POST", "/_sim/faults", {"fault": "token-503"})

    with pytest.raises(msal.exceptions.MsalServiceError):
        app.acquire_token_for_client(SCOPES)


def test_token_requests_are_logged(make_app, simulator):
    make_app().acquire_token_for_client(SCOPES)

    last = simulator.door("GET", "/_sim/requests")["requests"][-1]

    assert (last["mailbox"], last["path"]) == (None, f"/{CONTOSO}/oauth2/v2.0/token")


def test_the_secret_may_come_as_http_basic(simulator, session):
    url = f"{simulator.address}/{CONTOSO}/oauth2/v2.0/token"
    form = {"scope": SCOPES[0], "grant_type": "client_credentials"}

    assert session.post(url, data=form, auth=(CLIENT, SECRET)).status_code == 200
    assert session.post(url, data=form, auth=(CLIENT, "wrong")).status_code == 401
