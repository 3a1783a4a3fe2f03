"""A folder of pictures (png, jpg) of one size → grey images as bytes."""

from pathlib import Path

import numpy as np

from memspike.data.files.folders import listed
from memspike.data.files.options import IMAGES, Reading
from memspike.data.files.raw import Raw
from memspike.parts.errors import InputError

GREY = ("1", "L", "LA", "P", "RGB", "RGBA")


def read(path: Path, given: Reading) -> Raw:
    """Images [pictures, height, width]; colours become grey."""
    from PIL import Image, UnidentifiedImageError

    found = listed(path, (".png", ".jpg", ".jpeg"))
    images, coloured = [], 0
    for file in found.files:
        name = file.relative_to(path)
        try:
            with Image.open(file) as image:
                if image.mode not in GREY:
                    raise InputError(
                        f"{name} is a picture of the mode {image.mode}; 8 bits a colour or grey are needed."
                    )
                coloured += image.mode in ("RGB", "RGBA", "P")
                images.append(np.asarray(image.convert("L")))
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(f"{name} is not a readable picture ({error}).") from None
        if images[-1].shape != images[0].shape:
            (h, w), (h0, w0) = images[-1].shape, images[0].shape
            raise InputError(f"{name} has {w} × {h} pixels and {found.files[0].name} {w0} × {h0}; one size is needed.")
    notes = (*found.notes, *((f"{coloured} pictures in colour are made grey",) if coloured else ()))
    kind = given.kind or IMAGES
    return Raw(
        "a folder of pictures",
        np.stack(images),
        kind,
        found.labels,
        test=found.test,
        groups=found.groups,
        assumed=given.kind is None,
        notes=notes,
    )
