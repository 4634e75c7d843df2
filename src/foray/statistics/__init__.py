"""Intervals, paired tests, non-inferiority, sample sizes."""
