"""Budgets, the Pareto front, the pick."""
