"""From environment and file to one tree of settings, and from pydantic's errors to sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import json5
from pydantic import BaseModel, ValidationError

from common.settings_names import Loc, Place, Unknown, describe, resolve

PREFIX = "EXCONN_"
FILE = "EXCONN_SETTINGS"
IGNORED = ("EXCONN_SETTINGS", "EXCONN_TEST_")  # the second: what our tests tell each other
PLAIN = ("RetryJobCronExpression", "RenewSubscriptionCronExpression")  # the original connector's names

Settings = TypeVar("Settings", bound=BaseModel)


class SettingsFault(Exception):
    """The settings cannot be used; `faults` holds a sentence for each fault, never a secret's value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(slots=True)
class Found:
    """The tree that was found, where each value came from, and what was wrong already."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Loc, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    unreadable: set[Loc] = field(default_factory=set)

    def name(self, loc: Loc) -> str:
        """What an administrator calls the setting."""
        return self.origins.get(loc) or variable(loc)

    def put(self, loc: Loc, value: Any, origin: str) -> None:
        """Keep a value; a later source wins over an earlier one."""
        branch = self.values
        for key in loc[:-1]:
            if not isinstance(branch.get(key), dict):
                branch[key] = {}
            branch = branch[key]
        branch[loc[-1]] = value
        self.origins[loc] = origin


def variable(loc: Iterable[object]) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(part).upper() for part in loc)


def gather(cls: type[BaseModel], environ: Mapping[str, str], known: Iterable[str]) -> Found:
    """Collect what file and environment say, with unknown keys and unreadable files as faults."""
    found = Found()
    path = environ.get(FILE)
    if path:
        _collect(cls, _leaves(_read_json(path, found)), f" in {path}", known, found)
    named = ((key, tuple(key[len(PREFIX) :].split("__")), value) for key, value in _ours(environ))
    _collect(cls, named, "", known, found)
    return found


def _ours(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Our variables that are set; an empty one counts as not set."""
    for key in sorted(environ):
        if not environ[key]:
            continue
        if key.upper().startswith(PREFIX) and not key.upper().startswith(IGNORED):
            yield key, environ[key]
        elif key in PLAIN:
            yield f"{PREFIX}{key}", environ[key]


def _read_json(path: str, found: Found) -> dict[str, Any]:
    try:
        tree = json5.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        found.faults.append(f"{FILE}: cannot read {path}: {_why(error)}")
    except ValueError as error:
        found.faults.append(f"{FILE}: {path} is no JSON: {error}")
    else:
        if isinstance(tree, dict):
            return tree
        found.faults.append(f"{FILE}: {path} must hold one object: {{ ... }}")
    return {}


def _leaves(tree: Mapping[str, Any], above: Loc = ()) -> Iterator[tuple[str, Loc, Any]]:
    for key, value in tree.items():
        loc = (*above, str(key))
        if isinstance(value, dict):
            yield from _leaves(value, loc)
        elif value not in (None, ""):
            yield ".".join(loc), loc, value


def _collect(
    cls: type[BaseModel],
    leaves: Iterable[tuple[str, Loc, Any]],
    where: str,
    known: Iterable[str],
    found: Found,
) -> None:
    """Put each leaf where the settings class wants it; `where` says which source it came from."""
    seen: dict[Loc, str] = {}
    for written, loc, value in leaves:
        name = written + where
        place = resolve(cls, loc, known)
        if isinstance(place, Unknown):
            found.faults.append(f"{name}: is no setting{place.hint}")
        elif place and place.loc in seen:
            found.faults.append(f"{name}: says the same as {seen[place.loc]}; keep one of them")
        elif place:
            seen[place.loc] = name
            _put(place, value, name, found)


def _put(place: Place, value: Any, name: str, found: Found) -> None:
    if not place.in_file:
        found.put(place.loc, value, name)
        return
    try:
        text = Path(str(value)).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:  # without the value: it may be the secret itself, by mistake
        found.faults.append(f"{name}: cannot read the file it names: {_why(error)}")
        found.unreadable.add(place.loc)
        text = "unreadable"
    found.put(place.loc, text, name)
    if place.path_too:
        found.put((*place.loc[:-1], f"{place.loc[-1]}_file"), str(value), name)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def validate(cls: type[Settings], found: Found) -> Settings:
    """Build the settings; raises `SettingsFault` with the faults found before and those of the values."""
    try:
        settings = cls.model_validate(found.values)
    except ValidationError as error:
        faults = _sentences(cls, found, error)
        raise SettingsFault(found.faults + faults) from None  # pydantic's own text could show a secret
    if found.faults:
        raise SettingsFault(found.faults)
    return settings


def _sentences(cls: type[BaseModel], found: Found, error: ValidationError) -> list[str]:
    """One sentence for each setting; pydantic has one for each type that a value could have had."""
    problems: dict[Loc, list[str]] = {}
    for fault in error.errors():
        loc = _setting(found, tuple(map(str, fault["loc"])))
        if loc not in found.unreadable:
            problems.setdefault(loc, []).append("" if fault["type"] == "missing" else fault["msg"])
    return [_sentence(cls, found, loc, messages) for loc, messages in problems.items()]


def _setting(found: Found, loc: Loc) -> Loc:
    """The setting that was given, without pydantic's path into its value."""
    return next((loc[:end] for end in range(len(loc), 0, -1) if loc[:end] in found.origins), loc)


def _sentence(cls: type[BaseModel], found: Found, loc: Loc, messages: list[str]) -> str:
    about = describe(cls, loc)
    if "" in messages:
        return f"{found.name(loc)}: is missing; {about}; or name a file that holds it in {variable(loc)}_FILE"
    plain = (message.removeprefix("Value error, ").replace("Input should", "should") for message in messages)
    problem = ", or ".join(message.replace("String should", "should") for message in plain)
    if not loc:
        return problem
    return f"{found.name(loc)}: {problem}" + (f" ({about})" if about else "")
