"""Say what can be said of pairs before anything is trained on them: where they are not what the theory presumes."""

from pathlib import Path

from shiftscope.evaluation.diagnosis import DiagnosisSlice, write_diagnosis
from shiftscope.workflow.job import run


def main(
    embeddings: Path, manifest: Path, pairs: Path, pairs_manifest: Path, lm_manifest: Path, diagnosis: Path,
    params: DiagnosisSlice,
) -> None:  # fmt: skip
    write_diagnosis(params, embeddings, manifest, pairs, pairs_manifest, lm_manifest.parent, diagnosis)


if __name__ == "__main__":
    run(main)
