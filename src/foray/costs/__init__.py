"""What a network costs: parameters, MACs and memory by analysis; and costs that another device measured."""

from foray.costs.analysis import analyse, count_macs, count_params, file_bytes, peak_inference_memory
from foray.costs.device_profiles import DeviceProfiles, load_profiles, save_profiles
from foray.costs.layer_costs import (
    LayerCost,
    SeparableCost,
    StageCost,
    layer_costs,
    separable_costs,
    stage_costs,
    total_ratios,
)

__all__ = [
    "DeviceProfiles", "LayerCost", "SeparableCost", "StageCost", "analyse", "count_macs", "count_params", "file_bytes",
    "layer_costs", "load_profiles", "peak_inference_memory", "save_profiles", "separable_costs", "stage_costs",
    "total_ratios",
]  # fmt: skip
