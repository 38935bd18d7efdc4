"""
Packing: values made ready to cross to another process, each by itself.

A value that cannot cross stays behind alone. It breaks neither the job nor its pool: it is reported by the name of its
field where it stays, and `get` says so where it is missed.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from otelctx.core.reports import report

T = TypeVar("T")

# What the largest object may take; a request that carries more carries data, which belongs into an argument.
MAX_BYTES: Final = 65_536

# Exactly these, and none of their subclasses: they can be read in any process, whatever it has imported.
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})

_MAX_NAMES: Final = 100
_names: set[str] = set()


@dataclass(frozen=True)
class Package:
    """
    Values on their way.

    Attributes:
        plain: by field name, values as they are.
        pickled: by field name, objects. They are read one by one over there, where one may turn out not to be readable.
        left_behind: the names of those that stay.
    """

    plain: dict[str, object] = field(default_factory=dict[str, object])
    pickled: dict[str, bytes] = field(default_factory=dict[str, bytes])
    left_behind: frozenset[str] = frozenset()


class UnpackedValues(dict[str, object]):
    """The values of a request in another process; asked for one that stayed behind, they say so."""

    __slots__ = ("left_behind",)

    def __init__(self, values: Mapping[str, object], left_behind: Iterable[str]) -> None:
        """Hold *values*, and know which names have none here although they have one elsewhere."""
        super().__init__(values)
        self.left_behind = frozenset(left_behind)

    def get(self, name: str, default: T = None) -> object | T:  # type: ignore[assignment]
        """Return the value of *name*, else *default*."""
        value = super().get(name, default)
        if value is default and name in self.left_behind and name not in self:
            report(
                _kind("missed", name),
                "Field %r has a value in the process that this work comes from, but it did not cross: only what can "
                "be pickled does. Pass it as an argument, or set what it is made from",
                name,
            )
        return value


def pack(values: Mapping[str, object], missing: Iterable[str] = ()) -> Package:
    """
    Return *values* ready to cross; it never raises.

    Args:
        missing: names whose values did not arrive here, so that whoever misses them over there shall know as well.
    """
    package = Package()
    left = {name for name in missing if name not in values}
    for name, value in values.items():
        if type(value) in _PLAIN:
            package.plain[name] = value
            continue
        try:
            package.pickled[name] = _pickled(value)
        except Exception as error:  # noqa: BLE001 - pickling runs other people's code
            left.add(name)
            report(
                _kind("left_behind", name),
                "Field %r does not cross to the other process: its value, of type %s, %s",
                name,
                type(value).__name__,
                f"takes over {MAX_BYTES} bytes" if isinstance(error, _TooLargeError) else "cannot be pickled",
            )
    return Package(package.plain, package.pickled, frozenset(left))


def unpack(package: Package) -> UnpackedValues:
    """Return the values of *package* as this process can read them; it never raises."""
    values = dict(package.plain)
    left = set(package.left_behind)
    for name, text in package.pickled.items():
        try:
            values[name] = pickle.loads(text)  # noqa: S301 - of our own parent process, by a pipe of its own
        except Exception:  # noqa: BLE001, PERF203 - unpickling runs other people's code
            left.add(name)
    return UnpackedValues(values, left - values.keys())


class _TooLargeError(Exception):
    """A value takes more than `MAX_BYTES`."""


class _Writer:
    """A file that refuses to grow beyond `MAX_BYTES`, so that a huge value costs no more than that."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, part: bytes) -> int:
        if len(self.content) + memoryview(part).nbytes > MAX_BYTES:
            raise _TooLargeError
        self.content += part
        return len(part)


def _pickled(value: object) -> bytes:
    writer = _Writer()
    pickle.Pickler(writer, pickle.HIGHEST_PROTOCOL).dump(value)
    return bytes(writer.content)


def _kind(what: str, name: str) -> str:
    # For each name a report of its own, unless there are ever new ones.
    if name not in _names and len(_names) >= _MAX_NAMES:
        return f"process.{what}"
    _names.add(name)
    return f"process.{what}.{name}"
