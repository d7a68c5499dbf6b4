"""The embedded model pack: small models in the libraries' own classes, trained on a procedural world.

`world` draws the pictures, `judge` reads them back, `recipes` train the models and `weights` ships them.
Importing this package loads neither numpy nor torch.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"


def weights(name: str) -> Path:
    """The folder of a shipped model, ready for the library's own `from_pretrained`; FileNotFoundError if not shipped."""
    folder = WEIGHTS / name
    if not (folder / "flowmm.json").is_file():
        known = sorted(path.parent.name for path in WEIGHTS.glob("*/flowmm.json"))
        raise FileNotFoundError(f"no embedded model {name!r}; shipped are: {', '.join(known) or 'none'}")
    return folder
