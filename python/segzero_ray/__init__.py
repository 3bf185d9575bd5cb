"""segzero over Ray Data: the same functions, on as many machines as there are.

A data set is anything that Ray reads into rows (``ray.data.read_parquet("s3://...")``). Rows that fail
are rows that say so; workers and nodes that die cost a retry. Which machine does which rows, and how
they are cut, changes no bit of the results. ``docs/scale.md`` has recipes.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any, Callable, Iterator, Mapping, Optional
from urllib.error import HTTPError

import pyarrow as pa

import segzero

__all__ = ["predict_dataset", "prep_dataset", "score_dataset", "Command", "Endpoint"]


def _over_blocks(rows: Any, work: Callable[[pa.Table], pa.Table], batch_size: int,
                 remote: Optional[Mapping[str, Any]]) -> Any:  # fmt: skip
    """Work over all rows, piece by piece. Ray is asked for whole blocks and not for batches, as it then
    reads, works and writes in one task, and no row travels through its store."""
    def over(block: pa.Table) -> Iterator[pa.Table]:
        for start in range(0, len(block), batch_size):
            yield work(block.slice(start, batch_size).combine_chunks())

    return rows.map_batches(
        over, batch_size=None, batch_format="pyarrow", zero_copy_batch=True, **(remote or {})
    )


def prep_dataset(rows: Any, *, dataset: str = "batch", split: str = "train", batch_size: int = 64,
                 remote: Optional[Mapping[str, Any]] = None, **options: Any) -> Any:  # fmt: skip
    """A training set's rows of rows with image, text and mask; see :func:`segzero.prep`.

    Rows of one image must stand together for their pixels to be shared; with
    ``solution="vision-reasoner"`` the rows are grouped by ``image_id`` here. ``batch_size`` rows are
    in work at once in a task. ``remote`` are options of Ray's tasks, such as ``{"num_cpus": 1}``.
    """
    def prep(piece: pa.Table) -> pa.Table:
        return segzero.prep(piece, dataset=dataset, split=split, **options)

    if options.get("solution") == "vision-reasoner":
        return rows.groupby("image_id").map_groups(
            lambda image: prep(image.combine_chunks()), batch_format="pyarrow", **(remote or {})
        )
    return _over_blocks(rows, prep, batch_size, remote)


def score_dataset(rows: Any, protocol: Any = "default", *, batch_size: int = 1024,
                  remote: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:  # fmt: skip
    """The numbers of rows with ``mask`` and ``prediction``; see :func:`segzero.finish`."""
    def partial(piece: pa.Table) -> pa.Table:
        return segzero.iou_partial(piece, protocol)

    partials = _over_blocks(rows, partial, batch_size, remote)
    merged = segzero.merge(
        [pa.record_batch(segzero.partial_schema())]
        + list(partials.iter_batches(batch_format="pyarrow", batch_size=None))
    )
    return segzero.finish(merged, protocol)


def predict_dataset(rows: Any, predictor: Callable[[], Any], *, batch_size: int = 16,
                    concurrency: Any = 1, num_gpus: float = 0,
                    remote: Optional[Mapping[str, Any]] = None) -> Any:  # fmt: skip
    """The rows with what a predictor adds to them, in place of columns of the same names.

    ``predictor`` makes, once on each of ``concurrency`` actors (each with ``num_gpus``), a function of
    a table that returns a table of new columns, row for row: :class:`Command`, :class:`Endpoint` or one
    of your own. ``functools.partial(Endpoint, url=...)`` gives it its arguments.
    """
    class Actor:
        def __init__(self) -> None:
            self.predict = predictor()

        def __call__(self, batch: pa.Table) -> pa.Table:
            batch = batch.combine_chunks()
            found = self.predict(batch)
            batch = batch.drop_columns([name for name in found.column_names if name in batch.column_names])
            for name in found.column_names:
                batch = batch.append_column(name, found[name])
            return batch

    return rows.map_batches(Actor, batch_size=batch_size, batch_format="pyarrow",
                            concurrency=concurrency, num_gpus=num_gpus, **(remote or {}))  # fmt: skip


_MASK = pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.string())])


def _asked(row: Mapping[str, Any]) -> tuple[bytes, str]:
    """Image and text of a row that can be asked about."""
    image, text = row["image"], row["text"]
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str):
        with open(image, "rb") as file:
            image = file.read()
    if not image:
        raise ValueError("the image is missing")
    if not text or not text.strip():
        raise ValueError("the text is missing")
    return image, text


class Command:
    """``segzero predict`` on this node: adds ``prediction``, a mask, or null and ``error``.

    ``arguments`` are the command's flags, such as ``["--reasoner", "...", "--segmenter", "..."]``;
    ``program`` is where it lies on every node. What it cannot do for any row is a ``RuntimeError``.
    """

    def __init__(self, arguments: list[str], program: str = "segzero") -> None:
        self.arguments, self.program = arguments, program

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.select(["image", "text"]).to_pylist()
        with tempfile.TemporaryDirectory() as folder:
            errors = self._write(rows, folder)
            masks: dict[int, Any] = {}
            if len(errors) < len(rows):
                self._run(folder)
                for line in _lines(folder, "predictions.jsonl"):
                    masks[int(line["key"])] = {name: line[name] for name in ("size", "counts")}
                for line in _lines(folder, "failures.jsonl"):
                    errors[int(line["key"])] = f"{line['failure']}: {line['message']}"
        at = range(len(rows))
        return pa.table({"prediction": pa.array([masks.get(row) for row in at], _MASK),
                         "error": pa.array([errors.get(row) for row in at], pa.string())})  # fmt: skip

    @staticmethod
    def _write(rows: list[dict[str, Any]], folder: str) -> dict[int, str]:
        """The rows as a table that the command reads; what is wrong with those that are not in it."""
        errors = {}
        with open(os.path.join(folder, "batch.jsonl"), "w") as table:
            for number, row in enumerate(rows):
                try:
                    image, text = _asked(row)
                except (OSError, ValueError) as error:
                    errors[number] = f"{type(error).__name__}: {error}"
                    continue
                with open(os.path.join(folder, f"{number}.image"), "wb") as file:
                    file.write(image)
                line = {"id": f"{number}", "image": f"{number}.image", "text": text, "polygons": []}
                print(json.dumps(line), file=table)
        return errors

    def _run(self, folder: str) -> None:
        done = subprocess.run([self.program, "predict", "--root", os.path.join(folder, "batch.jsonl"),
                               "--out", os.path.join(folder, "run"), *self.arguments],
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"segzero predict: {done.stderr[-2000:]}")


def _lines(folder: str, name: str) -> Iterator[dict[str, Any]]:
    with open(os.path.join(folder, "run", name)) as lines:
        yield from map(json.loads, lines)


class Endpoint:
    """Any server that speaks OpenAI's protocol: adds ``reply``, or null and ``error``.

    ``url`` ends in ``/v1``. Images are sent as they are: prepare them at the size that the model is to
    see. All rows of a batch are asked at once; what a busy server refuses is asked again up to
    ``retries`` times. :func:`segzero.read_answers` reads the replies.
    """

    def __init__(self, url: str, model: str, style: str = "seg-zero", key: str = "",
                 timeout: float = 600, retries: int = 4, **settings: Any) -> None:  # fmt: skip
        self.url, self.model, self.style, self.key = url, model, style, key
        self.timeout, self.retries = timeout, retries
        self.settings = {"temperature": 0.0, "max_tokens": 2000, **settings}

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.select(["image", "text"]).to_pylist()
        with ThreadPoolExecutor(max(1, len(rows))) as threads:
            told = list(threads.map(self._reply, rows))
        replies, errors = zip(*told) if told else ((), ())
        return pa.table({"reply": pa.array(replies, pa.string()),
                         "error": pa.array(errors, pa.string())})  # fmt: skip

    def _reply(self, row: Mapping[str, Any]) -> tuple[Optional[str], Optional[str]]:
        """A row's reply, or why there is none."""
        try:
            request = self._request(*_asked(row))
            for attempt in range(self.retries):
                try:
                    return self._ask(request), None
                except (OSError, HTTPException) as error:
                    code = getattr(error, "code", 503)
                    if code not in (408, 429) and code < 500:
                        raise
                    time.sleep(min(30, 0.5 * 2**attempt))
            return self._ask(request), None
        except HTTPError as error:
            return None, f"{error}: {error.read(500).decode(errors='replace')}"
        except (OSError, HTTPException, LookupError, TypeError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"

    def _request(self, image: bytes, text: str) -> urllib.request.Request:
        kind = "png" if image[:4] == b"\x89PNG" else "jpeg"
        url = f"data:image/{kind};base64,{b64encode(image).decode()}"
        parts = [{"type": "image_url", "image_url": {"url": url}},
                 {"type": "text", "text": segzero.prompt(text, self.style)}]  # fmt: skip
        body = {"model": self.model, "messages": [{"role": "user", "content": parts}]}
        return urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions",
            json.dumps({**body, **self.settings}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"},
        )

    def _ask(self, request: urllib.request.Request) -> str:
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            content = json.load(response)["choices"][0]["message"]["content"]
        if not isinstance(content, str):
            raise ValueError(f"the reply is no text: {json.dumps(content)[:200]}")
        return content
