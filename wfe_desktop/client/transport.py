"""One connection to a server: requests out, answers of the wanted type or exceptions back."""

from __future__ import annotations

import functools
import json
import os
import platform
from collections.abc import Hashable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias, TypeVar, cast
from urllib.parse import quote, urlencode

import aiohttp
import platformdirs
import pydantic
from yarl import URL

from wfe_desktop.client.errors import ConnectionFailed, ServerTimedOut, WorkflowError, make_error

T = TypeVar("T")

DEFAULT_ADDRESS: Final = "http://127.0.0.1:8000"
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class _Model(Protocol):
    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


Graph: TypeAlias = Mapping[str, Any] | _Model
"""A graph definition: as JSON (the content of a workflow file), or a ``GraphDefinition`` of the engine."""


def graph_json(graph: Graph) -> dict[str, Any]:
    """The graph as JSON."""
    return dict(graph) if isinstance(graph, Mapping) else graph.model_dump(mode="json")


@functools.cache
def _reader(kind: Hashable) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(cast("type[Any]", kind))


def read(kind: type[T], content: bytes) -> T:
    """An answer as a value of this type. Fields that this client does not know are left out.

    Raises:
        WorkflowError: the content is something else.
    """
    try:
        value: T = _reader(cast("Hashable", kind)).validate_json(content)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WorkflowError(
            f"the answer is not what this client knows ({where}: {first['msg']}); is the server of another version?"
        ) from None
    return value


def given(**fields: Any) -> dict[str, Any]:
    """Those of the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def find_token(address: str) -> str:
    """The token of ``WFE_API_TOKEN``, or none.

    Where the system does not tell a server whose program asks (it does on Linux), and for this machine only: else that
    of the user's own servers, out of the user's data folder.
    """
    token = os.environ.get("WFE_API_TOKEN", "").strip()
    if token or platform.system() == "Linux" or URL(address).host not in LOOPBACK:
        return token
    try:
        path = platformdirs.user_data_path("agent-workflow-engine", appauthor=False) / "api-token"
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class Transport:
    """A session with one server. For one event loop."""

    def __init__(
        self, address: str = DEFAULT_ADDRESS, *, token: str | None = None, timeout_s: float = 30.0
    ) -> None:
        """``token``: left out, what ``find_token`` finds. ``timeout_s``: for each request, its answer included."""
        if not address.startswith(("http://", "https://")):
            raise ValueError(f"{address} is no address; give it as {DEFAULT_ADDRESS}")
        self.address = address.rstrip("/")
        self._timeout_s = timeout_s
        token = token if token is not None else find_token(address)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the session; a second time does nothing."""
        self._closed = True
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise WorkflowError("the client is closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        return self._session

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """One request. ``names`` fill the path; what is None in ``query`` is left out. ``answer``: text as it is for ``str``."""
        url = self.address + path.format_map(
            {key: quote(value, safe="") for key, value in (names or {}).items()}
        )
        if shown := given(**(query or {})):
            url += f"?{urlencode({name: _text(value) for name, value in shown.items()})}"
        sent = dict(headers or {})
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body, default=_text).encode()
        content = await self._exchange(method, url, data, sent)
        if answer is str:
            return cast("T", content.decode())
        return read(answer, content or b"null")

    async def _exchange(self, method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> bytes:
        """The content of a good answer.

        Raises:
            WorkflowError: the answer is another one, or there is none.
        """
        session = self._open_session()
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        try:
            async with session.request(
                method,
                URL(url, encoded=True),
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
        except TimeoutError:
            raise ServerTimedOut(f"{self.address} did not answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise self._failed(error) from error
        if 200 <= answer.status < 300:
            return content
        try:
            told = json.loads(content)
        except ValueError:
            told = None
        raise make_error(answer.status, answer.reason or "", told, answer.headers.get("Retry-After"))

    def _failed(self, error: Exception) -> ConnectionFailed:
        return ConnectionFailed(f"{self.address} cannot be reached: {str(error) or type(error).__name__}")


def _text(value: Any) -> str:
    """A value as it stands in an address, or in JSON where that has no form for it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return ",".join(value)
    return str(value)
