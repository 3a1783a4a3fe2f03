"""Learning rules: (init, update) pairs that yield the wanted weight change."""
