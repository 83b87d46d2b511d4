"""Numbers as a person says them."""

from collections.abc import Mapping


def lag(seconds: float | None) -> str:
    """A time as a person says it."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def counted(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def times(faults: Mapping[str, int]) -> str:
    """`503 3x, cut`."""
    return ", ".join(f"{name} {n}x" if n > 1 else name for name, n in sorted(faults.items()))
