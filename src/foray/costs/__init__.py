"""What a network costs: parameters, MACs and memory by analysis; and costs that another device measured."""

from foray.costs.device_profiles import DeviceProfiles, load_profiles, save_profiles
from foray.costs.layer_costs import LayerCost, SeparableCost, layer_costs, separable_costs, total_ratios
from foray.costs.macs import count_macs, count_params
from foray.costs.memory import file_bytes, peak_inference_memory
from foray.costs.profile import analyse
from foray.costs.stages import StageCost, stage_costs

__all__ = [
    "DeviceProfiles", "LayerCost", "SeparableCost", "StageCost", "analyse", "count_macs", "count_params", "file_bytes",
    "layer_costs", "load_profiles", "peak_inference_memory", "save_profiles", "separable_costs", "stage_costs",
    "total_ratios",
]  # fmt: skip
