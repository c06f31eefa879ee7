"""The network at work: device, batches, scores."""
