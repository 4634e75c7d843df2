"""The command line: one thin file per verb. Heavy imports are inside the verbs, so that `--help` is fast."""
