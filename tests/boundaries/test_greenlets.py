"""Greenlets run in the context of whoever started them. gevent patches all of Python, so each test is a process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PATCHED = "from gevent import monkey; monkey.patch_all()"


def output_of(body: str, first: str = "") -> list[str]:
    script = f"{first}\nfrom otelctx.setup import install\ninstall.install()\nimport gevent, otelctx\n"
    script += "from otelctx import get, request\n" + textwrap.dedent(body)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize("first", ["", PATCHED])
def test_each_greenlet_runs_in_its_starters_request_and_keeps_its_bindings_to_itself(first: str) -> None:
    seen = output_of(
        """
        from gevent.pool import Pool

        def work():
            otelctx.bind(step="left open").__enter__()
            gevent.sleep(0)
            return get("user_id")

        pool = Pool(1)
        for user in ("alice", "bob"):
            with request(user_id=user):
                ways = gevent.spawn(work), gevent.spawn_later(0, work), pool.spawn(work)
                print(*(greenlet.get() for greenlet in ways), get("step"))
        print(gevent.spawn(work).get())
        """,
        first,
    )
    assert seen == ["alice", "alice", "alice", "None", "bob", "bob", "bob", "None", "None"]


def test_so_does_a_job_of_the_thread_pool() -> None:
    seen = output_of(
        """
        pool = gevent.get_hub().threadpool
        for user in ("alice", "bob"):
            with request(user_id=user):
                print(pool.spawn(get, "user_id").get(), pool.apply(get, ("user_id",)))
        print(pool.apply(get, ("user_id",)))
        """
    )
    assert seen == ["alice", "alice", "bob", "bob", "None"]


def test_uninstalled_they_start_with_an_empty_context_again() -> None:
    seen = output_of(
        """
        import gevent.threadpool
        before = gevent.threadpool.ThreadPool.spawn
        install.uninstall()
        with request(user_id="alice"):
            print(gevent.spawn(get, "user_id").get(), before is gevent.threadpool.ThreadPool.spawn)
        """
    )
    assert seen == ["None", "False"]
