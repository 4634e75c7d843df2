"""The study's claims as data, the runs they need, and a verdict on each."""
