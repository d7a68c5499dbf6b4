from __future__ import annotations

import pytest

from flowmm import Runtime


@pytest.fixture
def runtime():
    """One that keeps nothing on disk, for one test; folders with other needs have one of their own."""
    made = Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()
