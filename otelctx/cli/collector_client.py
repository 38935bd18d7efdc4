"""
The client of the local collector's query interface (docs/query-api.md).

Whatever goes wrong on the way ends as an `OtelctxError` that says what to do; "nothing matches" is an answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from typing import cast

import httpx

from otelctx.cli.failures import USAGE, CommandError
from otelctx.errors import CollectorError
from otelctx.story.records import MissingSpan, as_mapping, as_text, check_story, read_logs, read_spans
from otelctx.story.tree import build_tree

DEFAULT_URL = "http://127.0.0.1:4318"
URL_VARIABLE = "OTELCTX_COLLECTOR"

_TIMEOUT = 10.0  # seconds for one answer
_PAUSE = 0.4  # seconds between two questions while waiting
_NOT_FOUND = 404
_BAD_REQUEST = 400
_OK = 200


@dataclass(frozen=True)
class CollectorClient:
    """Asks the collector at the base *url*."""

    url: str

    def story(self, selector: Mapping[str, str], wait: float = 0.0) -> dict[str, object] | None:
        """
        Return the story that *selector* picks, one parameter of `GET /api/story`; None when nothing matches.

        Spans arrive some seconds after the request. With *wait* (seconds), ask again until the story is whole: no
        parent is missing and nothing was added since the last answer. Then, or when the time is up, return what there
        is.

        Raises:
            CollectorError: no collector answers, or not with a story.
            CommandError: the collector says that the selector is wrong (status 2).
        """
        deadline = time.monotonic() + wait
        before: object = None
        while True:
            answer = self._get("/api/story", selector)
            if answer is not None:
                check_story(answer)
            is_settled = answer is not None and before == answer and not _has_missing_spans(answer)
            if is_settled or time.monotonic() >= deadline:
                return answer
            before = answer
            time.sleep(min(_PAUSE, max(0.0, deadline - time.monotonic())))

    def requests(self, parameters: Mapping[str, str]) -> dict[str, object]:
        """
        Return the answer of `GET /api/requests` for *parameters*.

        Raises:
            CollectorError: no collector answers, or not with requests.
            CommandError: the collector says that a parameter is wrong (status 2).
        """
        answer = self._get("/api/requests", parameters)
        if answer is None or not isinstance(answer.get("requests"), list):
            raise self._stranger()
        return answer

    def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, object] | None:
        # Proxy variables are meant for the world outside; the collector is on this machine or next to it.
        try:
            with httpx.Client(base_url=self.url, timeout=_TIMEOUT, trust_env=False) as client:
                response = client.get(path, params=dict(parameters))
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError) as error:
            message = f"'{self.url}' is no URL of a collector; expected one like {DEFAULT_URL}."
            raise CollectorError(message) from error
        except httpx.TimeoutException as error:
            message = f"The collector at {self.url} did not answer within {_TIMEOUT:g} s."
            raise CollectorError(message) from error
        except httpx.HTTPError as error:
            message = (
                f"No collector answers at {self.url}. Start one with 'otelctx collector', or name another one with "
                f"--collector or {URL_VARIABLE}."
            )
            raise CollectorError(message) from error
        return self._read(response)

    def _read(self, response: httpx.Response) -> dict[str, object] | None:
        try:
            answer: object = response.json()
        except (JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._stranger() from error
        if not isinstance(answer, dict):
            raise self._stranger()
        found = cast("dict[str, object]", answer)
        reason = as_text(as_mapping(found).get("error"))
        if response.status_code == _NOT_FOUND and reason:
            return None
        if response.status_code == _BAD_REQUEST and reason:
            raise CommandError(reason, USAGE)
        if response.status_code != _OK:
            message = f"The collector at {self.url} answered {response.status_code}: {reason or 'without a reason'}"
            raise CollectorError(message)
        return found

    def _stranger(self) -> CollectorError:
        return CollectorError(
            f"What answers at {self.url} is no otelctx collector (it has no query interface). "
            f"Start one with 'otelctx collector', or name another one with --collector or {URL_VARIABLE}."
        )


def _has_missing_spans(answer: dict[str, object]) -> bool:
    tree = build_tree(read_spans(answer), read_logs(answer))
    return any(isinstance(root.record, MissingSpan) for root in tree.roots)
