"""Tooltips with text of others: names, messages, results."""

from __future__ import annotations

from html import escape


def plain_tip(text: str) -> str:
    """The tooltip that shows just this text. Qt would take what begins like HTML for HTML, pictures and all."""
    if "<" not in text:
        return text
    return f"<qt>{escape(text).replace(chr(10), '<br>')}</qt>"
