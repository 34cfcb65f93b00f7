"""Map the embeddings of a language model by a dense invertible linear map (paper A, Table 3)."""

from pathlib import Path

from shiftscope.lms.mapped import MapSlice, map_embeddings
from shiftscope.workflow.job import run


def main(source: Path, source_manifest: Path, embeddings: Path, manifest: Path, params: MapSlice) -> None:
    map_embeddings(params.map, source, source_manifest, embeddings, manifest)


if __name__ == "__main__":
    run(main)
