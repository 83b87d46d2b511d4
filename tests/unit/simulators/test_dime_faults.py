"""Faults: a seed repeats them, a share of zero has none, orders come first."""

from collections import Counter

import pytest

from simulators.dime.faults import RANDOM, Faults

CALM = 0.0


def test_a_seed_repeats_a_run():
    first, second = Faults(7, 0.02), Faults(7, 0.02)

    assert [first.draw("import", "") for _ in range(500)] == [second.draw("import", "") for _ in range(500)]


def test_each_random_fault_happens_in_about_its_share_of_requests():
    faults = Faults(1, 0.02)
    drawn = (faults.draw("import", "") for _ in range(10_000))
    counted = Counter((fault.name, fault.when) for fault in drawn if fault)

    assert set(counted) == set(RANDOM)
    assert all(150 < count < 250 for count in counted.values())


def test_a_kind_server_has_no_random_fault():
    faults = Faults(1, CALM)

    assert not any(faults.draw("import", "") for _ in range(1_000))


def test_an_ordered_fault_happens_as_often_as_ordered():
    faults = Faults(1, CALM)
    faults.order({"fault": "429", "times": 2})

    drawn = [faults.draw("import", "") for _ in range(3)]

    assert [fault and fault.name for fault in drawn] == ["429", "429", None]


def test_an_ordered_fault_waits_for_the_requests_it_is_meant_for():
    faults = Faults(1, CALM)
    faults.order({"fault": "500", "mailbox": "Alice@contoso.example"})

    assert faults.draw("token", "alice@contoso.example") is None
    assert faults.draw("import", "bob@contoso.example") is None
    assert faults.draw("import", "alice@contoso.example").name == "500"


def test_an_order_of_a_shape_spoils_no_request():
    faults = Faults(1, CALM)
    faults.order({"fault": "error-json"})

    assert faults.draw("import", "") is None
    assert [faults.error_shape(), faults.error_shape()] == ["error-json", None]


@pytest.mark.parametrize("wanted", [{"fault": "nonsense"}, {}, {"fault": "500", "when": "never"}])
def test_an_order_that_makes_no_sense_is_refused(wanted):
    with pytest.raises(ValueError, match=r"unknown fault|when is"):
        Faults(1, CALM).order(wanted)
