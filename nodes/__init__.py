"""The built-in packs, imported as flowmm.nodes: one room a field. No module here imports torch at the top."""
