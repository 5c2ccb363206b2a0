"""The window and the server beside it."""

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication

from tests.gui.window.conftest import Hand


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were handed to the browser."""
    addresses: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: addresses.append(QUrl(url).toString()))
    return addresses


def test_a_click_on_the_address_opens_its_page(hand: Hand, opened: list[str]):
    QGuiApplication.clipboard().setText("mine")
    hand.bench.set_address("http://127.0.0.1:8000", "")
    hand.bench.window.status.server.click()
    assert opened == ["http://127.0.0.1:8000/"]
    assert QGuiApplication.clipboard().text() == "mine"


def test_a_token_that_the_page_asks_for_goes_by_the_clipboard_and_not_by_the_address(
    hand: Hand, opened: list[str]
):
    hand.bench.set_address("http://127.0.0.1:8000", "", "s3cret")
    hand.bench.window.status.server.click()
    assert opened == ["http://127.0.0.1:8000/"]
    assert QGuiApplication.clipboard().text() == "s3cret"
    assert "clipboard" in hand.bench.messages.history[-1].text
    assert not any("s3cret" in message.text for message in hand.bench.messages.history)
