"""Any JSON, for properties."""

from typing import Any

from hypothesis import strategies as st


def json_values(most_leaves: int = 20) -> st.SearchStrategy[Any]:
    """Values as JSON has them: numbers in the range we keep, texts of whole characters."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=most_leaves,
    )
