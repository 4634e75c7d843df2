"""Layers, blocks, the one builder, and the import of published weights."""
