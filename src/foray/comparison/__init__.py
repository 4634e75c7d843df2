"""Plan and run a comparison: the place where training and profiling meet."""

from foray.comparison.compare import compare
from foray.comparison.downloads import missing_downloads
from foray.comparison.plan import ComparisonPlan, plan_comparison

__all__ = ["ComparisonPlan", "compare", "missing_downloads", "plan_comparison"]
