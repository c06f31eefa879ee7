"""The commands ``trials``, ``truths``, ``decodes`` and ``manifest`` of ``python -m model``."""

# ruff: noqa: PLC0415 - each command imports what it needs: --help must not wait

from pathlib import Path
from typing import Annotated, Literal

import typer

from model.errors import ModelError

Work = Annotated[Path, typer.Option(help="Folder with tracks and bench; the trials lie beside it.")]
_WORK = Path("build/model")
ClipSplit = Annotated[
    Literal["validation", "test"],
    typer.Option(help="What the clips are for: `calibrate` reads those of validation in WORK/truths and WORK/decodes."),
]


def trials(
    work: Work = _WORK,
    tracks: Annotated[int | None, typer.Option(min=1, help="Tracks of each split, in the order of the searches.")] = 24,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 1,
) -> None:
    """Build the fixed trials: processed decodes, encoders never trained on, hard negatives, inserts; resumable."""
    from model.training.trials import build_trials

    failed = build_trials(work, tracks=tracks, seed=seed)
    for line in failed:
        typer.echo(line, err=True)
    typer.echo(f"done, {len(failed)} encodings failed")


def truths(
    audio: Annotated[list[Path], typer.Option(help="Folder of lossless audio, one sub-folder a source group.")],
    out: Annotated[Path, typer.Option(help="Folder of the clips, for --true-recordings.")],
    clips: Annotated[int, typer.Option(min=1, help="Clips of each source group at most.")] = 4,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 1,
    split: ClipSplit = "test",
) -> None:
    """Cut untouched clips of source groups that are used nowhere else: true recordings to judge, or to calibrate on."""
    from model.training import sources
    from model.training.true_recordings import build_true_recordings

    screening = sources.collect(audio, keep_cliffs=True)
    for reason, count in sorted(screening.refused.items()):
        typer.echo(f"left out {count} files: {reason}")
    made = build_true_recordings(screening.sources, out, clips=clips, seed=seed, split=split)
    if not made:
        folders = ", ".join(map(str, audio))
        message = f"no clips: {folders} has no sub-folders of lossless audio at 44.1 or 48 kHz, 12 s in each together"
        raise ModelError(message)
    typer.echo(f"{made} clips in {out}")


def decodes(
    truths: Annotated[Path, typer.Option(help="Folder of clips that `truths` cut.")],
    out: Annotated[Path, typer.Option(help="Folder of the decodes, for evaluate --decodes.")],
    clips: Annotated[int, typer.Option(min=1, help="Clips that are encoded, by lot, one of a source group.")] = 24,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 1,
    split: ClipSplit = "test",
) -> None:
    """Send clips of sources used nowhere else through the encodings that are hardest to find; resumable."""
    from model.training.bench import load_bench
    from model.training.further_decodes import build_decodes

    found = load_bench(truths, split)
    if not found:
        message = f"{truths} has no {split} clips: run `python -m model truths --split {split} --out {truths}` first"
        raise ModelError(message)
    made, failed = build_decodes(found, out, number=clips, seed=seed)
    typer.echo(f"decodes of {made} clips in {out}, {failed} encodings failed")


def manifest(
    work: Work = _WORK,
    split: Annotated[str, typer.Option(help="validation or test.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Write a manifest over bench and trials to this file.")] = None,
    check: Annotated[Path | None, typer.Option(help="Name every item that this manifest has otherwise.")] = None,
) -> None:
    """Write down the recordings of a split by checksum, or check them against such a list."""
    from model.training.manifest import check_manifest, write_manifest

    if (out is None) == (check is None):
        raise typer.BadParameter("give either --out or --check")
    if out:
        typer.echo(f"{write_manifest(work, split, out)} items in {out}")
        return
    if check:
        differences = check_manifest(work, split, check)
        for line in differences:
            typer.echo(line)
        typer.echo(f"{len(differences)} differences", err=True)
        if differences:
            raise typer.Exit(1)
