"""The detector: what it hears, how it decides, and how it was trained.

The serving half (``constants``, ``framing``, ``bandwidth``, ``layers``, ``network``,
``pooling``, ``policy``, ``artefact``) needs NumPy, soxr and Keras only.
The training half lives in ``model.training`` and is never imported from here.
"""
