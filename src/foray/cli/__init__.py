"""The command line: one thin file a verb. Heavy imports stand inside the verbs, so that `--help` answers at once."""
