"""What a network costs: parameters, MACs and memory by analysis, latency by measurement."""

from foray.profiling.device_profiles import DeviceProfiles, load_profiles, save_profiles
from foray.profiling.layer_costs import LayerCost, SeparableCost, layer_costs, separable_costs, total_ratios
from foray.profiling.macs import count_macs, count_params
from foray.profiling.memory import file_bytes, peak_inference_memory
from foray.profiling.profile import analyse
from foray.profiling.stages import StageCost, stage_costs

__all__ = [
    "DeviceProfiles", "LayerCost", "SeparableCost", "StageCost", "analyse", "count_macs", "count_params", "file_bytes",
    "layer_costs", "load_profiles", "peak_inference_memory", "save_profiles", "separable_costs", "stage_costs",
    "total_ratios",
]  # fmt: skip
