"""
Times for people: durations, offsets from the start of the request, and its date.

Three significant digits are enough for a reader; the exact nanoseconds are in the JSON.
"""

from __future__ import annotations

from datetime import datetime, timezone

_MICROSECOND = 1_000
_MILLISECOND = 1_000_000
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND


def format_duration(nanoseconds: int | None) -> str:
    """
    Return a duration in at most eight cells.

    >>> format_duration(2_140_000), format_duration(184_300_000), format_duration(95_000_000_000), format_duration(None)
    ('2.14 ms', '184 ms', '1m 35s', '?')
    """
    if nanoseconds is None:
        return "?"
    if nanoseconds < 0:
        return f"-{format_duration(-nanoseconds)}"
    if nanoseconds < 10 * _MICROSECOND:
        return f"{nanoseconds / _MILLISECOND:.3f} ms" if nanoseconds else "0 ms"
    if nanoseconds < 999.5 * _MILLISECOND:
        return f"{_three_digits(nanoseconds / _MILLISECOND)} ms"
    if nanoseconds < 59.95 * _SECOND:
        return f"{_three_digits(nanoseconds / _SECOND)} s"
    minutes, rest = divmod(round(nanoseconds / _SECOND), 60)
    return f"{minutes}m {rest:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"


def format_offset(nanoseconds: int) -> str:
    """
    Return the time since the start of the request, with its sign.

    >>> format_offset(2_140_000), format_offset(-3_000_000)
    ('+2.14 ms', '-3.00 ms')
    """
    if abs(nanoseconds) < 10 * _MICROSECOND:
        return "+0.00 ms" if nanoseconds else "0 ms"
    return format_duration(nanoseconds) if nanoseconds < 0 else f"+{format_duration(nanoseconds)}"


def format_date(nanoseconds: int) -> str:
    """
    Return a moment in UTC, to the millisecond.

    >>> format_date(1_795_413_000_123_000_000)
    '2026-11-23 05:50:00.123 UTC'
    """
    try:
        moment = datetime.fromtimestamp(nanoseconds // _SECOND, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return f"{nanoseconds} ns after the epoch"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{nanoseconds % _SECOND // _MILLISECOND:03} UTC"


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
