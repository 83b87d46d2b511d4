"""What a service tells about itself."""

from common.ops import Ops


def test_a_service_that_reported_nothing_is_starting() -> None:
    ops = Ops("scheduler")

    assert ops.answer()["ready"] is False
    assert ops.answer()["reasons"] == {"service": "starting"}


def test_it_is_ready_when_no_neighbour_is_missing() -> None:
    ops = Ops("scheduler")
    ops.ready("rabbitmq", None)
    ops.reporter("postgresql")("away")
    before = ops.answer()

    ops.ready("postgresql")

    assert (before["ready"], before["reasons"]) == (False, {"rabbitmq": None, "postgresql": "away"})
    assert ops.answer()["ready"] is True


def test_it_is_not_ready_while_it_stops() -> None:
    ops = Ops("scheduler")
    ops.ready("rabbitmq")

    ops.stopping = True

    assert ops.answer()["ready"] is False
    assert ops.answer()["reasons"]["service"] == "stopping"
