"""Times and sizes as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

JUST_NOW_S = 10


def describe_duration(seconds: float) -> str:
    """``2 ms``, ``0.34 s``, ``12.4 s``, ``3 min 5 s``, ``2 h 4 min``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def describe_moment(at: datetime, now: datetime) -> str:
    """When something was, as seen from ``now``. Both are aware; days are those of ``now``'s zone."""
    ago = (now - at).total_seconds()
    if ago < JUST_NOW_S:
        return "just now"
    if ago < 60:
        return f"{int(ago)} s ago"
    if ago < 3600:
        return f"{int(ago // 60)} min ago"
    local = at.astimezone(now.tzinfo)
    if local.date() == now.date():
        return local.strftime("%H:%M")
    if local.date() == (now - timedelta(days=1)).date():
        return f"yesterday {local:%H:%M}"
    if local.year == now.year:
        return f"{local.day} {local:%b %H:%M}"
    return f"{local.day} {local:%b %Y}"


def describe_size(size: int) -> str:
    """``812 bytes``, ``14.2 KB``, ``2.1 MB``."""
    if size < 1000:
        return f"{size} bytes"
    if size < 1_000_000:
        return f"{size / 1000:.1f} KB"
    return f"{size / 1_000_000:.1f} MB"
