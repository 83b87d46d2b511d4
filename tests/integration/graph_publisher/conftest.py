"""A publisher for each test, on a state database of its own."""

from __future__ import annotations

import pytest
from replica import Publisher

from common import db
from fakes import FakeCalendars


@pytest.fixture
def publisher(pool: db.Pool) -> Publisher:
    return Publisher(pool, FakeCalendars())
