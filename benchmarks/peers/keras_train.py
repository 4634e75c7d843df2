"""The peer: training as Keras' users write it. Needs tensorflow-cpu, not foray.

`image_dataset_from_directory`, decoded and resized images in tf.data's `cache`, augmentation layers in `map`,
keras.applications with weights=None, SGD with momentum, `train_on_batch`. RandomCrop resamples nothing, so the
augmentation costs less here than the resized crops of the other sides.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from benchmarks._side import ProcessMemory, Work, serve

# (network, what maps pixels 0-255 to its input: EfficientNet holds that layer itself)
NETWORKS = {
    "mobilenet_v2": (keras.applications.MobileNetV2, keras.layers.Rescaling(1 / 127.5, offset=-1)),
    "efficientnet_b0": (keras.applications.EfficientNetB0, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, choices=NETWORKS)
    parser.add_argument("--folder", type=Path, required=True, help="with train/ in class folders")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--resize-side", type=int, default=256)
    given = parser.parse_args()
    serve(lambda: prepare(given))


def prepare(given: argparse.Namespace) -> Work:
    """Everything up to the first step."""
    keras.utils.set_random_seed(0)
    images, num_classes = decoded(given.folder / "train", given.resize_side)
    batches = iter(augmented(images, given.batch_size, given.resolution))
    model = compiled(given.network, given.resolution, num_classes)
    resident = next(batches)

    def loop(steps: int) -> None:
        for image_batch, labels in itertools.islice(batches, steps):
            model.train_on_batch(image_batch, labels)

    def network_only(steps: int) -> None:
        for _ in range(steps):
            model.train_on_batch(*resident)

    about = {"precision": keras.config.dtype_policy().name, "keras": keras.__version__, "tensorflow": tf.__version__}
    return Work({"step": loop, "network": network_only}, about, ProcessMemory())


def decoded(folder: Path, side: int) -> tuple[tf.data.Dataset, int]:
    """(image uint8, label) pairs, decoded, resized and in memory; of how many classes."""
    found = keras.utils.image_dataset_from_directory(
        folder,
        image_size=(side, side),
        interpolation="bilinear",
        crop_to_aspect_ratio=True,
        batch_size=None,
        shuffle=False,
        verbose=False,
    )
    cached = found.map(lambda x, y: (tf.cast(tf.round(x), tf.uint8), y), tf.data.AUTOTUNE).cache()
    for _ in cached:  # fills the cache
        pass
    return cached.shuffle(len(found.file_paths)).repeat(), len(found.class_names)


def augmented(images: tf.data.Dataset, batch_size: int, resolution: int) -> tf.data.Dataset:
    """Endless batches, float32 0-255 (N, R, R, 3), cropped and flipped at random in tf.data's threads."""
    layers = keras.Sequential([keras.layers.RandomCrop(resolution, resolution), keras.layers.RandomFlip("horizontal")])
    batches = images.batch(batch_size, drop_remainder=True)
    prepared = batches.map(lambda x, y: (layers(x, training=True), y), tf.data.AUTOTUNE)
    return prepared.prefetch(tf.data.AUTOTUNE)


def compiled(name: str, resolution: int, num_classes: int) -> keras.Model:
    """The network from scratch with its softmax, loss, accuracy and optimiser."""
    make, rescaling = NETWORKS[name]
    network = make(weights=None, classes=num_classes, input_shape=(resolution, resolution, 3))
    inputs = keras.Input((resolution, resolution, 3))
    model = keras.Model(inputs, network(rescaling(inputs) if rescaling else inputs))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


if __name__ == "__main__":
    main()
