"""The extension module. Use the package's functions, which have defaults and take more forms."""

from typing import Any, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

__version__: str

class Masks:
    """A list of binary masks, kept as run lengths; see :func:`segzero.masks`."""

    @staticmethod
    def from_pixels(arrays: Sequence[NDArray[np.uint8]]) -> Masks:
        """Masks of the non-zero bytes of row-major arrays."""
    @staticmethod
    def from_rle(rles: Sequence[Any]) -> Masks:
        """Masks of COCO's dictionaries of ``size`` and ``counts``."""
    @staticmethod
    def from_polygons(objects: Sequence[Sequence[Sequence[float]]], size: Sequence[int], fill: str) -> Masks:
        """One mask of each object's polygons, in an image of height and width ``size``."""
    def rle(self) -> list[dict[str, Any]]:
        """COCO's dictionaries, with compressed strings."""
    def pixels(self) -> list[NDArray[np.uint8]]:
        """Row-major arrays of 0 and 1."""
    def areas(self) -> NDArray[np.uint64]:
        """Number of foreground pixels of each."""
    def boxes(self) -> NDArray[np.int32]:
        """n x 4: left, top, right, bottom, inclusive; -1 throughout for an empty mask."""
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of each."""
    def __len__(self) -> int: ...

class Recipe:
    """Rewards and how they are added up; see :func:`segzero.recipe`."""

    def __init__(self, text: str) -> None: ...
    @property
    def names(self) -> list[str]:
        """Names of the rewards, in the order of the columns of :meth:`score`."""
    @property
    def full_marks(self) -> float:
        """The largest score."""
    def changed(self, weights: Sequence[tuple[str, float]], frame: Optional[float]) -> Recipe:
        """The same with other weights, and the frame if one is given."""
    def json(self) -> str:
        """The recipe as JSON."""
    def score(self, replies: Sequence[str], solutions: Sequence[str]) -> NDArray[np.float64]:
        """One row a reply: each reward without its weight, and the score."""

class Batch:
    """A batch of rows for whatever speaks Arrow's PyCapsule interface."""

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        """The rows for another library, by Arrow's C data interface."""
    def __arrow_c_schema__(self) -> Any:
        """The schema for another library."""
    def __len__(self) -> int: ...

def box_and_circles(
    masks: Masks, points: str, circles: int, border: str, parts: str
) -> dict[str, NDArray[Any]]: ...
def mask_iou(a: Masks, b: Masks) -> NDArray[np.float64]: ...
def mask_iou_matrix(a: Masks, b: Masks) -> NDArray[np.float64]: ...
def mask_counts(a: Masks, b: Masks) -> NDArray[np.uint64]: ...
def box_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]: ...
def box_iou_matrix(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]: ...
def read_answers(replies: Sequence[str], parser: str, size: Sequence[float]) -> list[Any]: ...
def prompt(question: str, style: str = "seg-zero") -> str:
    """What a published model was asked, for a question: ``seg-zero``, ``seg-zero-paper``,
    ``vision-reasoner`` or ``qwen-box``."""

def reward_names() -> list[str]:
    """Names of all rewards that there are."""

def prep(batch: Any, dataset: str, split: str, options: str) -> list[Batch]: ...
def prep_schema(options: str) -> Batch: ...
def score(batch: Any, rules: str) -> list[Batch]: ...
def scores_schema() -> Batch: ...
def iou_partial(batch: Any, rules: str) -> Batch: ...
def merge(partials: Sequence[Any]) -> Batch: ...
def finish(partials: Any, rules: str) -> str: ...
def partial_schema() -> Batch: ...
