"""Signing in at the simulated Entra ID by msal, with a secret or a certificate, and what can be wrong with it."""

import asyncio
from dataclasses import replace

import pytest
import trustme

from common.errors import Configuration, Throttled, Transient
from common.graph.client import client
from common.graph.tokens import Tokens, ask_entra


@pytest.fixture
def fail_sign_in(simulator):
    """Let the next sign-ins fail; nothing is left for other tests."""

    def force(fault, **more):
        simulator.door("POST", "/_sim/faults", {"fault": fault, **more})

    yield force
    simulator.door("DELETE", "/_sim/faults")


async def settings(profile, address):
    async with client({"contoso": profile}) as graph:
        return await graph.calendar("contoso", address).settings()


async def refused(profile, address):
    """Give the error of a call under the profile."""
    with pytest.raises((Configuration, Transient)) as caught:
        await settings(profile, address)
    assert caught.value.scope == "tenant"
    return caught.value


async def test_a_certificate_signs_in(profile, simulator, address, tmp_path):
    file = tmp_path / "client.pem"
    file.write_text(simulator.client_pem)
    unsecret = replace(profile, client_secret=None)

    assert (await settings(replace(unsecret, certificate=simulator.client_pem), address)).time_zone == "UTC"
    assert (await settings(replace(unsecret, certificate=str(file)), address)).time_zone == "UTC"


async def test_each_tenant_has_tokens_of_its_own(profile):
    fabrikam = replace(profile, tenant_id="00000000-0000-4000-8000-000000000003")

    async with client({"contoso": profile, "fabrikam": fabrikam}) as graph:
        both = await asyncio.gather(
            graph.calendar("contoso", "bob@contoso.example").settings(),
            graph.calendar("fabrikam", "bob@fabrikam.example").settings(),
        )

    assert [each.time_zone for each in both] == ["UTC", "UTC"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"client_secret": "wrong"}, "EXC-SIGN-IN-SECRET"),
        ({"client_id": "00000000-0000-4000-8000-00000000dead"}, "EXC-SIGN-IN-CLIENT"),
        ({"tenant_id": "00000000-0000-4000-8000-00000000dead"}, "EXC-SIGN-IN-TENANT"),
        ({"client_secret": None, "certificate": "/does/not/exist"}, "EXC-SIGN-IN-SECRET"),
    ],
)
async def test_a_wrong_profile_is_told_in_one_clear_code(profile, address, wrong, code):
    error = await refused(replace(profile, **wrong), address)

    assert (type(error), error.code) == (Configuration, code)


async def test_an_unknown_certificate_is_told(profile, address):
    issued = trustme.CA().issue_cert("connector.example", key_type=trustme.KeyType.RSA)
    pem = "".join(part.bytes().decode() for part in [issued.private_key_pem, *issued.cert_chain_pems])

    error = await refused(replace(profile, client_secret=None, certificate=pem), address)

    assert (type(error), error.code) == (Configuration, "EXC-SIGN-IN-SECRET")


async def test_a_mended_secret_counts_at_once(profile, address, tmp_path):
    file = tmp_path / "secret"
    file.write_text("wrong\n")

    async with client({"contoso": replace(profile, client_secret_file=file)}) as graph:
        with pytest.raises(Configuration):
            await graph.calendar("contoso", address).settings()
        file.write_text("simulated-secret\n")

        assert (await graph.calendar("contoso", address).settings()).time_zone == "UTC"


async def test_trouble_at_entra_is_transient_and_not_remembered(profile, address, fail_sign_in):
    async with client({"contoso": profile}) as graph:
        calendar = graph.calendar("contoso", address)
        fail_sign_in("token-503")
        with pytest.raises(Transient) as unavailable:
            await calendar.settings()
        fail_sign_in("token-429")
        with pytest.raises(Throttled) as throttled:
            await calendar.settings()

        assert (await calendar.settings()).time_zone == "UTC"
    assert unavailable.value.code == throttled.value.code == "EXC-SIGN-IN-UNAVAILABLE"
    assert not unavailable.value.maybe_applied


async def test_an_entra_out_of_reach_is_transient(profile, address, nobody):
    error = await refused(replace(profile, login_url=nobody), address)

    assert (type(error), error.code) == (Transient, "EXC-SIGN-IN-UNAVAILABLE")


async def test_an_authority_that_is_not_trusted_gets_no_secret(profile, address, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))

    for ca_file in (other, None):
        error = await refused(replace(profile, ca_file=ca_file), address)
        assert (type(error), error.code) == (Transient, "EXC-SIGN-IN-UNAVAILABLE")


async def test_a_ca_file_that_cannot_be_read_stops_its_own_profile_only(profile, address):
    broken = replace(profile, ca_file="/does/not/exist.pem")

    async with client({"broken": broken, "contoso": profile}) as graph:
        with pytest.raises(Configuration):
            await graph.calendar("broken", address).settings()

        assert (await graph.calendar("contoso", address).settings()).time_zone == "UTC"


async def test_revoked_tokens_are_replaced_by_one_sign_in_for_all(profile, simulator, address, calls):
    asked = []

    def counted(asking):
        asked.append(asking)
        return ask_entra(asking)

    async with client({"contoso": profile}, observe=calls.append) as graph:
        connection = graph._connections["contoso"]
        connection._tokens = Tokens(profile, ask=counted)
        calendar = graph.calendar("contoso", address)
        await calendar.settings()
        simulator.door("POST", "/_sim/tokens/revoke")
        await asyncio.gather(*(calendar.settings() for _ in range(4)))

    assert len(asked) == 2
    assert all(call.status in (200, 401) for call in calls)
