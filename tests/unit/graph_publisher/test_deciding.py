"""What a snapshot means for links, as a pure function."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import ALICE, BOB, assignment, snapshot
from common.messages import Snapshot
from graph_publisher.deciding import Change, Decision, Link, Policy, Unaddressed, address, decide
from graph_publisher.mapping import Defaults, wanted

ON = Policy()
OFF = Policy(outbound=False)


def applied(links: tuple[Link, ...], decision: Decision) -> tuple[Link, ...]:
    """What the database makes of a decision."""
    after = {(link.resource_no, link.mailbox): link for link in links}
    for number, change in enumerate(decision.changes, 100):
        link = replace(change.link, id=change.link.id or number, wanted=change.wanted, frozen=change.frozen)
        after[link.resource_no, link.mailbox] = link
    return tuple(after.values())


def linked(snap: Snapshot, *, has_event: bool = True, policy: Policy = ON) -> tuple[Link, ...]:
    links = applied((), decide(snap, (), policy))
    return tuple(replace(link, has_event=has_event) for link in links)


def only(decision: Decision) -> Change:
    (change,) = decision.changes
    return change


def told(decision: Decision) -> list[tuple[str, str, str, str | None]]:
    return [(one.link.mailbox, one.action, one.status, one.code) for one in decision.changes]


def test_each_resource_that_takes_part_gets_a_link() -> None:
    decision = decide(snapshot(1, ALICE, BOB), (), ON)

    assert told(decision) == [(ALICE, "create", "pending", None), (BOB, "create", "pending", None)]


def test_a_resource_that_changes_its_mailbox_leaves_the_old_one() -> None:
    before = snapshot(1, assignments=(assignment(ALICE, resource_no="R1"),))
    after = snapshot(1, assignments=(assignment(BOB, resource_no="R1"),))
    decision = decide(after, linked(before), ON)

    assert told(decision) == [(ALICE, "delete", "pending", None), (BOB, "create", "pending", None)]


def test_two_resources_of_one_mailbox_are_two_events() -> None:
    both = (assignment(ALICE, resource_no="R1"), assignment(ALICE, resource_no="R2"))

    assert len(decide(snapshot(1, assignments=both), (), ON).changes) == 2


def test_what_did_not_change_is_not_told() -> None:
    assert decide(snapshot(1), linked(snapshot(1)), ON).changes == ()


def test_a_change_names_the_fields_with_both_values() -> None:
    change = only(decide(snapshot(1, subject="new"), linked(snapshot(1, subject="old")), ON))

    assert change.changes == {"subject": {"from": "old", "to": "new"}}
    assert change.action == "update"


@pytest.mark.parametrize("policy", [OFF, Policy(mailbox_off={ALICE})])
def test_a_switch_freezes_and_thaws_what_is_wanted(policy: Policy) -> None:
    links = linked(snapshot(1), has_event=False)
    frozen = decide(snapshot(1), links, policy)
    thawed = decide(snapshot(1), applied(links, frozen), ON)

    assert told(frozen) == [(ALICE, "create", "skipped", "EXC-DIRECTION-OFF")]
    assert told(thawed) == [(ALICE, "create", "pending", None)]


def test_a_deletion_while_switched_off_is_done_when_switched_on() -> None:
    links = linked(snapshot(1))
    off = decide(None, links, OFF)
    on = decide(None, applied(links, off), ON)

    assert told(off) == [(ALICE, "delete", "skipped", "EXC-DIRECTION-OFF")]
    assert told(on) == [(ALICE, "delete", "pending", None)]


@pytest.mark.parametrize("policy", [ON, OFF])
def test_what_was_never_written_needs_no_delete(policy: Policy) -> None:
    links = linked(snapshot(1), has_event=False)
    gone = decide(None, links, policy)

    assert told(gone) == [(ALICE, "none", "skipped", "EXC-NO-CHANGE")]
    assert decide(None, applied(links, gone), policy).changes == ()


def test_another_mailboxs_switch_is_not_ours() -> None:
    assert told(decide(snapshot(1), (), Policy(mailbox_off={BOB}))) == [(ALICE, "create", "pending", None)]


@pytest.mark.parametrize(
    ("end", "has_event", "code"),
    [
        (datetime(2027, 2, 28, 23, 59, tzinfo=UTC), False, "EXC-BEFORE-CUT-OFF"),
        (datetime(2027, 3, 1, 0, 0, tzinfo=UTC), False, None),
        (datetime(2027, 2, 28, 23, 59, tzinfo=UTC), True, None),
    ],
)
def test_the_cut_off_date_is_for_events_that_do_not_exist(
    end: datetime, has_event: bool, code: str | None
) -> None:
    links = (replace(linked(snapshot(1))[0], has_event=has_event),)
    change = only(
        decide(snapshot(1, start=end - timedelta(hours=1), end=end), links, Policy(cut_off=date(2027, 3, 1)))
    )

    assert change.code == code


def test_a_fault_leaves_the_event_and_is_told_once() -> None:
    broken = snapshot(1, end=datetime(2027, 3, 1, 7, tzinfo=UTC))
    links = linked(snapshot(1))
    first = decide(broken, links, ON)
    again = decide(broken, applied(links, first), ON)
    mended = decide(snapshot(1), applied(links, first), ON)

    assert told(first) == [(ALICE, "update", "failed", "EXC-END-BEFORE-START")]
    assert only(first).wanted == links[0].wanted
    assert again.changes == ()
    assert told(mended) == [(ALICE, "update", "pending", None)]


def test_a_defect_in_the_mapping_is_the_items_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_snapshot: object, _defaults: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("graph_publisher.deciding.wanted", broken)

    assert told(decide(snapshot(1), (), ON)) == [(ALICE, "create", "failed", "EXC-INTERNAL")]


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("Alice@Contoso.Example", "alice@contoso.example"),
        (" alice@contoso.example ", "alice@contoso.example"),
        (None, ""),
        ("", ""),
        ("alice", ""),
        ("@contoso.example", ""),
        ("alice@", ""),
        ("a@b.example;c@d.example", ""),
    ],
)
def test_an_address_is_one_mailbox_or_none(email: str | None, mailbox: str) -> None:
    assert address(assignment(email, resource_no="R1", display_name="R")) == mailbox


def test_a_resource_without_an_address_is_named() -> None:
    decision = decide(snapshot(1, assignments=(assignment(None),)), (), ON)

    assert decision == Decision((), (Unaddressed("NOBODY"),))


emails = st.sampled_from([ALICE, BOB, None, "Alice@contoso.example"])
assignments = st.lists(
    st.builds(
        lambda email, resource, on: assignment(email, resource_no=resource, exchange_integration_enabled=on),
        emails, st.sampled_from(["R1", "R2"]), st.booleans(),
    ),
    max_size=3,
)  # fmt: skip
hours = st.integers(-3, 3).map(lambda hour: datetime(2027, 3, 1, 8, tzinfo=UTC) + timedelta(hours=hour))
snapshots = st.none() | st.builds(
    lambda end, who, subject: snapshot(1, end=end, assignments=tuple(who), subject=subject),
    hours, assignments, st.sampled_from(["one", "two"]),
)  # fmt: skip
policies = st.builds(
    Policy,
    st.builds(Defaults, show_as=st.sampled_from(["busy", "free"])),
    st.booleans(),
    st.sampled_from([None, date(2027, 3, 1), date(2028, 1, 1)]),
    st.sets(st.sampled_from([ALICE, BOB])),
)


@given(st.lists(st.tuples(snapshots, policies, st.booleans()), min_size=1, max_size=5))
def test_deciding_again_after_applying_a_decision_changes_nothing(
    history: list[tuple[Snapshot | None, Policy, bool]],
) -> None:
    links: tuple[Link, ...] = ()
    for snap, policy, written in history:
        links = applied(links, decide(snap, links, policy))
        again = decide(snap, links, policy)
        links = tuple(_written(link) if written else link for link in links)

        assert again.changes == ()


def _written(link: Link) -> Link:
    return link if link.frozen else replace(link, has_event=link.wanted is not None)


@given(snapshots, snapshots, policies)
def test_only_what_the_newest_snapshot_says_counts(
    first: Snapshot | None, last: Snapshot | None, policy: Policy
) -> None:
    direct = applied((), decide(last, (), policy))
    detour = applied((), decide(first, (), policy))
    detour = applied(detour, decide(last, detour, policy))

    assert _shown(direct) == _shown(detour)


def _shown(links: tuple[Link, ...]) -> dict[Any, Any]:
    return {
        (one.resource_no, one.mailbox): one.wanted
        for one in links
        if one.wanted is not None and one.frozen is None
    }


def test_the_mapping_of_a_link_is_that_of_its_snapshot() -> None:
    assert linked(snapshot(1))[0].wanted == wanted(snapshot(1), Defaults()).values
