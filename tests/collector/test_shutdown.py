"""What was answered 200 is in the store, however the process ends."""

from __future__ import annotations

import signal
import threading
import time

import httpx
import pytest


def send_until_gone(url, sender, otlp, acknowledged, enough):
    """Send batches of ten spans that name themselves until nobody answers; note those that were answered 200."""
    with httpx.Client(base_url=url, timeout=30) as client:
        for number in range(1_000_000):
            name = f"{sender}-{number}"
            ids = number.to_bytes(4, "big")
            batch = [
                {"trace": bytes([sender + 1]) * 12 + ids, "span": bytes([index + 1]) * 8, "name": name}
                for index in range(10)
            ]
            try:
                answer = client.post(
                    "/v1/traces", content=otlp.trace(*batch), headers={"content-type": "application/x-protobuf"}
                )
            except httpx.HTTPError:
                return
            if answer.status_code == 200:
                acknowledged.append(ids_of(batch))
                if len(acknowledged) >= 100:
                    enough.set()


def ids_of(batch):
    return batch[0]["trace"].hex()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_every_acknowledged_batch_survives(spawn, otlp, tmp_path, number):
    store = str(tmp_path / "state" / "collector.sqlite3")
    process = spawn("--store", store)
    acknowledged, enough = [], threading.Event()
    senders = [
        threading.Thread(target=send_until_gone, args=(process.url, sender, otlp, acknowledged, enough))
        for sender in range(4)
    ]
    for sender in senders:
        sender.start()
    assert enough.wait(30)
    began = time.monotonic()
    status, errors = process.end(number)
    assert time.monotonic() - began < 10
    for sender in senders:
        sender.join()
    assert (status, errors) == ((0, "") if number == signal.SIGTERM else (-signal.SIGKILL, ""))
    assert len(acknowledged) >= 100

    again = spawn("--store", store)
    with httpx.Client(base_url=again.url, timeout=30) as client:
        for trace in acknowledged:
            story = client.get("/api/story", params={"trace_id": trace}).json()
            assert len(story["spans"]) == 10
    assert again.end() == (0, "")


def test_a_request_in_flight_is_finished(spawn, otlp, tmp_path):
    store = str(tmp_path / "collector.sqlite3")
    process = spawn("--store", store)
    body = otlp.trace({"name": "late"})
    begun, go_on = threading.Event(), threading.Event()

    def slowly():
        yield body[:10]
        begun.set()
        go_on.wait(10)
        yield body[10:]

    statuses = []

    def send():
        headers = {"content-type": "application/x-protobuf"}
        statuses.append(httpx.post(f"{process.url}/v1/traces", content=slowly(), headers=headers).status_code)

    sender = threading.Thread(target=send)
    sender.start()
    begun.wait(10)
    while httpx.get(f"{process.url}/api/stats").json()["bytes_in_flight"] == 0:
        pass
    process.process.send_signal(signal.SIGTERM)
    go_on.set()
    sender.join()
    assert (statuses, process.end()) == ([200], (0, ""))
    again = spawn("--store", store)
    assert [span["name"] for span in httpx.get(f"{again.url}/api/spans").json()["spans"]] == ["late"]
