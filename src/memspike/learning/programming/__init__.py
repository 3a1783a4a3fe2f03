"""Programming schemes: (init, apply) pairs that turn a wanted weight change into device changes."""
