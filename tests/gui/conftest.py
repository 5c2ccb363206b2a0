import pytest


@pytest.fixture(autouse=True)
def _gui_thread_collects(collected_on_the_gui_thread: None) -> None:
    """Every window test: no cyclic collection while worker threads run."""
