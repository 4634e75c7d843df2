"""What a network costs: parameters, MACs and memory by analysis, latency by measurement."""

from foray.profiling.device_profiles import DeviceProfiles, load_profiles, save_profiles
from foray.profiling.latency import Latency, measure_latency
from foray.profiling.macs import count_macs, count_params
from foray.profiling.memory import file_bytes, peak_inference_memory
from foray.profiling.profile import analyse, profile_models

__all__ = [
    "DeviceProfiles", "Latency", "analyse", "count_macs", "count_params", "file_bytes", "load_profiles",
    "measure_latency", "peak_inference_memory", "profile_models", "save_profiles",
]  # fmt: skip
