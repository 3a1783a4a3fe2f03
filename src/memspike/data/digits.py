"""The 8×8 handwritten digits that ship inside scikit-learn: no download."""

import numpy as np

from memspike.data.base import Dataset, check_finite
from memspike.parts.registry import DATASETS

TEST_IMAGES = 360


@DATASETS.register(
    "digits",
    "1,797 handwritten digits, 8×8, inside scikit-learn; fixed stratified split 1,437 / 360",
    "Alpaydin & Kaynak, UCI Optical Recognition of Handwritten Digits, CC BY 4.0",
)
def digits() -> Dataset:
    """Values 0 … 16 a pixel; the split is stratified by class and always the same."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    check_finite(x, "digits")
    parts = train_test_split(x, y, test_size=TEST_IMAGES, random_state=0, stratify=y)
    x_train, x_test, y_train, y_test = (np.asarray(p) for p in parts)
    return Dataset(
        "digits",
        x_train.reshape(-1, 8, 8).astype(np.uint8),
        y_train.astype(np.int32),
        x_test.reshape(-1, 8, 8).astype(np.uint8),
        y_test.astype(np.int32),
        classes=10,
        full_scale=16.0,
    )
