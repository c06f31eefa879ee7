"""What can go wrong in the detector, one line each."""


class ModelError(Exception):
    """Anything the detector raises on purpose."""


class ArtefactError(ModelError):
    """The released weights or their metadata are missing, damaged or do not belong together."""


class PolicyError(ModelError):
    """A policy file says something that cannot be obeyed."""


class FramingError(ModelError):
    """Samples were handed over that cannot become a segment."""
