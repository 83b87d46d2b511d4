"""The simulator as a process: command line, certificates, connections that are cut, bodies that are too large."""

import io
import json
import ssl

import aiohttp
import pytest

from simulators.launch import launch

EVENTS = "/v1.0/users/anna@contoso.example/events"
EVENT = {
    "subject": "Repair",
    "start": {"dateTime": "2026-11-23T09:00:00", "timeZone": "UTC"},
    "end": {"dateTime": "2026-11-23T10:00:00", "timeZone": "UTC"},
}


@pytest.fixture
async def client(simulator, token):
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=simulator.ca_file))
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(simulator.address, connector=connector, headers=headers) as session:
        yield session


@pytest.mark.parametrize(("fault", "made"), [("cut-before", 0), ("cut-after", 1)])
async def test_the_client_of_a_cut_connection_gets_no_answer(client, simulator, fault, made):
    simulator.door("POST", "/_sim/faults", {"fault": fault})

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.post(EVENTS, json=EVENT)

    assert len(simulator.door("GET", "/_sim/mailboxes/anna@contoso.example/events")) == made


async def test_an_empty_503_is_plain_text(client, simulator):
    simulator.door("POST", "/_sim/faults", {"fault": "503-empty"})

    async with client.get(EVENTS) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (503, "text/plain", b"")


async def test_repeated_prefer_headers_count_together(client):
    headers = [("Prefer", 'IdType="ImmutableId"'), ("Prefer", 'outlook.timezone="Tokyo Standard Time"')]

    async with client.post(EVENTS, json=EVENT, headers=headers) as answer:
        made = await answer.json()

    assert made["id"].startswith("AAkALg")
    assert made["start"]["timeZone"] == "Tokyo Standard Time"


async def test_bodies_over_four_megabytes_are_refused(client):
    body = EVENT | {"body": {"contentType": "text", "content": "x" * 2**22}}

    content = io.BytesIO(json.dumps(body).encode())
    async with client.post(EVENTS, data=content, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 413


async def test_a_client_that_gives_up_does_not_stop_the_write(client, simulator):
    simulator.door("POST", "/_sim/faults", {"fault": "slow", "seconds": 0.3})

    with pytest.raises(TimeoutError):
        await client.post(EVENTS, json=EVENT, timeout=aiohttp.ClientTimeout(total=0.1))

    assert len(simulator.door("GET", "/_sim/mailboxes/anna@contoso.example/events")) == 1


def test_prints_its_seed_and_keeps_certificates_it_finds(tmp_path):
    with launch("graph", "--seed", 7, "--cert-dir", tmp_path) as first:
        authority = (tmp_path / "ca.pem").read_bytes()

    with launch("graph", "--cert-dir", tmp_path) as second:
        assert "seed 7" in first.printed
        assert (tmp_path / "ca.pem").read_bytes() == authority
        assert second.door("GET", "/_sim/mailboxes") == {}


def test_what_prevents_the_start_is_told():
    with pytest.raises(RuntimeError, match="--latency"), launch("graph", "--latency", "much"):
        pass


def test_doors_that_do_not_exist_say_so(simulator):
    with pytest.raises(RuntimeError, match="no such door"):
        simulator.door("GET", "/_sim/nothing")
