"""The format of an artifact is told by its content: every disguise is refused, every honest model passes."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
import xgboost as xgb

from modelnotary.formats import (
    ARCHIVE_MEMBERS,
    HEAD_SIZE,
    ArtifactFormat,
    UnreadableArtifactError,
    UnsafeFormatError,
    refuse_unsafe,
    sniff,
)

MODEL = OrderedDict(weights=list(range(50)), name="model")
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)


def booster_bytes(raw_format: str) -> bytes:
    rows = np.random.default_rng(1).normal(size=(60, 3))
    matrix = xgb.DMatrix(rows, label=rows[:, 0] > 0, feature_names=["a", "b", "c"])
    booster = xgb.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 3)
    booster.set_attr(run="PK\x05\x06 in an attribute")
    return bytes(booster.save_raw(raw_format))


def joblib_bytes(compress: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(MODEL, buffer, compress=compress)
    return buffer.getvalue()


def numpy_bytes(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def zip_bytes(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def encrypted(archive: bytes) -> bytes:
    """The same archive with the encryption flag set on its member, in both headers."""
    flagged = bytearray(archive)
    flagged[6] |= 1
    flagged[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(flagged)


PICKLES = {f"protocol {n}": pickle.dumps(MODEL, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)}
CALL = b"cos\nsystem\n(S'id'\ntR"
LONG = b"A" * (2 * HEAD_SIZE)
UNSAFE = {
    **{name: (content, ArtifactFormat.PICKLE) for name, content in PICKLES.items()},
    "joblib plain": (joblib_bytes(0), ArtifactFormat.PICKLE),
    "a call that never reaches STOP": (CALL + b"\xff\xff", ArtifactFormat.PICKLE),
    "a call behind padding longer than the window": (b"N0" * HEAD_SIZE + CALL, ArtifactFormat.PICKLE),
    "a call behind one long line": (b"V" + LONG + b"\n0" + CALL, ArtifactFormat.PICKLE),
    "a call behind one long string": (b"X\0\0\2\0" + LONG + b"0" + CALL, ArtifactFormat.PICKLE),
    "a stack import without the protocol mark": (b"\x8c\x02os\x8c\x06system\x93)R.", ArtifactFormat.PICKLE),
    "a big protocol 0 pickle": (pickle.dumps(list(range(40_000)), protocol=0), ArtifactFormat.PICKLE),
    "a NumPy array of objects": (numpy_bytes(np.array([MODEL], dtype=object)), ArtifactFormat.PICKLE),
    "joblib zlib": (joblib_bytes(("zlib", 3)), ArtifactFormat.COMPRESSED_PICKLE),
    "joblib gzip": (joblib_bytes(("gzip", 3)), ArtifactFormat.COMPRESSED_PICKLE),
    "joblib bz2": (joblib_bytes(("bz2", 3)), ArtifactFormat.COMPRESSED_PICKLE),
    "joblib xz": (joblib_bytes(("xz", 3)), ArtifactFormat.COMPRESSED_PICKLE),
    "joblib lzma": (joblib_bytes(("lzma", 3)), ArtifactFormat.COMPRESSED_PICKLE),
    "gzip of protocol 0": (gzip.compress(PICKLES["protocol 0"]), ArtifactFormat.COMPRESSED_PICKLE),
    "zlib without compression": (zlib.compress(PICKLES["protocol 5"], 0), ArtifactFormat.COMPRESSED_PICKLE),
    "a gzip bomb with a pickle": (gzip.compress(b"N0" * 10_000_000), ArtifactFormat.COMPRESSED_PICKLE),
    "gzip inside bzip2": (bz2.compress(gzip.compress(PICKLES["protocol 5"])), ArtifactFormat.OPAQUE),
    "joblib lz4": (b"\x04\x22\x4d\x18" + bytes(64), ArtifactFormat.OPAQUE),
    "zstandard": (b"\x28\xb5\x2f\xfd" + bytes(64), ArtifactFormat.OPAQUE),
    "old joblib container": (b"ZF0x1f              ", ArtifactFormat.OPAQUE),
    "torch archive": (
        zip_bytes({"m/data.pkl": PICKLES["protocol 2"], "m/data/0": bytes(64)}),
        ArtifactFormat.PICKLE_ARCHIVE,
    ),
    "torch archive, deflated, with an innocent member name": (
        zip_bytes({"README.txt": PICKLES["protocol 4"]}, zipfile.ZIP_DEFLATED),
        ArtifactFormat.PICKLE_ARCHIVE,
    ),
    "NumPy archive with objects": (
        zip_bytes({"arr_0.npy": numpy_bytes(np.array([MODEL], dtype=object))}),
        ArtifactFormat.PICKLE_ARCHIVE,
    ),
    "archive of a joblib file": (
        zip_bytes({"model": joblib_bytes(("xz", 3))}),
        ArtifactFormat.PICKLE_ARCHIVE,
    ),
    "an archive wearing the head of an accepted model": (
        booster_bytes("json") + zip_bytes({"data": PICKLES["protocol 2"]}),
        ArtifactFormat.PICKLE_ARCHIVE,
    ),
    "Keras archive": (
        zip_bytes({"config.json": b"{}", "model.weights.h5": HDF5}),
        ArtifactFormat.KERAS_ARCHIVE,
    ),
    "encrypted archive": (encrypted(zip_bytes({"a": b"hello"})), ArtifactFormat.OPAQUE),
    "archive of too many members": (
        zip_bytes({str(n): b"" for n in range(ARCHIVE_MEMBERS + 1)}),
        ArtifactFormat.OPAQUE,
    ),
    "broken archive": (
        zip_bytes({"a": b"hello"}).replace(b"PK\x03\x04", b"PK\x03\x05"),
        ArtifactFormat.OPAQUE,
    ),
    "HDF5": (HDF5, ArtifactFormat.HDF5),
    "HDF5 behind a user block": (bytes(2048) + HDF5, ArtifactFormat.HDF5),
}
HARMLESS = {
    "XGBoost JSON": (booster_bytes("json"), ArtifactFormat.XGBOOST_JSON),
    "XGBoost JSON, indented": (
        json.dumps(json.loads(booster_bytes("json")), indent=1).encode(),
        ArtifactFormat.XGBOOST_JSON,
    ),
    "XGBoost JSON, version first": (
        json.dumps(dict(reversed(json.loads(booster_bytes("json")).items()))).encode(),
        ArtifactFormat.XGBOOST_JSON,
    ),
    "XGBoost UBJSON": (booster_bytes("ubj"), ArtifactFormat.XGBOOST_UBJ),
    "XGBoost JSON cut short": (booster_bytes("json")[:-1], ArtifactFormat.UNKNOWN),
    "other JSON": (b'{"model": {"learner": {}}}', ArtifactFormat.UNKNOWN),
    "nothing": (b"", ArtifactFormat.UNKNOWN),
    "one byte": (b"\x80", ArtifactFormat.UNKNOWN),
    "one dot": (b".", ArtifactFormat.UNKNOWN),
    "a table": (b"id,age\n1,2\n", ArtifactFormat.UNKNOWN),
    "prose": (b"The model of the bank. " * 10_000, ArtifactFormat.UNKNOWN),
    "LightGBM text": (b"tree\nversion=v4\nnum_class=1\n", ArtifactFormat.UNKNOWN),
    "a Parquet head": (b"PAR1\x15\x04\x15\x10\x15" + bytes(40) + b"PAR1", ArtifactFormat.UNKNOWN),
    "a plain NumPy array": (numpy_bytes(np.zeros(4)), ArtifactFormat.UNKNOWN),
    "an archive of text": (zip_bytes({"notes.txt": b"Hello, reader."}), ArtifactFormat.UNKNOWN),
    "compressed text": (lzma.compress(b"Hello, reader."), ArtifactFormat.UNKNOWN),
    "a damaged gzip": (b"\x1f\x8b\x08" + b"\xff" * 40, ArtifactFormat.UNKNOWN),
}


@pytest.mark.parametrize(("content", "expected"), UNSAFE.values(), ids=UNSAFE)
@pytest.mark.parametrize("name", ["model.json", "model.ubj"])
def test_refuses_what_can_run_code_whatever_its_name(
    tmp_path: Path, name: str, content: bytes, expected: ArtifactFormat
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(UnsafeFormatError) as refusal:
            refuse_unsafe(source)
        assert refusal.value.format is expected
        assert refusal.value.code == "unsafe-model-format"
        assert "save_model('model.json')" in str(refusal.value)


@pytest.mark.parametrize(("content", "expected"), HARMLESS.values(), ids=HARMLESS)
def test_lets_plain_data_pass_whatever_its_name(tmp_path: Path, content: bytes, expected: ArtifactFormat) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    assert refuse_unsafe(path) is expected
    assert sniff(content) is expected


def test_accepts_exactly_the_plain_model_formats() -> None:
    accepted = {member for member in ArtifactFormat if member.is_accepted}
    assert accepted == {ArtifactFormat.XGBOOST_JSON, ArtifactFormat.XGBOOST_UBJ}
    assert not any(member.is_unsafe for member in accepted)


@pytest.mark.parametrize("name", ["missing", "."])
def test_says_that_a_missing_file_or_a_folder_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableArtifactError, match="cannot be read"):
        sniff(tmp_path / name)


class CountingStream(io.FileIO):
    """A file that adds up what is read from it."""

    total = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size) or b""
        CountingStream.total += len(content)
        return content

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        CountingStream.total += count
        return count


@pytest.mark.parametrize("head", [b"", b'{"learner":{', b"V", b"\x1f\x8b\x08\0\0\0\0\0\0\0"])
def test_reads_a_bounded_part_of_a_huge_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(8 * 1024**3)
    CountingStream.total = 0
    monkeypatch.setattr(Path, "open", lambda self, mode: io.BufferedReader(CountingStream(str(self), mode)))
    sniff(path)
    assert CountingStream.total <= 4 * HEAD_SIZE
