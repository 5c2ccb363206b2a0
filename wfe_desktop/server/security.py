"""Who may come in: every check on a request before anything looks at what it asks for.

A server on loopback is within reach of every web page the user opens. A page on another origin can send
requests (drive-by), and a page whose name was rebound to 127.0.0.1 can read the answers too. So the ``Host``
header must be one of our own names, character for character, and ``Origin`` and ``Sec-Fetch-Site`` must not
speak of anybody else. Comparing Origin with Host would check nothing: both are the attacker's.

It is within reach of the other users of the machine too. Processes of the user whose program this is come in; anybody
else shows a token, and so does everybody where one is configured or the owner of a connection cannot be told.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

from engine.config import AppConfig
from engine.errors import WorkflowError
from wfe_desktop.server.failures import HttpError
from wfe_desktop.server.limits import WrongTokens
from wfe_desktop.server.tokens import tokens_of

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
FETCH_SITES: Final = frozenset({"same-origin", "none"})

ANSWER_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "agent-workflow-engine",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer; a page may widen its Content-Security-Policy by what it needs."""


class StartRefused(WorkflowError):
    """The server does not start like this; the message says what to do."""

    code = "StartRefused"


class Guard:
    """The checks for one server. ``hosts`` are the names it goes by, without the port.

    Without a token nobody comes in but those who need none.
    """

    def __init__(self, hosts: Iterable[str], port: int, token: str | None) -> None:
        self._wrong_tokens = WrongTokens()
        self._hosts = frozenset(authority for host in hosts for authority in _authorities(host, port))
        self._origins = frozenset(f"http://{host}" for host in self._hosts)
        self._token = token.encode() if token else None

    def check(self, request: web.BaseRequest, peer: str, *, needs_token: bool) -> None:
        """Lets the request pass, or raises what it is answered with. ``peer`` says who sent it.

        Raises:
            HttpError: 400, 401, 403, 421 or 429.
        """
        if not request.raw_path.startswith("/"):
            raise HttpError(400, "the request target must be a path", closes=True)
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            raise HttpError(421, "this server does not go by that name; use its address", closes=True)
        if any(origin not in self._origins for origin in request.headers.getall(hdrs.ORIGIN, [])):
            raise HttpError(403, "requests from other origins are refused", closes=True)
        if any(site not in FETCH_SITES for site in request.headers.getall("Sec-Fetch-Site", [])):
            raise HttpError(403, "requests from other sites are refused", closes=True)
        if needs_token:
            self._check_token(request, peer)

    def _check_token(self, request: web.BaseRequest, peer: str) -> None:
        given = tokens_of(request)
        if given:
            self._wrong_tokens.check(peer)
        if self._token is None or len(given) != 1 or not hmac.compare_digest(given[0], self._token):
            if given:
                self._wrong_tokens.add(peer)
            raise HttpError(
                401, "a bearer token is required", headers={"WWW-Authenticate": "Bearer"}, closes=True
            )


def check_binding(address: str, config: AppConfig) -> None:
    """Refuses an address that other machines can reach, unless a token keeps strangers out.

    Raises:
        StartRefused: no token is configured.
    """
    if not is_loopback(address) and not token_of(config):
        raise StartRefused(
            f"{address} can be reached from other machines: set WFE_API_TOKEN to a secret of your own first, "
            "and send it with every request (Authorization: Bearer ...)"
        )


def is_address(host: str) -> bool:
    """Whether the host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the IP address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def token_of(config: AppConfig) -> str | None:
    """The configured token; None where there is none or it is empty."""
    return (config.api_token.get_secret_value().strip() or None) if config.api_token else None


def own_names(host: str, address: str) -> list[str]:
    """The names a server bound to ``address`` (asked for as ``host``) goes by.

    Bound beyond loopback, these are also the machine's own name and addresses; the token guards that door.
    """
    names = [*LOOPBACK_NAMES]
    if not is_loopback(address):
        machine = socket.gethostname()
        names += [bracketed(host), bracketed(address), machine, machine.lower(), f"{machine.lower()}.local"]
        names += [bracketed(found) for found in _addresses_of(machine)]
    elif host not in names:
        names += [bracketed(host), bracketed(address)]
    return names


def bracketed(host: str) -> str:
    """A host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _addresses_of(name: str) -> list[str]:
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(name, None)})
    except OSError:
        return []


def _authorities(host: str, port: int) -> list[str]:
    return [f"{host}:{port}", host] if port == 80 else [f"{host}:{port}"]
