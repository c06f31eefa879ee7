"""``python -m model``: from a folder of lossless audio to a released detector.

The steps in order: ``render`` (only for MIDI and tracker modules), ``corpus`` (screen, mix,
master), ``bench`` (round trips), ``trials`` (the fixed hard set), ``train``, ``search`` (frame grids), ``calibrate``,
``evaluate``.  Each reads what the one before wrote under ``--work``.
"""

# ruff: noqa: PLC0415 - each command imports what it needs: --help must not wait for TensorFlow

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from model.errors import ModelError
from model.training import trial_commands

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class PlainErrors(TyperGroup):
    """Commands whose errors on purpose are a sentence and exit 1, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModelError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error


app = typer.Typer(cls=PlainErrors, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
DEFAULT_WORK = Path("build/model")

Work = Annotated[Path, typer.Option(help="Folder for tracks, round trips and checkpoints.")]
TrueRecordings = Annotated[
    Path | None, typer.Option(help="A bench folder of nothing but true recordings, of sources used nowhere else.")
]
Decodes = Annotated[Path | None, typer.Option(help="A bench folder of `decodes`, searched already.")]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.")]
Jobs = Annotated[int, typer.Option(min=1, help="Parallel workers.")]


@app.command()
def render(
    songs: Annotated[Path, typer.Option(help="Folder of MIDI files and tracker modules.")],
    out: Annotated[Path, typer.Option(help="Folder of source groups to add to, for corpus --audio.")],
    soundfont: Annotated[Path | None, typer.Option(help="Lossless SF2 for the MIDI files.")] = None,
    rate: Annotated[int, typer.Option(help="Sampling rate in Hz.")] = 44_100,
) -> None:
    """Render MIDI (fluidsynth) and tracker modules (openmpt123) to lossless source groups."""
    from model.training import rendering

    known = rendering.MIDI_SUFFIXES | rendering.MODULE_SUFFIXES
    found = sorted(path for path in songs.rglob("*") if path.suffix.lower() in known)
    done, errors = rendering.render_all(found, soundfont, out, rate)
    for error in errors:
        typer.echo(error, err=True)
    typer.echo(f"{done} songs in {out}")


@app.command()
def corpus(
    audio: Annotated[list[Path], typer.Option(help="Folder of lossless FLAC/WAV/AIFF, one sub-folder a source group.")],
    work: Work = DEFAULT_WORK,
    splits: Annotated[Path | None, typer.Option(help="JSON of split -> group patterns; others go 70/15/15.")] = None,
    train_tracks: Annotated[int, typer.Option(min=1)] = 600,
    validation_tracks: Annotated[int, typer.Option(min=1)] = 90,
    test_tracks: Annotated[int, typer.Option(min=1)] = 100,
    keep_cliffs: Annotated[
        bool, typer.Option("--keep-cliffs", help="Keep files with a steep cut-off: for vetted material.")
    ] = False,
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
def train(
    work: Work = DEFAULT_WORK,
    minutes: Annotated[float, typer.Option(help="Time budget; the learning rate falls with the clock.")] = 45.0,
    steps: Annotated[int, typer.Option(min=1, help="Most batches, whichever comes first.")] = 1_000_000,
    groups: Annotated[int, typer.Option(min=1, help="Tracks a batch; each brings two true and four lossy crops.")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Peak of the cosine schedule.")] = 2e-3,
    warm_start: Annotated[Path | None, typer.Option(help="Weights of an earlier run to go on from.")] = None,
    check_every: Annotated[int, typer.Option(min=1, help="Steps between looks at the validation sources.")] = 100,
    seed: Seed = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew even where an unfinished run lies.")] = False,
) -> None:
    """Train the network on the bench, going on where a run was interrupted; validation is watched, not chosen by."""
    from model.training import steps as pipeline
    from model.training.train import Settings

    settings = Settings(
        minutes=minutes,
        warm_start=str(warm_start or ""),
        steps=steps,
        groups=groups,
        learning_rate=learning_rate,
        check_every=check_every,
        seed=seed,
    )
    facts = pipeline.run_training(work, settings, fresh=fresh)
    typer.echo(f"trained on {facts['training_tracks']} tracks in {facts['train_minutes']} min")


@app.command()
def search(
    work: Work = DEFAULT_WORK,
    tracks: Annotated[int | None, typer.Option(min=1, help="Tracks of each split; all by default.")] = None,
    true_recordings: TrueRecordings = None,
) -> None:
    """Search the validation and test tracks for frame grids (one to four CPU-seconds an item); resumable."""
    from model.training import steps as pipeline

    typer.echo(f"{pipeline.run_grid_search(work, tracks, true_recordings)} tracks searched")


@app.command()
def calibrate(
    version: Annotated[str, typer.Option(help="Version of artefact and policy.")],
    work: Work = DEFAULT_WORK,
    out: Annotated[Path, typer.Option(help="Folder of the artefact.")] = Path("build/released"),
) -> None:
    """Calibrate and choose thresholds on the validation sources, write the artefact."""
    from model.training import steps as pipeline

    policy, suspects = pipeline.run_calibration(work, out, version)
    for line in suspects:
        typer.echo(line, err=True)
    typer.echo(f"{out}: reject from {policy.reject_at}, accept below {policy.accept_below}")


@app.command()
def evaluate(
    work: Work = DEFAULT_WORK,
    model_dir: Annotated[Path | None, typer.Option(help="Folder of the artefact; the released one by default.")] = None,
    reports: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("build/reports"),
    words: Annotated[Path | None, typer.Option(help="JSON with the report's texts: verdict, sources, next.")] = None,
    true_recordings: TrueRecordings = None,
    decodes: Decodes = None,
    compare: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="Decisions of another detector on the same items.")
    ] = None,
    peers_file: Annotated[
        Path | None, typer.Option("--peers", help="peers.json: what `peers` heard of the same files.")
    ] = None,
    localised_tracks: Annotated[int, typer.Option(min=0, help="Tracks with an insert, searched in every segment.")] = 8,
) -> None:
    """Measure an artefact on held-out sources: the table by codec and bitrate, and all its faults."""
    from model.artefact import default_model_dir
    from model.training import evaluation_run

    others = dict(one.split("=", 1) for one in compare or [])
    inputs = evaluation_run.Inputs(
        work,
        model_dir or default_model_dir(),
        reports,
        words,
        true_recordings,
        decodes,
        {name: Path(path) for name, path in others.items()},
        peers_file,
        localised_tracks,
    )
    figures = evaluation_run.run_evaluation(inputs)
    typer.echo(f"AUC {figures['auc_originals']:.3f}, report in {reports}")


@app.command()
def report(
    figures: Annotated[Path, typer.Option(help="JSON that an evaluation wrote.")],
    words: Annotated[Path | None, typer.Option(help="JSON with the report's texts: verdict, sources, next.")] = None,
) -> None:
    """Write Markdown and pictures again from an evaluation's JSON, with other texts."""
    from model.training import evaluation_run

    evaluation_run.write_report(figures, words)


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


@app.command()
def peers(
    work: Work = DEFAULT_WORK,
    out: Annotated[Path, typer.Option(help="Folder of the result, peers.json.")] = Path("build/reports"),
    tracks: Annotated[int, typer.Option(min=1, help="Test tracks, in the order of the searches.")] = 20,
    items_a_track: Annotated[int, typer.Option(min=2, help="Items of each track, half true, half lossy.")] = 12,
    peer: Annotated[list[str] | None, typer.Option(help="Ask only this peer; may be repeated.")] = None,
) -> None:
    """Ask other published detectors about the same files (they are installed under WORK/peers); resumable."""
    from model.training.peers import ask, known

    asked = [one for one in known.PEERS if not peer or one.name in peer]
    result = ask.run_peers(work, out, tracks, items_a_track, asked)
    typer.echo(f"{len(result['items'])} verdicts in {out / ask.RESULT_FILE}")


app.command()(trial_commands.trials)
app.command()(trial_commands.truths)
app.command()(trial_commands.decodes)
app.command()(trial_commands.manifest)

if __name__ == "__main__":
    app()
