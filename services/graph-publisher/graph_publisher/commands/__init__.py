"""The commands of graph-publisher besides run and check."""

from __future__ import annotations

from graph_publisher.commands.mailboxes import MAILBOXES
from graph_publisher.commands.preview import PREVIEW
from graph_publisher.commands.transactions import TRANSACTIONS

COMMANDS = (MAILBOXES, PREVIEW, TRANSACTIONS)
