"""Microsoft's own SDK for Python works against the simulator."""

import ssl
import warnings
from datetime import UTC, datetime

import pytest

pytest.importorskip("msgraph", reason="msgraph-sdk is not installed")

# The SDK warns about itself while it is imported and used.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import httpx
    from kiota_abstractions.api_error import APIError
    from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
    from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider as BearerTokens
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.generated.models.body_type import BodyType
    from msgraph.generated.models.date_time_time_zone import DateTimeTimeZone
    from msgraph.generated.models.event import Event
    from msgraph.generated.models.item_body import ItemBody
    from msgraph.generated.models.single_value_legacy_extended_property import (
        SingleValueLegacyExtendedProperty,
    )
    from msgraph.generated.users.item.calendar_view.calendar_view_request_builder import (
        CalendarViewRequestBuilder,
    )
    from msgraph.generated.users.item.events.events_request_builder import EventsRequestBuilder
    from msgraph_core import GraphClientFactory
    from msgraph_core.tasks.page_iterator import PageIterator

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
PROPERTY = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Dime"


class Tokens(AccessTokenProvider):
    """A token that somebody else has fetched."""

    def __init__(self, token):
        self.token = token

    async def get_authorization_token(self, uri, additional_authentication_context=None):
        return self.token

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


@pytest.fixture
async def graph(simulator, token):
    context = ssl.create_default_context(cafile=simulator.ca_file)
    # The SDK wraps the transport in its middleware, and then nobody else closes it.
    async with httpx.AsyncHTTPTransport(verify=context) as transport:
        plain = httpx.AsyncClient(transport=transport)
        client = GraphClientFactory.create_with_default_middleware(client=plain)
        adapter = GraphRequestAdapter(BearerTokens(Tokens(token)), client)
        adapter.base_url = f"{simulator.address}/v1.0"
        yield GraphServiceClient(request_adapter=adapter)


def new_event(subject="Repair"):
    return Event(
        subject=subject,
        body=ItemBody(content_type=BodyType.Text, content="Bring the pump"),
        start=DateTimeTimeZone(date_time="2026-11-23T09:00:00", time_zone="Romance Standard Time"),
        end=DateTimeTimeZone(date_time="2026-11-23T10:00:00", time_zone="Romance Standard Time"),
        single_value_extended_properties=[SingleValueLegacyExtendedProperty(id=PROPERTY, value="key")],
    )


async def test_creates_reads_updates_and_deletes_an_event(graph):
    events = graph.users.by_user_id("anna@contoso.example").events
    made = await events.post(new_event())
    configuration = RequestConfiguration()
    configuration.headers.add("Prefer", 'IdType="ImmutableId"')
    configuration.headers.add("Prefer", 'outlook.body-content-type="text"')
    one = events.by_event_id(made.id)

    read = await one.get(request_configuration=configuration)
    changed = await one.patch(Event(subject="Replace"))
    await one.delete()

    assert made.start.date_time == "2026-11-23T08:00:00.0000000"
    assert made.body.content_type == BodyType.Html
    assert (read.body.content_type, read.body.content) == (BodyType.Text, "Bring the pump\r\n")
    assert read.id.startswith("AAkALg")
    assert isinstance(read.created_date_time, datetime)
    assert changed.subject == "Replace"
    with pytest.raises(APIError) as gone:
        await one.get()
    assert (gone.value.response_status_code, gone.value.error.code) == (404, "ErrorItemNotFound")


async def test_finds_an_event_by_its_property_and_expands_it(graph):
    events = graph.users.by_user_id("anna@contoso.example").events
    await events.post(new_event())
    query = EventsRequestBuilder.EventsRequestBuilderGetQueryParameters(
        filter=f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and ep/value eq 'key')",
        expand=[f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"],
        select=["id", "subject"],
    )

    found = await events.get(request_configuration=RequestConfiguration(query_parameters=query))

    [event] = found.value
    assert event.subject == "Repair"
    assert event.single_value_extended_properties[0].value == "key"


async def test_pages_through_a_view(graph):
    user = graph.users.by_user_id("anna@contoso.example")
    for number in range(12):
        await user.events.post(new_event(str(number)))
    query = CalendarViewRequestBuilder.CalendarViewRequestBuilderGetQueryParameters(
        start_date_time=datetime(2026, 11, 23, tzinfo=UTC).isoformat(),
        end_date_time="2026-11-24T00:00:00Z",
    )
    first = await user.calendar_view.get(request_configuration=RequestConfiguration(query_parameters=query))
    seen = []

    def remember(event):
        seen.append(event.subject)
        return True

    await PageIterator(first, graph.request_adapter).iterate(remember)

    assert sorted(map(int, seen)) == list(range(12))


async def test_reads_calendars_and_settings(graph):
    user = graph.users.by_user_id("anna@contoso.example")

    calendars = await user.calendars.get()
    settings = await user.mailbox_settings.get()

    assert [each.name for each in calendars.value] == ["Calendar"]
    assert settings.time_zone == "UTC"


async def test_refusals_become_the_errors_of_the_sdk(graph):
    with pytest.raises(APIError) as denied:
        await graph.users.by_user_id("denied@contoso.example").events.get()

    assert denied.value.error.code == "ErrorAccessDenied"
    assert "[RAOP]" in denied.value.error.message


async def test_the_sdk_retries_a_throttled_request_by_itself(graph, simulator):
    simulator.door("POST", "/_sim/faults", {"fault": "429"})

    answer = await graph.users.by_user_id("anna@contoso.example").events.get()

    assert answer.value == []
