"""What a client of the simulated Dime.Scheduler asks for."""

import json

SIGN_IN = {"grant_type": "password", "username": "connector", "password": "simulated-secret"}
KEY = {"X-API-KEY": "simulated-key"}
START, END = "2026-11-23 08:00:00Z", "2026-11-23 09:00:00Z"


def request(procedure, **parameters):
    names, values = list(parameters), list(parameters.values())
    return {"StoredProcedureName": procedure, "ParameterNames": names, "ParameterValues": values}


async def answer_to(http, procedure, **parameters):
    return await http.post("/api/Import/Insert", json=request(procedure, **parameters), headers=KEY)


async def insert(http, procedure, **parameters):
    """The ids that the import answers; an assertion where it fails."""
    answer = await answer_to(http, procedure, **parameters)
    assert answer.status == 200, await answer.text()
    import_set = await answer.json()
    assert import_set["Success"] is True
    return [appointment["Id"] for appointment in import_set["Appointments"]]


async def refusal(http, procedure, **parameters):
    """The text of a refused import, whatever the shape it came in."""
    answer = await answer_to(http, procedure, **parameters)
    text = await answer.text()
    assert answer.status == 500, text
    return text if answer.content_type == "text/plain" else json.loads(text)["Description"]


async def planned(http, **more):
    parameters = {"AppointmentId": "0", "Start": START, "End": END, "Subject": "Visit"} | more
    parameters.setdefault("ResourceEmail", "ALICE@contoso.example")
    (number,) = await insert(http, "mboc_upsertExchangeAppointment", **parameters)
    return str(number)


async def appointments(http):
    return {
        str(appointment["id"]): appointment
        for appointment in await (await http.get("/_sim/appointments")).json()
    }


async def fault(http, name, **order):
    answer = await http.post("/_sim/faults", json={"fault": name, **order})
    assert answer.status == 200


async def token(http):
    return (await (await http.post("/token", data=SIGN_IN)).json())["access_token"]


def bearer(text):
    return {"Authorization": f"Bearer {text}"}
