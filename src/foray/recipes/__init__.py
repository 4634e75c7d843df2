"""Training protocols as data: the `Recipe` and its presets."""
