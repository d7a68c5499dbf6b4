from __future__ import annotations

import json

import pytest
import small_nodes


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Every test has a home of its own, and the list of nodes that ran is empty."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "graphs").mkdir(parents=True)
    small_nodes.RAN.clear()
    return tmp_path / "home"


@pytest.fixture
def save(home):
    """Writes graphs beside each other, where they may use each other; or into another folder."""

    def write(name, raw, folder=home / "graphs"):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        path.write_text(json.dumps({"flowmm": 1} | raw))
        return path

    return write


@pytest.fixture
def command(monkeypatch, capsys):
    """flowmm with these arguments: its exit status, what it printed, and what it complained about."""
    from flowmm import cli

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["flowmm", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call
