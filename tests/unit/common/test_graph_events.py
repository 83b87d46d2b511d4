import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.graph.protocol import key, key_parts, same

GUID = "0b7e4d1c-5f7c-4e0a-9f52-0d3a2f6b8c11"


@given(st.text(), st.uuids(), st.text())
def test_a_key_gives_back_what_it_was_made_of(installation, guid, resource_no):
    assert key_parts(key(installation, str(guid), resource_no)) == (installation, str(guid), resource_no)


def test_a_key_does_not_depend_on_how_the_guid_is_written():
    assert key("main", GUID.upper(), "R1") == key("main", GUID, "R1")


@pytest.mark.parametrize("value", ["", "something", "a|b"])
def test_a_value_of_another_shape_is_no_key(value):
    assert key_parts(value) is None


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("subject", " Pump  check ", "Pump check"),
        ("body", "one\r\ntwo\r\n", "one\ntwo"),
        ("categories", ["b", "a"], ["a", "b"]),
        ("location", None, ""),
        ("start", "2026-11-22T08:00:00Z", "2026-11-22T08:00:00Z"),
        ("reminder", None, None),
    ],
)
def test_normalised_values_are_the_same(field, one, other):
    assert same(field, one, other)


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("subject", "Pump", "pump"),
        ("body", "one\ntwo", "one two"),
        ("categories", ["a"], ["a", "b"]),
        ("start", "2026-11-22", "2026-11-22T00:00:00Z"),
        ("reminder", None, 0),
        ("isAllDay", True, False),
    ],
)
def test_other_values_are_not_the_same(field, one, other):
    assert not same(field, one, other)
