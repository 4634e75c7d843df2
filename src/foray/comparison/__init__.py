"""Plan and run a comparison: the place where training and profiling meet."""

from foray.comparison.compare import compare
from foray.comparison.plan import ComparisonPlan, plan_comparison

__all__ = ["ComparisonPlan", "compare", "plan_comparison"]
