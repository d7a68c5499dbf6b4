import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FLOWMM_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def saved_clip(tmp_path_factory):
    import tiny

    return tiny.save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def saved_diffusion(tmp_path_factory):
    import tiny

    return tiny.save_stable_diffusion(tmp_path_factory.mktemp("sd"))


@pytest.fixture
def clip_folder(saved_clip, tmp_path):
    """A copy that a test may damage."""
    import shutil

    return shutil.copytree(saved_clip, tmp_path / "clip")


@pytest.fixture
def diffusion_folder(saved_diffusion, tmp_path):
    import shutil

    return shutil.copytree(saved_diffusion, tmp_path / "sd")


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:diffusers")
    config.addinivalue_line("filterwarnings", "ignore:__array_wrap__:DeprecationWarning")
