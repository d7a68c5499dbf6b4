"""Where flowmm keeps what is not the program: $FLOWMM_HOME, else the platform's data folder."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The folder of graphs, models, cache and runs. Not created by asking."""
    given = os.environ.get("FLOWMM_HOME")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("flowmm", appauthor=False))
