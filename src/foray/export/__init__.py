"""Artifacts for other runtimes, quantisation, certification."""
