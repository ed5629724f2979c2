"""Encoded images (PNG, JPEG, …) as points."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tropica.errors import DataError

SIXTEEN_BIT_AND_MORE = ("I", "I;16", "I;16B", "I;16L", "F")


def decode_image(source: bytes | Path, where: str) -> np.ndarray:
    """Decode one image to uint8 (channels, height, width): one channel for gray, three for everything else.

    Raises:
        DataError: the source is not an image, or has more than 8 bits per channel.
    """
    from PIL import Image, ImageOps  # slow to import, and needed for images only

    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.mode in SIXTEEN_BIT_AND_MORE:
                raise DataError(f"{where}: images must have 8 bits per channel; found mode {image.mode}")
            upright = ImageOps.exif_transpose(image)  # cameras store how they were held
            pixels = np.asarray(upright if upright.mode == "L" else upright.convert("RGB"))
    except DataError:
        raise
    # Damaged files make PIL's decoders raise nearly anything: OSError, SyntaxError, struct.error, IndexError, …
    except Exception as error:
        raise DataError(f"{where} cannot be decoded as an image: {error}") from error
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def stack_images(images: Iterable[tuple[bytes | Path, str]], count: int, channels: int | None = None) -> Tensor:
    """Decode images to float32 (count, channels, height, width) in [0, 1].

    Gray images among color images get three equal channels.

    Args:
        images: each encoded image with its location, for error messages.
        count: the number of images.
        channels: the channels that all images must have; None for 3 if any image has color, else 1.

    Raises:
        DataError: an image cannot be decoded, or its shape differs from that of the first.
    """
    stacked, first = torch.empty(0), ""
    for index, (source, where) in enumerate(images):
        image = decode_image(source, where)
        if len(image) == 1 and ((len(stacked) and stacked.shape[1] == 3) or channels == 3):
            image = np.repeat(image, 3, 0)
        if index == 0:
            stacked, first = torch.empty(count, *image.shape, dtype=torch.float32), where
        elif channels is None and len(image) == 3 and stacked.shape[1] == 1 and image.shape[1:] == stacked.shape[2:]:
            stacked = stacked.repeat(1, 3, 1, 1)
        if image.shape != stacked.shape[1:]:
            expected = tuple(stacked.shape[1:])
            raise DataError(f"{where}: all images must have one shape; expected {expected}, as {first}; found {image.shape}")
        stacked[index] = torch.from_numpy(image / np.float32(255))
    return stacked
