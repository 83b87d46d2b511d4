from types import SimpleNamespace
from uuid import uuid4

import pytest
from aiormq import spec
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from common.publishing import _Envelope
from common.topology import EXCHANGE


@pytest.mark.parametrize("headers", [None, {"traceparent": "00-1"}])
@pytest.mark.parametrize("size", [0, 1, 999, 1000, 2500])
def test_frames_are_those_that_pamqp_makes(size, headers):
    channel, body, message_id = SimpleNamespace(number=3, max_content_size=1000), b"\xce" * size, str(uuid4())
    properties = spec.Basic.Properties(
        content_type="application/json",
        delivery_mode=2,
        message_id=message_id,
        message_type="x.v1",
        headers=headers,
    )

    frames = _Envelope(channel, "x.v1", True, headers).around(body, message_id)

    expected = [
        spec.Basic.Publish(exchange=EXCHANGE, routing_key="x.v1", mandatory=True),
        ContentHeader(properties=properties, body_size=size),
        *(ContentBody(body[start : start + 1000]) for start in range(0, size, 1000)),
    ]
    assert frames == b"".join(marshal(frame, 3) for frame in expected)
