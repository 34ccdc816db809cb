"""From a trained network to the device: exported files, the speed of devices, and the engine beside its rivals."""
