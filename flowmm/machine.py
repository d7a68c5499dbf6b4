"""The machine: devices, memory and cores, found without torch where that is possible."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path


def available_cores() -> int:
    """Cores this process may use: a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int:
    """Bytes of memory this process may use."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [8 << 30]
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(limit).read_text()))
        except (OSError, ValueError):
            continue
    return min(sizes)


@cache
def device_model(device: str) -> str:
    """The name of the hardware, found without torch."""
    if device == "cpu":
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        except (OSError, StopIteration):
            return platform.processor() or platform.machine()
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    index = int(device.partition(":")[2] or 0)
    if index < len(cards):
        lines = cards[index].read_text().splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model")), device)
    return device


def device_memory(device: str) -> int:
    """Bytes of memory of a device, or that this process may use on the CPU. Imports torch for a GPU."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_properties(device).total_memory
    return total_memory()


def calm_threads() -> None:
    """Keep waiting OpenMP threads from spinning for long; call before torch is imported.

    A thread that spins while another program has its partner's core costs a time slice at every operation: sampling
    beside one busy program took 89 s where 4 s were due. 2,000 turns lose nothing on an idle machine.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
