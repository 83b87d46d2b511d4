"""The simulated Dime.Scheduler as its official client sees it."""

import asyncio
import json
from types import SimpleNamespace

import dimescheduler
from integration.simulators.dime_requests import (
    END,
    START,
    appointments,
    fault,
    request,
)


def calls(address, run):
    """Run calls of the official (blocking) client in a thread."""

    def blocking():
        with dimescheduler.DimeSchedulerClient(
            "simulated-key", SimpleNamespace(value=address), retry=False
        ) as client:
            return run(client)

    return asyncio.to_thread(blocking)


async def test_the_official_client_imports_through_the_cloud_route(http, address):
    body = request(
        "mboc_upsertExchangeAppointment",
        Start=START,
        End=END,
        ResourceEmail="bob@contoso.example",
        CreatedByExchange="True",
    )
    result = await calls(address, lambda client: client.imports.run([body]))
    content = json.loads(result.data["content"])

    assert (result.ok, result.data["statusCode"]) == (True, 200)
    assert [str(appointment["Id"]) for appointment in content["Appointments"]] == list(
        await appointments(http)
    )


async def test_a_failure_in_the_cloud_is_inside_of_http_200(http, address):
    result = await calls(address, lambda client: client.imports.run([request("mboc_noSuch")]))

    assert (result.ok, result.data["statusCode"]) == (True, 500)
    assert (
        json.loads(result.data["content"])["Description"] == "Could not find stored procedure 'mboc_noSuch'."
    )


async def test_the_official_client_tells_the_errors_apart(http, address):
    await fault(http, "429", retry_after=7)
    await fault(http, "503")
    throttled, broken = [
        (await calls(address, lambda client: client.imports.run([]))).to_error() for _ in range(2)
    ]

    assert isinstance(throttled, dimescheduler.RateLimitError)
    assert throttled.retry_after == 7
    assert isinstance(broken, dimescheduler.ServerError)
