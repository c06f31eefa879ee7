"""From a URI to windows of audio: what may be read, what it is, how it is decoded."""
