"""What an installed flowmm needs is in its package."""

from __future__ import annotations

from pathlib import Path

import flowmm
from flowmm.face.find import shipped


def test_every_folder_of_modules_is_a_package():
    """setuptools leaves a folder without __init__.py out of the wheel, and an editable install does not notice."""
    import flowmm.nodes

    for top in (Path(flowmm.__file__).parent, Path(flowmm.nodes.__file__).parent):
        assert [p.parent for p in top.rglob("*.py") if not (p.parent / "__init__.py").is_file()] == []


def test_files_that_graphs_name_lie_beside_them():
    for path in shipped().glob("*.json"):
        for parameter in flowmm.load(path).inputs.values():
            for value in parameter.default if isinstance(parameter.default, list) else [parameter.default]:
                if isinstance(value, str) and value.startswith("examples"):
                    assert (shipped() / value).exists()
