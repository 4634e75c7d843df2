"""Datasets, splits, audit, decode cache, preprocessing, augmentation, batches."""
