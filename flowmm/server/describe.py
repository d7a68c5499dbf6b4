"""`python -m flowmm.server.describe`: the API's OpenAPI document, without serving it. --schemas: its schemas alone, of which the editor's types are made."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from .app import build
from .parts import open_parts
from .settings import Settings


def described() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        parts = open_parts(Settings(home=Path(home), token="", port=0))
        try:
            return build(parts).openapi()
        finally:
            parts.close()


def schemas(document: dict[str, Any]) -> dict[str, Any]:
    """The document without paths, nor titles that repeat names."""

    def untitled(schema: Any) -> Any:
        if isinstance(schema, list):
            return [untitled(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        return {name: untitled(value) for name, value in schema.items() if name != "title" or not isinstance(value, str)}

    return {"openapi": document["openapi"], "info": document["info"], "paths": {}, "components": {"schemas": untitled(document["components"]["schemas"])}}


if __name__ == "__main__":
    made = described()
    print(json.dumps(schemas(made) if "--schemas" in sys.argv[1:] else made, indent=1))
