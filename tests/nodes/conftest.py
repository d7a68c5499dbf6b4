import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))  # the tiny models


@pytest.fixture(autouse=True)
def quiet_home(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    import tiny

    return str(tiny.save_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture(scope="session")
def diffusion_folder(tmp_path_factory):
    import tiny

    return str(tiny.save_stable_diffusion(tmp_path_factory.mktemp("sd")))


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:diffusers")
    config.addinivalue_line("filterwarnings", "ignore:__array_wrap__:DeprecationWarning")
