"""
The page at ``/``: one self-contained HTML file over the query interface.

It loads nothing from elsewhere and its policy forbids it to; data reaches the document as text only.
Source: Content Security Policy Level 3.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request


def page_route() -> Route:
    """Make the route; the file is read once, here."""
    html = files("otelctx.collector").joinpath("page.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": policy(html),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    async def page(_: Request) -> Response:
        return Response(html, headers=headers, media_type="text/html")

    return Route("/", page, methods=["GET"])


def policy(html: str) -> str:
    """Write the policy that allows the script and style that stand in *html* by their hashes, and our own API."""
    script, style = (inline_hash(html, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def inline_hash(html: str, tag: str) -> str:
    """
    Hash the content of the first element *tag*.

    >>> inline_hash("<style></style>", "style")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    match = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    content = match.group(1) if match else ""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}"
