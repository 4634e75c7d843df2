"""What runs on the device: single files that need numpy, Pillow and one runtime, copied beside every artifact."""

from foray.deploy.predict import (
    Artifact,
    ArtifactError,
    ImageError,
    Prediction,
    Session,
    classify,
    images_in,
    open_artifact,
    open_session,
    pixels_for,
    predict_images,
    prepare,
    read_image,
)

__all__ = [
    "Artifact", "ArtifactError", "ImageError", "Prediction", "Session", "classify", "images_in", "open_artifact",
    "open_session", "pixels_for", "predict_images", "prepare", "read_image",
]  # fmt: skip
