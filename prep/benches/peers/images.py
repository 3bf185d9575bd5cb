"""The steps of `images.rs` in OpenCV and Pillow: CPU microseconds per image, and mean PNG size.

python peers/images.py FOLDER_OF_JPEGS     (pip install opencv-python-headless pillow numpy)
One thread. Takes every eighth file, as the Rust bench does.
"""

import io
import pathlib
import sys
import time

import cv2
import numpy as np
from PIL import Image

SIZE = (840, 840)
cv2.setNumThreads(1)
paths = [str(path) for path in sorted(pathlib.Path(sys.argv[1]).iterdir())][::8]
photos = [cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB) for path in paths]
pillow = [Image.fromarray(photo) for photo in photos]
large = [Image.fromarray(cv2.resize(photo, SIZE, interpolation=cv2.INTER_AREA)) for photo in photos]


def png(image, **options):
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return len(out.getvalue())


def whole(path):
    """Seg-Zero's builder: two reads of the file, and Pillow's default encoding by `datasets`."""
    cv2.imread(path)
    photo = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    return png(Image.fromarray(cv2.resize(photo, SIZE, interpolation=cv2.INTER_AREA)))


def report(name, inputs, function, repeats=5):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for item in inputs:
            function(item)
        times.append((time.process_time() - start) / len(inputs) * 1e6)
    print(f"{name:32} {np.median(times):10.0f} us")


def area(size):
    return lambda photo: cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


report("decode", paths, cv2.imread)
report("area enlarging to 840x840", photos, area(SIZE))
report("area mixed to 840x200", photos, area((840, 200)))
report("area shrinking to 317x213", photos, area((317, 213)))
report("PIL bilinear to 840x840", pillow, lambda image: image.resize(SIZE, Image.BILINEAR))
report("PIL bicubic to 840x840", pillow, lambda image: image.resize(SIZE, Image.BICUBIC))
report("PIL Lanczos to 840x840", pillow, lambda image: image.resize(SIZE, Image.LANCZOS))
report("PNG PIL default", large, png, repeats=1)
report("PNG PIL level 1", large, lambda image: png(image, compress_level=1), repeats=1)
report("JPEG to 840x840 PNG", paths, whole, repeats=1)
print(f"PNG PIL default: mean {np.mean([png(image) for image in large]) / 1000:.0f} KB")
