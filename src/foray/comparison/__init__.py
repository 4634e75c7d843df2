"""Plan and run a comparison: training, costs and the decision."""

from foray.comparison.compare import compare
from foray.comparison.downloads import missing_downloads
from foray.comparison.plan import ComparisonPlan, plan_comparison
from foray.comparison.request import ComparisonRequest, CostRequest
from foray.comparison.selection import Selection, selection_of

__all__ = [
    "ComparisonPlan", "ComparisonRequest", "CostRequest", "Selection", "compare", "missing_downloads",
    "plan_comparison", "selection_of",
]  # fmt: skip
