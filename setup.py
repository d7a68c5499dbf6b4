"""Only what pyproject.toml cannot say: nodes/ and graphs/ are installed inside the flowmm package."""

from setuptools import find_packages, setup

setup(
    packages=find_packages(include=["flowmm", "flowmm.*"])
    + ["flowmm.nodes", *(f"flowmm.nodes.{name}" for name in find_packages("nodes"))]
    + ["flowmm.graphs"],
    package_data={"flowmm.graphs": ["*.json", "examples/**/*"], "flowmm": ["zoo/weights/**/*", "graph/*.json", "models/configs/**/*"]},
)
