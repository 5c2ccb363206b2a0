"""Who is on the other end of a loopback connection: the user whose process holds the peer's socket.

Only the kernel knows. Linux tells, and each way to ask it is tried out on a connection of our own before it is relied
on: a socket of the diagnostic netlink (some 10 microseconds, however many connections the machine has), or the tables
under /proc/net, where that one is closed off (a millisecond or more). Elsewhere nobody is recognised.

A socket that its process has closed belongs to nobody, and the kernel then says 0, which is also root. So an owner
counts only while the socket has an inode.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

Address = tuple[str, int]
OwnerFinder = Callable[[Address, Address], int | None]
"""Takes the peer's address and port, and ours; gives a user id, or None where that cannot be told."""

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_TRY_TIMEOUT_S: Final = 2.0
_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_WHAT: Final = struct.Struct("=BBBxI")  # inet_diag_req_v2: family, protocol, extensions, states
_ENDS: Final = struct.Struct("!HH16s16s")  # inet_diag_sockid: ports and addresses, then interface and cookie
_ANY_SOCKET: Final = b"\0\0\0\0" + b"\xff" * 8
_OWNER: Final = struct.Struct("=II")  # inet_diag_msg: user and inode
_OWNER_AT: Final = _HEADER.size + 4 + _ENDS.size + len(_ANY_SOCKET) + 12


def choose_finder(address: str) -> OwnerFinder | None:
    """The first way to ask that recognises a connection of our own to ``address``. It may wait: not for the loop."""
    if sys.platform != "linux":
        return None
    return next((finder for finder in (ask_kernel, look_in_tables) if _recognises_us(finder, address)), None)


def find_owner(finder: OwnerFinder, transport: Any) -> int | None:
    """The user whose process holds the other end of the asyncio transport."""
    peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not (peer and here):
        return None  # it is closed already
    with suppress(OSError, ValueError):
        return finder(peer[:2], here[:2])
    return None


def ask_kernel(peer: Address, here: Address) -> int | None:
    """Asks for that one socket, as seen from the other side.

    Raises:
        OSError: the kernel does not take such questions.
    """
    family, peer_bytes = _parse(peer[0])
    _, here_bytes = _parse(here[0])
    ends = _ENDS.pack(peer[1], here[1], peer_bytes, here_bytes)
    mapped = _ENDS.pack(peer[1], here[1], _map(peer_bytes), _map(here_bytes))
    question = _WHAT.pack(family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + ends + _ANY_SOCKET
    head = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(head + question)
        answer = kernel.recv(4096, socket.MSG_DONTWAIT)  # it has been written by the time send returns
    if len(answer) < _OWNER_AT + _OWNER.size or answer[_HEADER.size + 4 :][: len(ends)] not in {ends, mapped}:
        return None  # there is no such socket: an error, or somebody who listens at that port
    user, inode = _OWNER.unpack_from(answer, _OWNER_AT)
    return int(user) if inode else None


def look_in_tables(peer: Address, here: Address) -> int | None:
    """Looks for that socket among all of the machine's.

    Raises:
        OSError: the tables cannot be read.
    """
    family, peer_bytes = _parse(peer[0])
    _, here_bytes = _parse(here[0])
    if family == socket.AF_INET6:
        return _look("tcp6", _word(peer_bytes, peer[1]), _word(here_bytes, here[1]))
    found = _look("tcp", _word(peer_bytes[:4], peer[1]), _word(here_bytes[:4], here[1]))
    if found is None:  # an IPv6 socket that speaks IPv4
        found = _look("tcp6", _word(_map(peer_bytes), peer[1]), _word(_map(here_bytes), here[1]))
    return found


def _look(table: str, peer: str, here: str) -> int | None:
    for line in Path("/proc/self/net", table).read_text().splitlines():
        row = line.split()
        if row[1:3] == [peer, here]:
            return int(row[7]) if int(row[9]) else None
    return None


def _parse(address: str) -> tuple[socket.AddressFamily, bytes]:
    """The family and 16 bytes; an IPv4 address stands at their beginning."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    return family, parsed.packed.ljust(16, b"\0")


def _map(address: bytes) -> bytes:
    """The IPv4 address as a socket has it that is made for IPv6 and speaks IPv4."""
    return b"\0" * 10 + b"\xff" * 2 + address[:4]


def _word(address: bytes, port: int) -> str:
    """An end as the tables write it: each four bytes as a number of this machine's."""
    words = (int.from_bytes(address[at : at + 4], sys.byteorder) for at in range(0, len(address), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _recognises_us(finder: OwnerFinder, address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError, ValueError), socket.create_server((address, 0), family=family) as listener:
        here = listener.getsockname()[:2]
        with socket.create_connection(here, _TRY_TIMEOUT_S) as client:
            return finder(client.getsockname()[:2], here) == os.geteuid()
    return False
