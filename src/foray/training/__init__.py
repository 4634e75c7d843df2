"""Optimisers, schedules, the one loop, evaluation, checkpoints."""
