"""``python -m model``: from a folder of lossless audio to a released detector.

The steps in order: ``corpus`` (screen, mix, master), ``bench`` (round trips), ``train``,
``calibrate``, ``evaluate``.  Each reads what the one before wrote under ``--work``.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
DEFAULT_WORK = Path("build/model")

Work = Annotated[Path, typer.Option(help="Folder for tracks, round trips and checkpoints.")]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.")]
Jobs = Annotated[int, typer.Option(min=1, help="Parallel workers.")]


@app.command()
def corpus(
    audio: Annotated[list[Path], typer.Option(help="Folder of lossless FLAC/WAV/AIFF, one sub-folder a source group.")],
    work: Work = DEFAULT_WORK,
    splits: Annotated[Path | None, typer.Option(help="JSON of split -> group patterns; others go 70/15/15.")] = None,
    train_tracks: Annotated[int, typer.Option(min=1)] = 600,
    validation_tracks: Annotated[int, typer.Option(min=1)] = 90,
    test_tracks: Annotated[int, typer.Option(min=1)] = 100,
    keep_cliffs: Annotated[bool, typer.Option("--keep-cliffs", help="Keep files with a steep cut-off: for vetted material.")] = False,
    seed: Seed = 1,
    jobs: Jobs = 2,
) -> None:
    """Screen lossless audio and mix and master it to tracks, dealt by source group."""
    from model.training import sources, tracks

    screening = sources.collect(audio, keep_cliffs=keep_cliffs)
    dealt = sources.deal((s.group for s in screening.sources), sources.read_rules(splits) if splits else ())
    for reason, count in sorted(screening.refused.items()):
        typer.echo(f"left out {count} files: {reason}")
    counts: dict[sources.Split, int] = {"train": train_tracks, "validation": validation_tracks, "test": test_tracks}
    made = tracks.make_tracks(screening, dealt, counts, work / "tracks", seed=seed, jobs=jobs)
    typer.echo(f"{len(made)} tracks from {len(screening.sources)} files of {len(dealt)} source groups")


@app.command()
def bench(work: Work = DEFAULT_WORK, seed: Seed = 1, jobs: Jobs = 2) -> None:
    """Send every track through the encoders and back; picks up where it was interrupted."""
    from model.training import bench as bench_step
    from model.training import tracks

    failures = bench_step.build_bench(tracks.read_tracks(work / "tracks"), work / "bench", seed=seed, jobs=jobs)
    typer.echo(f"done, {failures} encodings failed")


@app.command()
def clips(
    audio: Annotated[Path, typer.Option(help="Folder with one sub-folder a source group.")],
    group: Annotated[str, typer.Option(help="The source group to make clips from; hold it out of training.")],
    out: Annotated[Path, typer.Option(help="Folder of the clips.")],
    seed: Seed = 7,
) -> None:
    """Make twelve short clips with a known truth, for demonstrations."""
    from model.training import clips as clips_step
    from model.training import sources

    found = sources.collect([audio]).sources
    clips_step.make_clips([s for s in found if s.group == group], out, seed=seed)


if __name__ == "__main__":
    app()
