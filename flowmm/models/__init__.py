"""Models: where weights come from (source), what fits with what (spaces), who is on which device (residency)."""
