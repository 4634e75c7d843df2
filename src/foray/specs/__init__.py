"""Architectures as data: tables, scaling rules, published numbers, registry. Standard library only."""
