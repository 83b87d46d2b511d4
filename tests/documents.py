"""Documents that are written from the code: `python -m documents` writes them, a test finds what drifted."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from common.codes import CODES
from common.settings import CommonSettings, Profile
from dashboard_api.settings import Settings as DashboardSettings
from graph_publisher.settings import Settings as PublisherSettings
from outbox_reader.settings import Settings as ReaderSettings
from scheduler.settings import Settings as SchedulerSettings
from webhook_ingest.settings import Settings as IngestSettings

DOCS = Path(__file__).parents[1] / "docs"
SERVICES: dict[str, type[BaseModel]] = {
    "outbox-reader": ReaderSettings,
    "graph-publisher": PublisherSettings,
    "webhook-ingest": IngestSettings,
    "scheduler": SchedulerSettings,
    "dashboard-api": DashboardSettings,
}

_HEAD = """# Settings

Written from the code; change it there.

Settings come from the environment, with the prefix `EXCONN_` and `__` between the parts of a name. Any `X` may be given as
`X_FILE`, the path of a file with the value. A settings file (JSON, comments allowed, keys in any case) may be named by
`EXCONN_SETTINGS`; the environment wins over it. All services may share one environment; an unknown name is a fault, and
all faults are told at once.
"""

_CODES_HEAD = """# Codes

Written from the code; change it there. Every transaction that did not simply succeed, every hold and every refused
command carries one of these.

| code | class | what happened | what to do |
| --- | --- | --- | --- |
"""


def settings_page() -> str:
    """The reference of all settings."""
    common = [row for row in _rows(CommonSettings, ()) if "OPS_PORT" not in row]
    profile = list(_rows(Profile, ("PROFILES", "<NAME>")))
    sections = [_titled("Every service", common), _titled("A profile", profile)]
    for name, model in SERVICES.items():
        own = [row for row in _rows(model, ()) if row not in common and "PROFILES" not in row]
        sections.append(_titled(name, own))
    return _HEAD + "".join(sections)


def codes_page() -> str:
    """The reference of all codes."""
    rows = (f"| `{code.name}` | {code.kind} | {code.sentence} | {code.advice} |\n" for code in CODES.values())
    return _CODES_HEAD + "".join(rows)


PAGES = {"settings.md": settings_page, "errors.md": codes_page}


def _titled(title: str, rows: list[str]) -> str:
    return f"\n## {title}\n\n| setting | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def _rows(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is not None:
            yield from _rows(section, (*path, name.upper()))
        else:
            yield f"| `EXCONN_{'__'.join((*path, name.upper()))}` | {_default(field)} | {_meaning(field)} |\n"


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (
        typing.get_args(field.annotation)
        if isinstance(field.annotation, types.UnionType)
        else (field.annotation,)
    )
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return ""
    words = {True: "on", False: "off"}
    return f"`{words[value] if isinstance(value, bool) else value}`"


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def main() -> None:
    """Write every page."""
    DOCS.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
