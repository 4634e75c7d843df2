"""Every architecture against its peer, as a Markdown table on standard output.

    python -m tools.parity_table            # all of `foray models`; about a quarter of an hour on two cores
    python -m tools.parity_table NAME ...

A row has parameters (ours, published), multiply-accumulates an image of native resolution (ours; the peer's, counted by
torch.utils.flop_counter; as the paper prints them, with how far ours are from that), and the largest absolute
difference of the logits of one image, on the same random weights and batch-norm statistics, at the native resolution
and one pixel above it.
Where an image takes more than 5 G multiply-accumulates, the outputs are compared at the smaller resolution the row
names; parameters and multiply-accumulates are those of the native one. Needs the extras peers and dev.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from foray.costs import count_macs, count_params
from foray.models import build_model
from foray.specs import get_spec, paper_macs, spec_names
from foray.weights import create_model
from tools.keras_peers import import_keras, keras_input, keras_peer, uniform_pixels
from tools.peers import TORCHVISION, Peer, import_peer, lively, noise, settle, timm_peer, torchvision_peer

MOST_MACS = 5e9  # of an image whose outputs are compared
NUM_CLASSES = 1000  # of the networks whose parameters and multiply-accumulates are counted
KERAS = ("tf_xception",)  # networks that neither torchvision nor timm has
COLUMNS = (
    "architecture",
    "params",
    "published",
    "MACs",
    "of the peer",
    "as printed (ours against it)",
    "logits differ by, native",
    "one pixel more",
    "peer",
)


def main() -> None:
    """Prints the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m tools.parity_table", description="Architectures against peers.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="architectures; all of them unless named")
    names = parser.parse_args().names or spec_names()
    if import_peer("timm") is None:
        parser.error("torchvision and timm are needed: pip install -e '.[peers]'")
    if set(KERAS) & set(names) and import_keras() is None:
        parser.error(f"{' and '.join(KERAS)} needs keras: pip install -e '.[dev]'")
    _print_row(COLUMNS)
    _print_row(["---"] * len(COLUMNS))
    for name in names:
        _print_row(_row(name))


def _row(name: str) -> list[str]:
    spec = get_spec(name)
    with torch.device("meta"):
        network = build_model(spec, num_classes=NUM_CLASSES)
    macs = count_macs(network, spec.resolution)
    peer_name, peer_macs = _peer_macs(name)
    side = _compared_side(macs, spec.resolution)
    differences = _keras_logits(name, side) if name in KERAS else _torch_logits(name, side)
    native, above = (f"{float((ours - theirs).abs().max()):.1e}" for ours, theirs in differences)
    return [
        name,
        f"{count_params(network):,}",
        f"{spec.published.params:,}" if spec.published else "",
        f"{macs:,}",
        f"{peer_macs:,}",
        _paper_macs(name, macs),
        native if side == spec.resolution else f"{native} (at {side} px)",
        above,
        peer_name,
    ]


def _paper_macs(name: str, macs: int) -> str:
    printed = paper_macs(get_spec(name))
    return f"{printed:,} ({100 * (macs / printed - 1):+.2f} %)" if printed else "none"


def _compared_side(macs: int, resolution: int) -> int:
    """The native resolution, or a multiple of 32 at which an image takes at most `MOST_MACS`."""
    return resolution if macs <= MOST_MACS else int(resolution * math.sqrt(MOST_MACS / macs)) // 32 * 32


def _torch_peer(name: str, *num_classes: int) -> Peer:
    return torchvision_peer(name, *num_classes) if name in TORCHVISION else timm_peer(name, *num_classes)


def _peer_macs(name: str) -> tuple[str, int]:
    """What the peer is called, and its count."""
    if name in KERAS:
        return _keras_macs(name)
    peer, resolution = _torch_peer(name, NUM_CLASSES), get_spec(name).resolution
    with FlopCounterMode(display=False) as counter:
        peer.network(torch.empty(1, 3, resolution, resolution, device="meta"))
    return peer.name, counter.get_total_flops() // 2


def _keras_macs(name: str) -> tuple[str, int]:
    """The same, counted while it runs on numbers: Keras' networks are not made on the meta device."""
    keras, plain = import_keras(), name.removeprefix("tf_")
    images = uniform_pixels(1, get_spec(name).resolution)
    peer = keras_peer(keras, plain, images, NUM_CLASSES)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        peer(keras_input(plain, images), training=False)
    return f"keras {peer.name}", counter.get_total_flops() // 2


def _torch_logits(name: str, side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(ours, the peer's) at `side` and at `side` + 1 pixels."""
    network, peer = lively(name), _torch_peer(name)
    for pixels in (side, side + 1):
        images = noise(1, pixels, pixels)
        settle(network, images)
        peer.take_weights(network)
        with torch.inference_mode():
            yield network(images), peer.network(images)


def _keras_logits(name: str, side: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same, through a file that Keras writes."""
    keras, plain = import_keras(), name.removeprefix("tf_")
    for pixels in (side, side + 1):
        images = uniform_pixels(1, pixels)
        peer = keras_peer(keras, plain, images)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "peer.weights.h5"
            peer.save_weights(path)
            network = create_model(name, num_classes=peer.output_shape[-1], weights=path).eval()
        with torch.no_grad():
            theirs = torch.as_tensor(peer(keras_input(plain, images), training=False)).cpu()
            yield network(torch.from_numpy(images).permute(0, 3, 1, 2)), theirs


def _print_row(cells: list[str] | tuple[str, ...]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
