"""The web: HTTP requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from engine.tools.decorator import tool

_CATEGORY = "Web"
_MEGABYTE = 1_000_000
_MOST_REDIRECTS = 5
_CHUNK = 65_536


class HttpAnswer(NamedTuple):
    """What a server answered.

    Attributes:
        status: The HTTP status, such as 200.
        ok: Whether it is below 400.
        text: The body as text.
        data: The body as a value, where the server says that it is JSON; else null.
        headers: The headers, with names in lower case.
        url: Where the answer came from, after redirects.
    """

    status: int
    ok: bool
    text: str
    data: Any
    headers: dict[str, str]
    url: str


@tool(name="http.request", category=_CATEGORY, label="HTTP request")
async def http_request(
    url: Annotated[str, Field(min_length=1, max_length=8_000)],
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET",
    headers: dict[str, str] | None = None,
    query: dict[str, str | int | float] | None = None,
    body: Any = None,
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30,
    max_bytes: Annotated[int, Field(ge=1, le=100 * _MEGABYTE)] = 5 * _MEGABYTE,
    fail_on_error: bool = True,
) -> HttpAnswer:
    """Ask a web server. Runs without holding a worker; at most five redirects are followed.

    A header may be a secret, as any text of a parameter: {{secret:NAME}}. Redirects to another host go without the
    headers.

    Args:
        url: An http or https address.
        method: The HTTP method.
        headers: Headers by name.
        query: Values added to the address after "?".
        body: Text is sent as it is, anything else as JSON.
        timeout_s: Give up after so many seconds, redirects and body included.
        max_bytes: Refuse longer answers.
        fail_on_error: Fail the step when the status is 400 or above.
    """
    import aiohttp
    import yarl

    sent = dict(headers or {})
    target = _read_url(url)
    if query:
        target = target.update_query(query)
    payload = _encode_body(body, sent)
    try:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            for _ in range(_MOST_REDIRECTS + 1):
                async with session.request(
                    method, target, headers=sent, data=payload, allow_redirects=False
                ) as response:
                    goal = response.headers.get("Location")
                    if response.status not in (301, 302, 303, 307, 308) or goal is None:
                        return await _read_answer(response, url, max_bytes, fail_on_error=fail_on_error)
                following = _read_url(str(target.join(yarl.URL(goal))))
                if following.origin() != target.origin():
                    sent = {}  # they may carry a password that is not for the other host
                if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                    method, payload = "GET", None
                target = following
            raise ValueError(f"{url} redirects more than {_MOST_REDIRECTS} times.")
    except TimeoutError:
        raise TimeoutError(f"{target.host} did not answer within {timeout_s:g} s.") from None
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionError(
            f"{target.host} cannot be reached: {str(error) or type(error).__name__}."
        ) from None


def _read_url(url: str) -> Any:
    import yarl

    try:
        target = yarl.URL(url)
    except ValueError as error:
        raise ValueError(f"{url!r:.200} is not a web address: {error}.") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise ValueError(f"{url!r:.200} is not a web address; it must start with http:// or https://.")
    return target


def _encode_body(body: Any, headers: dict[str, str]) -> bytes | None:
    if body is None:
        return None
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    return body.encode() if isinstance(body, str) else json.dumps(body, allow_nan=False).encode()


async def _read_answer(response: Any, url: str, max_bytes: int, *, fail_on_error: bool) -> HttpAnswer:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > max_bytes:
            raise ValueError(f"The answer of {url} has more than {max_bytes:,} bytes (max_bytes).")
    try:
        text = data.decode(response.charset or "utf-8", errors="replace")
    except LookupError:
        text = data.decode(errors="replace")
    headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    if fail_on_error and response.status >= 400:
        raise ConnectionError(
            f"{url} answered {response.status} {response.reason or ''}: {' '.join(text.split())[:200]}"
        )
    is_json = response.content_type == "application/json" or response.content_type.endswith("+json")
    return HttpAnswer(
        status=response.status,
        ok=response.status < 400,
        text=text,
        data=_read_json(text, url) if is_json and text.strip() else None,
        headers=dict(headers),
        url=str(response.url),
    )


def _read_json(text: str, url: str) -> Any:
    from engine.tools.builtin.data import parse_json

    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"The answer of {url} claims to be JSON but is not: {error}") from error


TOOLS: tuple[Callable[..., Any], ...] = (http_request,)
