import pytest
import torch


@pytest.fixture(autouse=True)
def quiet_home(tmp_path_factory, monkeypatch):
    """One thread, so that results do not depend on the machine; an own home."""
    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:diffusers")
    config.addinivalue_line("filterwarnings", "ignore:__array_wrap__:DeprecationWarning")
