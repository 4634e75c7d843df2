"""Deciding what a comparison left open, by labelling only the images on which its models differ."""

from foray.settling.certify_file import certify
from foray.settling.label_page import Asked, LabelPage, Pair, label_html, picture_of
from foray.settling.settle_comparison import settle

__all__ = ["Asked", "LabelPage", "Pair", "certify", "label_html", "picture_of", "settle"]
