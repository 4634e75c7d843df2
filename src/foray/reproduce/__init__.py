"""The study's claims as data, the runs they need, and an honest verdict on each."""
