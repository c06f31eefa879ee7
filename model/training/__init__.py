"""The training half: sources, tracks, round trips, training, calibration, evaluation.

Needs the ``train`` extra and an ffmpeg; nothing that serves imports it.
"""
