"""Masks and boxes as NumPy arrays and COCO's dictionaries."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence, TypedDict, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _segzero
from ._segzero import Masks


class RLE(TypedDict):
    """A mask as COCO's tools write it: ``size`` is height and width."""

    size: Sequence[int]
    counts: Union[str, bytes, Sequence[int]]


#: What every function takes for masks: masks already read, one COCO dictionary or a list of them,
#: an array of height x width or of n x height x width, or a list of arrays. What is not zero is
#: foreground.
MaskLike = Union[Masks, RLE, Sequence[RLE], NDArray[Any], Sequence[NDArray[Any]]]


def _bytes(mask: Any) -> NDArray[np.uint8]:
    array = np.asarray(mask)
    if array.dtype not in (np.bool_, np.uint8):
        array = array != 0
    return np.ascontiguousarray(array).view(np.uint8)


def masks(masks: MaskLike) -> Masks:
    """Reads masks once, to be used several times.

    >>> import segzero
    >>> segzero.masks({"size": [5, 5], "counts": "6320004"}).areas()
    array([9], dtype=uint64)
    """
    if isinstance(masks, Masks):
        return masks
    if isinstance(masks, dict):
        return Masks.from_rle([masks])
    if isinstance(masks, np.ndarray):
        pixels = _bytes(masks)
        return Masks.from_pixels([pixels] if pixels.ndim == 2 else list(pixels))
    masks = list(masks)
    if masks and not isinstance(masks[0], dict):
        return Masks.from_pixels([_bytes(mask) for mask in masks])
    return Masks.from_rle(masks)


def _vertices(polygon: ArrayLike) -> list[float]:
    array = np.asarray(polygon, dtype=np.float64)
    if array.ndim != 1 and array.shape[1:] != (2,):
        raise ValueError(f"a polygon is flat or n x 2, not {' x '.join(map(str, array.shape))}")
    return array.reshape(-1).tolist()


def rasterize(
    objects: Sequence[Sequence[ArrayLike]], size: Sequence[int], *, fill: str = "coco"
) -> Masks:
    """One mask of each object's polygons, in an image of ``size`` (height, width).

    A polygon is COCO's flat list ``[x0, y0, x1, y1, ...]`` or an array of vertices of n x 2; an object
    is a list of them. ``fill``: ``coco`` (pycocotools, to the pixel), or ``opencv-a``, ``opencv-b``
    (4.8.0 to 4.10.0, which LISA pins) or ``opencv-c`` (from 4.11.0), whose vertices are truncated.

    >>> import segzero
    >>> segzero.rasterize([[[1, 1, 4, 1, 4, 4, 1, 4]]], (5, 5)).areas()
    array([9], dtype=uint64)
    """
    flat = [[_vertices(polygon) for polygon in polygons] for polygons in objects]
    return Masks.from_polygons(flat, list(size), fill)


def _is_one(masks: MaskLike) -> bool:
    return isinstance(masks, dict) or isinstance(masks, np.ndarray) and masks.ndim == 2


def rle_encode(masks_: MaskLike) -> Any:
    """COCO's compressed run lengths: one dictionary for one mask, else a list of them.

    ``counts`` is a ``str``, so that the result is JSON as it stands; pycocotools reads it too.

    >>> import numpy as np, segzero
    >>> segzero.rle_encode(np.eye(3, dtype=bool))
    {'size': [3, 3], 'counts': '013000'}
    """
    rles = masks(masks_).rle()
    return rles[0] if _is_one(masks_) else rles


def rle_decode(rles: MaskLike) -> Any:
    """Row-major boolean arrays of height x width: one for one mask, else a list of them."""
    pixels = [array.view(np.bool_) for array in masks(rles).pixels()]
    return pixels[0] if _is_one(rles) else pixels


class Targets(NamedTuple):
    """Boxes and circles of n masks, in pixels; what an empty mask has is -1 or 0."""

    #: n x 4: left, top, right, bottom, as inclusive pixel indices.
    boxes: NDArray[np.int32]
    #: n x circles x 2: x and y of the centres, largest circle first.
    centers: NDArray[np.int32]
    #: n x circles: squared distance of each centre to the nearest background pixel's.
    radii_squared: NDArray[np.uint64]
    #: n: whether the mask has any pixel.
    found: NDArray[np.bool_]
    #: n: whether a later circle found nothing left and repeats the first.
    degenerate: NDArray[np.bool_]
    #: n: whether the mask touches the border of the image.
    touches_border: NDArray[np.bool_]
    #: n: whether several pixels had the largest radius.
    tie: NDArray[np.bool_]


def box_and_circles(
    masks_: MaskLike,
    *,
    points: str = "inscribed",
    circles: int = 2,
    border: str = "background",
    parts: str = "union",
) -> Targets:
    """The extremal-pixel box of each mask, and the centres of its largest inscribed circles.

    ``points``: ``inscribed`` (the paper's words), ``seg-zero`` (the authors' two points, bit for bit)
    or ``outside``. ``border``: whether pixels beyond the image are ``background`` or the border is
    ``open``. ``parts``: all of a mask (``union``) or its ``largest`` 4-connected part.
    """
    return Targets(**_segzero.box_and_circles(masks(masks_), points, circles, border, parts))


def mask_iou(a: MaskLike, b: MaskLike) -> NDArray[np.float64]:
    """IoU of each pair; 0 where both are empty, as pycocotools has it."""
    return _segzero.mask_iou(masks(a), masks(b))


def mask_iou_matrix(a: MaskLike, b: MaskLike) -> NDArray[np.float64]:
    """IoU of each of ``a`` (rows) with each of ``b`` (columns)."""
    return _segzero.mask_iou_matrix(masks(a), masks(b))


def mask_counts(a: MaskLike, b: MaskLike) -> NDArray[np.uint64]:
    """n x 3: pixels of both, of ``a`` and of ``b``, for each pair."""
    return _segzero.mask_counts(masks(a), masks(b))


def _boxes(boxes: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def box_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """IoU of each pair of boxes ``[x0, y0, x1, y1]``. Areas go from corner to corner, as Seg-Zero's
    evaluators and COCO's have it: give inclusive boxes with 1 added to the right and the bottom if
    pixels are to be counted."""
    return _segzero.box_iou(_boxes(a), _boxes(b))


def box_iou_matrix(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """IoU of each of the boxes ``a`` (rows) with each of ``b`` (columns), as :func:`box_iou`."""
    return _segzero.box_iou_matrix(_boxes(a), _boxes(b))
