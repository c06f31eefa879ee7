"""Other detectors on the same files: what they find, and what they reject."""
