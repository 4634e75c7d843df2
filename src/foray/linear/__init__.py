"""The `linear` protocol: features of a frozen network, cached, and the heads that are trained on them."""

from foray.linear.features import extract_features

__all__ = ["extract_features"]
