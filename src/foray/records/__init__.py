"""What foray writes to disk: versioned, validated, atomic."""

from foray.records.artifact import (
    ArtifactOrigin,
    ArtifactPrecision,
    ArtifactPreprocessing,
    ArtifactRecord,
    Calibration,
    FileInfo,
    InputShape,
    Runtime,
    Speed,
)
from foray.records.certificate import Certificate, CertificateVerdict, ClassDelta, EarlierSet, FlipLabels
from foray.records.comparison import CandidateResult, Comparison, Decision, Mistake, PairedLoss
from foray.records.cost import BrokenBound, Budget, CostProfile
from foray.records.cost_vocabulary import COSTS, CostKind, Preference
from foray.records.environment import Hardware, available_cores, commit, hardware, versions
from foray.records.files import atomic_writer, remove_unfinished_files, require_writable, write_bytes, write_text
from foray.records.flip_plan import AskedFlip, FlipPlan
from foray.records.lock import folder_lock
from foray.records.metrics import ClassMetrics, EpochRow, Estimate, Leak, LeftOut, Metrics
from foray.records.pretrained_evaluation import PretrainedEvaluation
from foray.records.record import Record
from foray.records.run import ArchitectureInfo, DatasetInfo, RunInputs, RunRecord, WeightsInfo
from foray.records.run_folder import RunFolder, find_run, runs_in, unfinished_runs
from foray.records.runtime_profile import (
    LayerTime,
    RateEstimate,
    RuntimeCost,
    RuntimeProfile,
    Steadiness,
    TimeDifference,
    TimeEstimate,
)
from foray.records.scaling_search import ScaledCandidate, ScalingKind, ScalingSearch
from foray.records.scratch import scratch_folder
from foray.records.sealing import file_sha256
from foray.records.settlement import AskedPair, PanelLeftOut, SettledPair, Settlement, SettlePlan, decision_digest

__all__ = [
    "COSTS",
    "ArchitectureInfo",
    "ArtifactOrigin",
    "ArtifactPrecision",
    "ArtifactPreprocessing",
    "ArtifactRecord", "AskedFlip",
    "AskedPair",
    "BrokenBound",
    "Budget",
    "Calibration",
    "CandidateResult",
    "Certificate",
    "CertificateVerdict",
    "ClassDelta",
    "ClassMetrics",
    "Comparison",
    "CostKind",
    "CostProfile",
    "DatasetInfo",
    "Decision",
    "EarlierSet",
    "EpochRow",
    "Estimate",
    "FileInfo", "FlipLabels", "FlipPlan",
    "Hardware",
    "InputShape",
    "LayerTime",
    "Leak",
    "LeftOut",
    "Metrics",
    "Mistake",
    "PairedLoss",
    "PanelLeftOut",
    "Preference",
    "PretrainedEvaluation",
    "RateEstimate",
    "Record",
    "RunFolder",
    "RunInputs",
    "RunRecord",
    "Runtime",
    "RuntimeCost",
    "RuntimeProfile",
    "ScaledCandidate",
    "ScalingKind",
    "ScalingSearch",
    "SettlePlan",
    "SettledPair",
    "Settlement",
    "Speed",
    "Steadiness",
    "TimeDifference",
    "TimeEstimate",
    "WeightsInfo",
    "atomic_writer",
    "available_cores",
    "commit",
    "decision_digest",
    "file_sha256",
    "find_run",
    "folder_lock",
    "hardware",
    "remove_unfinished_files",
    "require_writable",
    "runs_in",
    "scratch_folder",
    "unfinished_runs",
    "versions",
    "write_bytes",
    "write_text",
]  # fmt: skip
