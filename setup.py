"""Only what pyproject.toml cannot say: nodes/ and graphs/ are installed inside the flowmm package, and so is the editor, built from web/."""

import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "web"))
from bundle import NotBuilt, build  # noqa: E402


class BuildWithEditor(build_py):
    """Builds the editor first. An editable installation serves it from where it is built."""

    def run(self):
        try:
            built = build()
        except NotBuilt as error:
            sys.exit(f"\n{error}\n")
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "flowmm" / "web"
            shutil.rmtree(target, ignore_errors=True)  # the names of its parts change with what they hold
            shutil.copytree(built, target)


setup(
    packages=find_packages(include=["flowmm", "flowmm.*"])
    + ["flowmm.nodes", *(f"flowmm.nodes.{name}" for name in find_packages("nodes"))]
    + ["flowmm.graphs"],
    package_data={
        "flowmm.graphs": ["*.json", "examples/**/*", "pictures/**/*"],
        "flowmm": ["zoo/weights/**/*", "graph/*.json", "models/configs/**/*"],
    },
    cmdclass={"build_py": BuildWithEditor},
)
