"""Which setting a name means: names are compared without case and underscores, as .NET's files need it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

Loc = tuple[str, ...]
_FILE = "file"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value belongs; `in_file`: what is given is the path of a file that holds it."""

    loc: Loc
    in_file: bool = False
    path_too: bool = False
    """Whether the class has a field `<name>_file` that wants to know the path."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No setting is meant; the hint names the nearest one."""

    hint: str = ""


def resolve(cls: type[BaseModel], names: Loc, known: Iterable[str]) -> Place | Unknown | None:
    """Find the place of a value; None where the setting is another service's."""
    first = _squeeze(names[0])
    if first == "rules":
        return Place(("rules",))
    place = _descend(cls, names)
    if isinstance(place, Unknown) and _field(cls, names[0]) is None:
        others = {_squeeze(name) for name in known}
        if first in others or first.removesuffix(_FILE) in others:
            return None
    return place


def _descend(cls: type[BaseModel], names: Loc, above: Loc = ()) -> Place | Unknown:
    name, rest = names[0], names[1:]
    field = _field(cls, name)
    if not rest:
        return _leaf(cls, name, above)
    if field is None:
        return _unknown(cls, name)
    model, keyed = _model(cls.model_fields[field].annotation)
    if model is None:
        return Unknown()
    if not keyed:
        return _descend(model, rest, (*above, field))
    key, inner = rest[0].lower(), rest[1:]
    return _descend(model, inner, (*above, field, key)) if inner else Unknown()


def _leaf(cls: type[BaseModel], name: str, above: Loc) -> Place | Unknown:
    """A field itself, or the file of a field. A field named `x_file` beside `x` is the file of `x`."""
    field = _field(cls, name)
    squeezed = _squeeze(name)
    source = _field(cls, squeezed.removesuffix(_FILE)) if squeezed.endswith(_FILE) else None
    if source:
        return Place((*above, source), in_file=True, path_too=field is not None)
    return Place((*above, field)) if field else _unknown(cls, name)


def _unknown(cls: type[BaseModel], name: str) -> Unknown:
    near = difflib.get_close_matches(name.lower(), cls.model_fields, n=1)
    return Unknown(f"; did you mean {near[0].upper()}?" if near else "")


def _field(cls: type[BaseModel], name: str) -> str | None:
    return next((field for field in cls.model_fields if _squeeze(field) == _squeeze(name)), None)


def _squeeze(name: str) -> str:
    return name.replace("_", "").lower()


def _model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether it stands behind free keys (`dict[str, Model]`)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    keyed = get_origin(annotation) is not None and issubclass_of_mapping(get_origin(annotation))
    for inner in get_args(annotation):
        model, deeper = _model(inner)
        if model:
            return model, keyed or deeper
    return None, False


def issubclass_of_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, dict)


def describe(cls: type[BaseModel], loc: Loc) -> str:
    """What a setting is, as its field says."""
    model: type[BaseModel] | None = cls
    about = ""
    for part in loc:
        field = model.model_fields.get(part) if model else None
        if field:
            about = field.description or ""
            model = _model(field.annotation)[0] or model
    return about
