import pytest
import torch

import flowmm


@pytest.fixture(autouse=True)
def quiet_home(tmp_path_factory, monkeypatch):
    """One thread, so that results do not depend on the machine; an own home."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def runtime():
    """One that remembers nothing from one call to the next."""
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def half():
    """The same in bfloat16."""
    made = flowmm.Runtime("cpu", cache=None, threads=1, dtype="bfloat16")
    yield made
    made.close()


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:diffusers")
    config.addinivalue_line("filterwarnings", "ignore:__array_wrap__:DeprecationWarning")
