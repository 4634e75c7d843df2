"""The peer: a linear classifier on a frozen MobileNetV2 as Keras' users write it. Needs tensorflow-cpu, not foray.

`images`: the frozen network runs in every epoch; decoded images are cached after the first (tf.data's `cache`).
`features`: the frozen network runs once over every image and the head is fitted on what it returned.

The last line on stdout is a JSON object. The time that counts is the whole process's, taken by the caller.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
STARTED = time.perf_counter()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

BATCH_SIZE = 32
RESIZE_SIDE, RESOLUTION = 256, 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=["images", "features"])
    parser.add_argument("--data", type=Path, required=True, help=".zip with train/, val/ and test/ class folders")
    parser.add_argument("--weights", type=Path, required=True, help="Keras .weights.h5 of MobileNetV2, top included")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    imported = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(given.data) as archive:
            archive.extractall(folder)
        fit = fit_on_images if given.mode == "images" else fit_on_features
        history, test_top1 = fit(Path(folder), backbone(given.weights), given.epochs)
    result = {
        "mode": given.mode,
        "epochs": given.epochs,
        "test_top1": test_top1,
        "val_top1": history["val_accuracy"],
        "seconds": {"import": imported - STARTED, "total": time.perf_counter() - STARTED},
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__, "python": sys.version.split()[0]},
    }
    print(json.dumps(result))


def backbone(weights: Path) -> keras.Model:
    """uint8 images (N, 224, 224, 3) to pooled features (N, 1280), frozen and in inference mode."""
    network = keras.applications.MobileNetV2(weights=str(weights))
    pooled = keras.Model(network.input, network.layers[-2].output)
    pooled.trainable = False
    images = keras.Input((RESOLUTION, RESOLUTION, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(images)  # mobilenet_v2.preprocess_input
    return keras.Model(images, pooled(scaled, training=False))


def images_of(folder: Path, split: str) -> tuple[tf.data.Dataset, int, int]:
    """(image, label) pairs of a split, decoded once and then cached; how many; of how many classes."""
    found = keras.utils.image_dataset_from_directory(
        folder / split,
        image_size=(RESIZE_SIDE, RESIZE_SIDE),
        interpolation="bilinear",
        crop_to_aspect_ratio=True,
        batch_size=None,
        shuffle=False,
        verbose=False,
    )
    margin = (RESIZE_SIDE - RESOLUTION) // 2
    centre = slice(margin, margin + RESOLUTION)
    count, classes = len(found.file_paths), len(found.class_names)
    # uint8 in the cache: a quarter of the memory, and what Pillow's resize would have returned.
    crop = found.map(lambda x, y: (tf.cast(tf.round(x[centre, centre]), tf.uint8), y), tf.data.AUTOTUNE)
    return crop.cache(), count, classes


def batches(images: tf.data.Dataset, shuffle_over: int = 0) -> tf.data.Dataset:
    ordered = images.shuffle(shuffle_over) if shuffle_over else images
    return ordered.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE)


def compiled(model: keras.Model) -> keras.Model:
    model.compile(keras.optimizers.RMSprop(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit_on_images(folder: Path, frozen: keras.Model, epochs: int) -> tuple[dict[str, list[float]], float]:
    train, count, classes = images_of(folder, "train")
    val, test = images_of(folder, "val")[0], images_of(folder, "test")[0]
    model = compiled(keras.Sequential([frozen, keras.layers.Dense(classes, activation="softmax")]))
    history = model.fit(batches(train, count), validation_data=batches(val), epochs=epochs, verbose=0)
    return history.history, float(model.evaluate(batches(test), verbose=0)[1])


def fit_on_features(folder: Path, frozen: keras.Model, epochs: int) -> tuple[dict[str, list[float]], float]:
    cached, classes = {}, 0
    for split in ("train", "val", "test"):
        images, _, classes = images_of(folder, split)
        labels = tf.stack([label for _, label in images]).numpy()
        cached[split] = (frozen.predict(batches(images), verbose=0), labels)
    head = compiled(keras.Sequential([keras.Input((1280,)), keras.layers.Dense(classes, activation="softmax")]))
    history = head.fit(*cached["train"], batch_size=BATCH_SIZE, validation_data=cached["val"], epochs=epochs, verbose=0)
    return history.history, float(head.evaluate(*cached["test"], verbose=0)[1])


if __name__ == "__main__":
    main()
