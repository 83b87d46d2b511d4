"""The commands of graph-publisher besides run and check."""

from __future__ import annotations

from common.service import Command

COMMANDS: tuple[Command, ...] = ()
