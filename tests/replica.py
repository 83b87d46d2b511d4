"""A publisher without processes: plan and lanes on a real state database, calendars in memory, time by request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from common import db
from common.messages import AppointmentChanged, Message
from fakes import FakeCalendars
from graph_publisher import lane
from graph_publisher.adopting import Adopter
from graph_publisher.budget import Budget
from graph_publisher.deciding import Policy
from graph_publisher.plan import Planner
from graph_publisher.settings import Tuning
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.attempts import AttemptStore
from graph_publisher.store.lanes import LaneStore, Lease
from graph_publisher.store.plans import PlanStore
from graph_publisher.turn import Turn

PROFILE = "contoso"


def profile_of(mailbox: str) -> str | None:
    return PROFILE if mailbox.endswith("@contoso.example") else None


@dataclass
class Publisher:
    """One replica. `step` and `drain` do what its loops do; `elapse` makes every wait be over."""

    pool: db.Pool
    calendars: FakeCalendars
    name: str = "one"
    policy: Policy = field(default_factory=Policy)
    tuning: Tuning = field(default_factory=Tuning)
    generation: int = 1
    told: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lanes = LaneStore(self.pool, self.name, (PROFILE,))
        self.attempts = AttemptStore(self.pool)
        self.adoptions = AdoptionStore(self.pool)

    @property
    def planner(self) -> Planner:
        async def publish(messages: Sequence[Message]) -> None:
            self.told.extend(messages)

        return Planner(PlanStore(self.pool, profile_of, self.generation), publish, self.policy, profile_of)

    async def plan(self, *messages: AppointmentChanged) -> None:
        await self.planner.handle(messages)

    async def take(self, limit: int = 10) -> list[Lease]:
        return await self.lanes.take(limit, self.tuning.lease_s, time.monotonic())

    def turn(self, lease: Lease, calendars: Any = None) -> Turn:
        return Turn(
            lease, (calendars or self.calendars).calendar(PROFILE, lease.mailbox), self.lanes, self.attempts,
            Budget(100_000, 1000), self.tuning, "test", "UTC",
        )  # fmt: skip

    async def step(self) -> int:
        """One turn for every mailbox that is due; returns how many there were."""
        leases = await self.take()
        for lease in leases:
            await lane.run(self.turn(lease), Adopter(self.adoptions))
        return len(leases)

    async def drain(self, rounds: int = 50) -> None:
        """Work until nothing is due, letting waits pass."""
        for _ in range(rounds):
            if not await self.step() and not await self.elapse():
                return
        raise AssertionError("the lanes never come to rest")

    async def elapse(self) -> int:
        """Let an hour pass for whatever waits; returns how many links still want something."""
        hour = "interval '1 hour'"
        await self.pool.execute(
            f"UPDATE link SET due_at = due_at - {hour}, missing_since = missing_since - {hour}"
        )
        await self.pool.execute(
            f"UPDATE attempt SET settled_after = settled_after - {hour} WHERE outcome IS NULL OR outcome = 'unknown'"
        )
        await self.pool.execute(
            f"UPDATE mailbox SET hold_until = hold_until - {hour}, write_until = write_until - {hour}, work_at = work_at - {hour}"
        )
        await self.pool.execute(f"UPDATE tenant SET hold_until = hold_until - {hour}")
        await self.lanes.sweep()
        return int(
            await self.pool.fetchval(
                """SELECT count(*) FROM link JOIN mailbox ON address = mailbox
               WHERE want_seq > done_seq AND outbound AND profile IS NOT NULL"""
            )
        )

    async def transactions(self, appointment_id: int = 1) -> list[tuple[str, str, str | None]]:
        rows = await self.pool.fetch(
            "SELECT action, status, code FROM transaction WHERE appointment_id = $1 ORDER BY id",
            appointment_id,
        )
        return [tuple(row) for row in rows]

    def replica(self, name: str) -> Publisher:
        return replace(self, name=name)

    def subjects(self, mailbox: str) -> list[str]:
        return sorted(event.values["subject"] for event in self.calendars.events(mailbox))
