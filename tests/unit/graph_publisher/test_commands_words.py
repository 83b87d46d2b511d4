"""What the words of a command line may be, and how answers look."""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime, timedelta, timezone

import pytest

from graph_publisher.commands import COMMANDS
from graph_publisher.commands.arguments import mailbox_address, moment, positive
from graph_publisher.commands.tables import cell, dump, meaning, table


def parse(name, *words):
    parser = ArgumentParser(prog=name)
    next(command for command in COMMANDS if command.name == name).arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("text", "address"), [("Alice@Contoso.Example", "alice@contoso.example"), (" bob@x ", "bob@x")]
)
def test_an_address_is_in_lower_case(text, address):
    assert mailbox_address(text) == address


@pytest.mark.parametrize("text", ["", "alice", "@contoso.example", "alice@", "a@b@c"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ArgumentTypeError):
        mailbox_address(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2027-03-01", datetime(2027, 3, 1, tzinfo=UTC)),
        ("2027-03-01T08:30Z", datetime(2027, 3, 1, 8, 30, tzinfo=UTC)),
        ("2027-03-01T08:30+02:00", datetime(2027, 3, 1, 8, 30, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_time_without_a_zone_is_utc(text, at):
    assert moment(text) == at


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "٣", str(2**63)])
def test_a_number_is_above_zero_and_fits(text):
    with pytest.raises(ArgumentTypeError):
        positive(text)


def test_a_filter_may_stand_before_or_after_the_action():
    before = parse("transactions", "--status", "failed", "retry", "--limit", "3")
    after = parse("transactions", "retry", "--status", "failed", "--limit", "3")

    assert vars(before) == vars(after)
    assert (before.action, before.status, before.limit, before.ids) == ("retry", "failed", 3, [])


def test_without_an_action_a_command_lists():
    assert parse("transactions").action == "list"
    assert parse("mailboxes").action == "list"
    assert parse("mailboxes").address is None


@pytest.mark.parametrize(
    "words",
    [
        ("mailboxes", "hold"),
        ("mailboxes", "hold", "alice"),
        ("mailboxes", "delete", "alice@contoso.example"),
        ("transactions", "--status", "done"),
        ("transactions", "--code", "EXC-NONSENSE"),
        ("transactions", "--since", "yesterday"),
        ("transactions", "retry", "one"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(words, capsys):
    with pytest.raises(SystemExit) as end:
        parse(*words)

    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        parse(command.name, "--help")

    assert end.value.code == 0
    assert f"\n  graph-publisher {command.name}" in capsys.readouterr().out.partition("example")[2]


def test_columns_are_as_wide_as_their_widest_cell(capsys):
    table(("A", "B"), [("long one", 1), ("x", None)])

    assert capsys.readouterr().out == "A         B\nlong one  1\nx         -\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "on"),
        (0, "0"),
        ("two\nlines", "two lines"),
        (datetime(2027, 3, 1, 9, tzinfo=timezone(timedelta(hours=1))), "2027-03-01 08:00:00Z"),
    ],
)
def test_a_cell_is_one_line(value, text):
    assert cell(value) == text


def test_json_has_times_in_utc(capsys):
    dump({"at": datetime(2027, 3, 1, 9, tzinfo=timezone(timedelta(hours=1)))})

    assert '"2027-03-01T08:00:00Z"' in capsys.readouterr().out


def test_a_code_is_told_with_its_advice():
    assert meaning("EXC-MAILBOX-NO-LICENCE") == (
        "EXC-MAILBOX-NO-LICENCE: The mailbox has no licence or is not in Exchange Online. Assign a licence."
    )
