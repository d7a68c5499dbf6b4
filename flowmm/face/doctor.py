"""`flowmm doctor`: what is installed, what there is to run on, and the traps we know."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from importlib import metadata

from .. import __version__
from ..home import home
from ..machine import available_cores, device_model, total_memory
from .tables import size

LIBRARIES = ("torch", "transformers", "diffusers", "accelerate", "safetensors", "numpy", "pillow", "pydantic", "gradio")
LEAST_FREE = 2 * 10**9  # bytes of disk below which a run with a real model will fail to cache


def examine() -> tuple[list[list[str]], list[str]]:
    """Rows of (what, how it is), and warnings, each a sentence that says what to do."""
    rows = [["flowmm", __version__], ["python", f"{platform.python_version()} on {platform.platform()}"]]
    warnings = []
    for name in LIBRARIES:
        try:
            rows.append([name, metadata.version(name)])
        except metadata.PackageNotFoundError:
            rows.append([name, "missing"])
            warnings.append(f"{name} is not installed; `pip install {name}`.")
    rows.append(["processor", f"{device_model('cpu')}, {available_cores()} cores, {size(total_memory())} memory"])
    rows += _devices(warnings)
    warnings += _torchvision()
    folder = home()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    rows.append(["home", f"{folder} ({size(free)} free)"])
    if free < LEAST_FREE:
        warnings.append(f"only {size(free)} are free on the disk of {folder}; results may not be cached. Free some, or set FLOWMM_HOME.")
    return rows, warnings


def _devices(warnings: list[str]) -> list[list[str]]:
    try:
        import torch
    except Exception as error:  # a broken build fails in many ways
        warnings.append(f"torch cannot be imported ({type(error).__name__}: {error}); reinstall it.")
        return []
    if not torch.cuda.is_available():
        return [["gpu", "none that torch can use"]]
    found = []
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        found.append([f"cuda:{i}", f"{properties.name}, {size(properties.total_memory)}"])
    return found


def _torchvision() -> list[str]:
    """A torchvision built for another torch breaks transformers' image processors; none at all is fine."""
    if importlib.util.find_spec("torchvision") is None:
        return []
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        return [f"torchvision is installed but does not import ({error}); then no image processor works. `pip uninstall torchvision`."]
    return []
