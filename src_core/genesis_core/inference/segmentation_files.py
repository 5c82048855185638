"""The files of a segmented case, and the table of volumes of a folder of them.

The label map is called like the case, so that it pairs with a reference by name. The information is written last: a
case whose information is there is complete.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from genesis_core.atomic import write_text
from genesis_core.errors import OutputExistsError, VolumeError
from genesis_core.inference.result_files import refuse_existing

if TYPE_CHECKING:
    from genesis_core.inference.segment import Segmentation
    from genesis_core.model.card import ModelCard
    from genesis_core.volumes.scans import Scan

LabelFormat = Literal["nii.gz", "nrrd", "dicom_seg"]
# Under this key the information names the case that a scan was in the training of the model.
TRAINING_CASE = "training_case"
VOLUMES_TABLE = "volumes.csv"
_ENDINGS: dict[LabelFormat, str] = {"nii.gz": ".nii.gz", "nrrd": ".seg.nrrd", "dicom_seg": ".dcm"}


def segmentation_files(out: Path, stem: PurePosixPath, label_format: LabelFormat) -> dict[str, Path]:
    """Return where the parts of a case go.

    labels; names (beside a NIfTI file); layers (instead of a NIfTI file, where structures overlap); uncertainty and
    spread; information.
    """
    folder, name = out / stem.parent, stem.name
    files = {"labels": folder / f"{name}{_ENDINGS[label_format]}"}
    if label_format == "nii.gz":
        files["names"] = folder / f"{name}.json"
        files["layers"] = folder / f"{name}.seg.nrrd"
    return {
        **files,
        "uncertainty": folder / f"{name}_uncertainty.nii.gz",
        "spread": folder / f"{name}_spread.nii.gz",
        "information": folder / f"{name}_segmentation.json",
    }


def write_segmentation(
    segmentation: Segmentation,
    files: Mapping[str, Path],
    facts: Mapping[str, Any],
    *,
    scans: Sequence[Scan],
    overwrite: bool = False,
) -> dict[str, Path]:
    """Write labels, uncertainty and information, each atomically, the information last; return what was written.

    files: of `segmentation_files`. facts: what else the information states (case, model, settings). scans: what the
    case was read from, never written over; DICOM results name the slices of the first. Structures that overlap go into
    a .seg.nrrd file where NIfTI was asked for, since one number per voxel cannot hold them; the notes then say so.
    Raises OutputExistsError before anything is written if a file is there and `overwrite` is False; VolumeError if one
    is a scan of the case, or DICOM was asked for and the scan is no DICOM series.
    """
    from genesis_core.volumes.label_writing import forget_names, write_labels
    from genesis_core.volumes.writing import write_volume

    refuse_existing(files.values(), overwrite)
    for path in files.values():
        if path.exists() and any(path.samefile(scan.path) for scan in scans):
            raise VolumeError(f"{path}: is the scan itself, not a result to be replaced: choose another folder")
    labels, notes = segmentation.labels, list(segmentation.notes)
    chosen = "labels"
    if "layers" in files and len(labels.layers) > 1:
        chosen = "layers"
        notes.append(
            f"The structures overlap, which NIfTI cannot hold: written as {files['layers'].name}, which has layers."
        )
    if chosen == "labels" and files["labels"].suffix == ".dcm":
        require_series(scans[0])
    files["information"].parent.mkdir(parents=True, exist_ok=True)
    # While results are being replaced, old information must not vouch for new labels; nor old maps lie beside them.
    # Only it tells a label map of ours from a scan or a reference that is called alike.
    before = _labels_before(files)
    for part in ("information", "uncertainty", "spread"):
        files[part].unlink(missing_ok=True)
    if before in ("labels", "layers") and before != chosen:
        files[before].unlink(missing_ok=True)
        if before == "labels" and "names" in files:
            forget_names(files["names"])
    written = {chosen: files[chosen]}
    if chosen == "labels" and "names" in files:
        written["names"] = files["names"]
    for part, volume in (("uncertainty", segmentation.uncertainty), ("spread", segmentation.spread)):
        if volume is not None:
            written[part] = write_volume(volume, files[part], overwrite=overwrite)
    # Next to last: whoever is interrupted here hardly ever leaves a label map without the information that it is ours.
    if files[chosen].suffix == ".dcm":
        _write_dicom(segmentation, scans[0], files[chosen], overwrite)
    else:
        write_labels(labels, files[chosen], overwrite=overwrite)
    written["information"] = files["information"]
    stated = {**facts, **segmentation.as_json(), "notes": notes, "labels": files[chosen].name}
    write_text(files["information"], json.dumps(stated, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return written


def refuse_unknown_labels(files: Mapping[str, Path]) -> None:
    """Raise OutputExistsError if a label map is there of which no information says that it is an earlier result."""
    for part in ("labels", "layers"):
        if part in files and files[part].exists() and not files["information"].exists():
            raise OutputExistsError(
                f"{files[part]} exists, and no {files['information'].name} beside it says that it is a result: it is "
                "left as it is. Choose another --out, move it away, or replace it with --overwrite"
            )


def _labels_before(files: Mapping[str, Path]) -> str | None:
    """Return which part holds the labels of the result about to be replaced, by its information; None without one."""
    try:
        name = json.loads(files["information"].read_text(encoding="utf-8"))["labels"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return next((part for part in ("labels", "layers") if part in files and files[part].name == name), None)


def require_series(scan: Scan) -> None:
    """Raise VolumeError unless a DICOM SEG can be written: it refers to a DICOM series, and needs highdicom."""
    from importlib.util import find_spec

    from genesis_core.volumes.formats.headers import file_ending

    if not scan.path.is_dir() and file_ending(scan.path) is not None:
        raise VolumeError(
            f"{scan.path}: no DICOM series, so no DICOM SEG can refer to its slices: choose --format nii.gz or nrrd"
        )
    if find_spec("highdicom") is None:
        raise VolumeError("writing DICOM SEG needs highdicom: install it with pip install 'napari-genesis[dicom]'")


def require_dicom_memory(card: ModelCard, voxels: int) -> None:
    """Raise MemoryBudgetError if a DICOM SEG of a scan with so many voxels could not be written after all computing."""
    from genesis_core.inference.memory_budget import require_memory
    from genesis_core.volumes.dicom.segmentation_writing import dicom_seg_bytes

    # Structures of a sigmoid may all overlap.
    layers = len(card.structures) if card.activation == "sigmoid" else 1
    require_memory(
        dicom_seg_bytes(voxels, layers),
        f"writing {len(card.structures)} structures of {voxels / 1e6:.0f} million voxels as DICOM SEG",
        "choose --format nrrd, fewer structures, or a machine with more memory",
    )


def _write_dicom(segmentation: Segmentation, scan: Scan, path: Path, overwrite: bool) -> None:
    from genesis_core.volumes.dicom.segmentation_writing import write_dicom_seg

    write_dicom_seg(segmentation.labels, scan.path, path, series=scan.series, overwrite=overwrite)


def stated_beside(labels: Path) -> dict[str, Any]:
    """Return what the information beside a label map states of it; {} where there is none, or of another file."""
    name = labels.name
    for ending in _ENDINGS.values():
        name = name.removesuffix(ending)
    try:
        facts = json.loads((labels.parent / f"{name}_segmentation.json").read_text(encoding="utf-8"))
        return facts if facts["labels"] == labels.name else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def volumes_table(information: Iterable[Path]) -> str:
    """Return the table case, structure, voxels, ml of the cases whose information is there, as CSV.

    Information that is not there, or not ours, is left out: its case was not finished.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("case", "structure", "voxels", "ml"))
    for path in information:
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            rows = [(facts["case"], one["name"], one["voxels"], one["ml"]) for one in facts["structures"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        writer.writerows(rows)
    return text.getvalue()
