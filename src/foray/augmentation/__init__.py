"""Random changes of training images, each a function of seed, epoch, step and position: a resumed run repeats them."""

from foray.augmentation.augment import Augment
from foray.augmentation.mixing import Mix

__all__ = ["Augment", "Mix"]
