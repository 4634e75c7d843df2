"""times.json: networks that were timed in turns on one machine, for ratios of their times."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from foray.records.environment import Hardware
from foray.records.record import Record
from foray.records.runtime_profile import Steadiness

Seconds = Annotated[float, Field(gt=0)]
Trains = Literal["whole", "head"]


class TimedNetwork(Record):
    """One network at a resolution in pixels. `trains`: as in foray.reproduce.claim.Timed; None: nothing, inference.

    `seconds`: of one training step, or of one image; the median of each round, in the order of rounds. `unsteady`: what
    stands against these times, in sentences.
    """

    model: str
    resolution: int
    trains: Trains | None
    seconds: list[Seconds] = Field(min_length=1)
    unsteady: list[str] = Field(default_factory=list)


class SideBySideTimes(Record):
    """What took how long, in turns: round i of every network is from the same moments of one machine.

    `timed`: a step of training on `batch_size` images, or inference of `batch_size` images. `steps`: timed ones of each
    network in a round; None where the clock chose them for each network. `precision`: the number format computed in.
    """

    way_out: ClassVar[str] = "Delete its folder and run again."

    schema_version: Literal[1] = 1
    created: str  # ISO 8601, UTC
    timed: Literal["training step", "inference"]
    batch_size: int
    steps: int | None
    runtime: str
    precision: str
    threads: int
    networks: list[TimedNetwork] = Field(min_length=1)
    steadiness: Steadiness
    hardware: Hardware
    versions: dict[str, str]
    commit: str | None = None

    @model_validator(mode="after")
    def _in_turns(self) -> Self:
        if len({len(network.seconds) for network in self.networks}) > 1:
            raise ValueError("the networks have different numbers of rounds")
        keys = [(network.model, network.resolution, network.trains) for network in self.networks]
        if len(set(keys)) < len(keys):
            raise ValueError("a network is there twice")
        return self

    @property
    def rounds(self) -> int:
        """How many each network took part in."""
        return len(self.networks[0].seconds)

    def network(self, model: str, resolution: int, trains: Trains | None) -> TimedNetwork | None:
        """The network with these settings; None where it was not timed."""
        wanted = (model, resolution, trains)
        return next((one for one in self.networks if (one.model, one.resolution, one.trains) == wanted), None)
