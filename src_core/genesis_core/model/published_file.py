"""Where a checkpoint is read from: a local file, or `hf://owner/repository/file` on Hugging Face, through its client.

Nothing is fetched unless such a place was asked for. The file lands in that client's own cache and stays there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from genesis_core.errors import ModelError

SCHEME = "hf://"
_PLACE = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+?)(@(?P<revision>[\w.-]+))?/(?P<file>[^?#@]+)")


class HubPlace(NamedTuple):
    """A file on Hugging Face. revision: a branch, tag or commit."""

    repository: str
    file: str
    revision: str

    @property
    def address(self) -> str:
        """The address it can be downloaded from by hand."""
        return f"https://huggingface.co/{self.repository}/resolve/{self.revision}/{self.file}"


def hub_place(text: str) -> HubPlace | None:
    """Return the place `hf://owner/repository[@revision]/file` names; None for a local path.

    Raises ModelError for a place that begins so and is none.
    """
    # As pathlib writes it, the second slash is gone.
    text = re.sub(r"^hf:/(?!/)", SCHEME, text)
    if not text.startswith(SCHEME):
        return None
    match = _PLACE.fullmatch(text)
    if match is None or ".." in match["file"].split("/"):
        raise ModelError(f"{text}: expected hf://OWNER/REPOSITORY/FILE, or hf://OWNER/REPOSITORY@REVISION/FILE")
    return HubPlace(match["repository"], match["file"], match["revision"] or "main")


def fetch(place: HubPlace) -> Path:
    """Download a file from Hugging Face, or take it from the cache of its client; return where it lies.

    Raises ModelError if it cannot be had, with the address to download it from by hand.
    """
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(place.repository, place.file, revision=place.revision))
    # The client raises what its libraries raise: no network, no such file, terms not accepted, a full disk.
    except Exception as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0][:300]
        raise ModelError(
            f"hf://{place.repository}/{place.file}: could not be fetched ({reason}); download {place.address} by hand "
            "and give the file"
        ) from None
