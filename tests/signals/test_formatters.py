"""The two formatters: JSON for machines, a line for people."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import Tracer

import otelctx
from otelctx.signals import log_records
from otelctx.signals.formatters import ConsoleFormatter, JsonFormatter


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    log_records.PATCH.install()
    yield
    log_records.PATCH.uninstall()


def record(message: str = "hello %s", *args: object, level: int = logging.INFO, **rest: Any) -> logging.LogRecord:
    return logging.getLogger("shop.orders").makeRecord("shop.orders", level, "f.py", 7, message, args, None, **rest)


class Broken:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


def failed() -> logging.LogRecord:
    nothing: dict[str, str] = {}
    try:
        nothing["gone"] += "x"
    except KeyError:
        return logging.getLogger("x").makeRecord("x", logging.ERROR, "f.py", 7, "failed", (), sys.exc_info())
    raise AssertionError


class TestJsonFormatter:
    def entry(self, of: logging.LogRecord) -> dict[str, Any]:
        text = JsonFormatter().format(of)
        assert "\n" not in text
        entry = json.loads(text)
        assert isinstance(entry, dict)
        return entry

    def test_it_has_message_declared_fields_others_and_trace_in_this_order(self, tracer: Tracer) -> None:
        with otelctx.request(request_id="r", user_id="Jürgen", step="one"), tracer.start_as_current_span("x"):
            entry = self.entry(record("hello %s", "you", extra={"size": 3}))
        assert [*entry] == [
            *("time", "level", "logger", "message", "request_id", "user_id", "size", "step"),
            *("trace_id", "span_id", "trace_flags"),
        ]
        assert (entry["level"], entry["logger"], entry["message"]) == ("INFO", "shop.orders", "hello you")
        assert (entry["user_id"], entry["size"]) == ("Jürgen", 3)

    def test_the_time_is_rfc_3339_in_utc(self) -> None:
        made = record("x")
        made.created = 0.5
        assert self.entry(made)["time"] == "1970-01-01T00:00:00.500000Z"

    def test_what_has_no_value_is_left_out(self) -> None:
        assert [*self.entry(record("x"))] == ["time", "level", "logger", "message"]

    def test_an_exception_and_a_stack_are_texts(self) -> None:
        of = failed()
        of.stack_info = "Stack (most recent call last):\n  here"
        entry = self.entry(of)
        assert entry["exception"].endswith("KeyError: 'gone'")
        assert entry["stack"].endswith("here")

    def test_a_value_that_json_does_not_know_is_its_text(self) -> None:
        assert self.entry(record("x", extra={"place": complex(1, 2)}))["place"] == "(1+2j)"

    def test_it_never_writes_what_is_no_json(self) -> None:
        text = JsonFormatter().format(record("x", extra={"ratio": float("nan"), "most": float("inf")}))
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

    def test_the_entry_itself_cannot_be_overwritten_by_a_field(self) -> None:
        with otelctx.request(level="of a field", time="of a field", logger="of a field"):
            entry = self.entry(record("x"))
        assert (entry["level"], entry["logger"]) == ("INFO", "shop.orders")
        assert entry["time_"] == entry["level_"] == entry["logger_"] == "of a field" != entry["time"]

    @pytest.mark.parametrize("value", [{(1, 2): 3}, [float("nan")]], ids=["a key that is no text", "a nested NaN"])
    def test_what_has_no_form_in_json_is_written_as_text(self, value: object) -> None:
        entry = self.entry(record("x", extra={"odd": value, "size": 3}))
        assert (entry["odd"], entry["size"]) == (str(value), 3)

    def test_a_structure_without_an_end_is_written_as_text(self) -> None:
        endless: list[object] = []
        endless.append(endless)
        assert self.entry(record("x", extra={"odd": endless}))["odd"] == "[[...]]"

    @pytest.mark.parametrize(
        "odd", [Broken(), [Broken()], {"a": Broken()}], ids=["alone", "in a list", "in a dictionary"]
    )
    def test_a_value_that_cannot_be_shown_does_not_lose_the_line(self, odd: object) -> None:
        entry = self.entry(record("x", extra={"odd": odd, "ratio": float("nan"), "sizes": [3]}))
        assert "unprintable" in str(entry["odd"])
        assert (entry["message"], entry["ratio"], entry["sizes"]) == ("x", "nan", [3])

    def test_a_value_that_cannot_be_shown_is_named_by_its_type(self) -> None:
        assert self.entry(record("x", extra={"odd": Broken()}))["odd"] == "<unprintable Broken object>"

    def test_a_key_that_is_no_text_does_not_lose_the_line(self) -> None:
        assert self.entry(record("x", extra={(1, 2): 3}))["(1, 2)"] == 3

    def test_half_a_surrogate_pair_is_replaced_so_that_the_line_can_be_encoded(self) -> None:
        text = JsonFormatter().format(record("a\udc80\U0001f600", extra={"path": ["b\ud800"], "ratio": float("nan")}))
        entry = json.loads(text.encode())
        assert (entry["message"], entry["path"]) == ("a\ufffd\U0001f600", ["b\ufffd"])


class TestConsoleFormatter:
    def test_it_is_one_line_with_the_fields_at_its_end(self) -> None:
        with otelctx.request(request_id="r", user_id="Jürgen Müller", step='"one"'):
            line = ConsoleFormatter().format(record("hello %s", "you", extra={"size": 3}))
        pattern = r"\d\d:\d\d:\d\d\.\d{3} INFO     shop\.orders: hello you  "
        assert re.fullmatch(pattern + r'request_id=r user_id="Jürgen Müller" size=3 step="\\"one\\""', line)

    def test_a_value_cannot_break_the_line(self) -> None:
        with otelctx.request(request_id="r", step="one\nERROR    x: forged\x1b[31m"):
            line = ConsoleFormatter().format(record("x"))
        assert "\n" not in line
        assert "\x1b" not in line

    @pytest.mark.parametrize(
        "character",
        [*map(chr, range(9)), *map(chr, range(10, 32)), *map(chr, range(127, 160)), *"\u2028\u2029\u202e\udc80"],
    )
    def test_nothing_of_a_message_or_value_breaks_the_line_or_steers_the_terminal(self, character: str) -> None:
        text = f"one{character}two"
        line = ConsoleFormatter(colour=False).format(record(text, extra={"said": text, f"key{character}": 1}))
        assert character not in line
        assert (line.count("one"), len(line.splitlines())) == (2, 1)
        line.encode()

    def test_a_forged_line_of_a_message_is_shown_for_what_it_is(self) -> None:
        line = ConsoleFormatter().format(record("hello %s", "you\n12:00:00.000 INFO shop: forged\x1b[2J\ttab"))
        assert line.endswith(r"shop.orders: hello you\n12:00:00.000 INFO shop: forged\x1b[2J" + "\ttab")

    def test_other_writing_systems_stay_as_they_are(self) -> None:
        text = "Jürgen 日本語 שלום 😀"
        assert ConsoleFormatter().format(record(text)).endswith(text)

    def test_a_value_that_cannot_be_shown_does_not_lose_the_line(self) -> None:
        line = ConsoleFormatter().format(record("x", extra={"odd": Broken(), "size": 3}))
        assert line.endswith('x  odd="<unprintable Broken object>" size=3')

    def test_an_exception_has_lines_but_does_not_steer_the_terminal(self) -> None:
        error = ValueError("one\ntwo\x1b[2J\udc80")
        of = record("failed")
        of.exc_info = (ValueError, error, None)
        of.stack_info = "Stack:\n  \x1b[2J"
        assert ConsoleFormatter().format(of).splitlines()[-4:] == [
            *("ValueError: one", r"two\x1b[2J\udc80", "Stack:", r"  \x1b[2J")
        ]

    def test_without_fields_there_is_nothing_at_the_end(self) -> None:
        assert ConsoleFormatter().format(record("x")).endswith("shop.orders: x")

    def test_an_exception_follows_on_its_own_lines(self) -> None:
        first, *rest = ConsoleFormatter().format(failed()).splitlines()
        assert first.endswith("x: failed")
        assert rest[-1] == "KeyError: 'gone'"

    def test_colours_are_there_only_when_asked_for(self) -> None:
        of = record("x", level=logging.WARNING)
        assert "\x1b" not in ConsoleFormatter().format(of)
        assert "\x1b[33mWARNING \x1b[0m" in ConsoleFormatter(colour=True).format(of)


def test_both_can_be_named_in_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {"()": "otelctx.signals.formatters.JsonFormatter"},
                "console": {"()": "otelctx.signals.formatters.ConsoleFormatter", "colour": True},
            },
            "handlers": {
                name: {"class": "logging.StreamHandler", "formatter": name, "stream": "ext://sys.stdout"}
                for name in ("json", "console")
            },
            "loggers": {"configured": {"handlers": ["json", "console"], "level": "INFO", "propagate": False}},
        }
    )
    logger = logging.getLogger("configured")
    with otelctx.request(user_id="alice"):
        logger.info("hello")
    logger.handlers.clear()
    one, other = capsys.readouterr().out.splitlines()
    assert json.loads(one)["user_id"] == "alice"
    assert "user_id=alice" in other
