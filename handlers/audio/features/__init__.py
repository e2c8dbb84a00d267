"""Features of audio as modules, for training and serving alike: on any device, inside a model's graph.

All can be scripted and exported. Each takes waveforms (B, samples) and gives one value, or one column, for each frame.
Frames are centred: frame t is around sample t × hop, the signal stands in silence, and there are samples // hop + 1 of
them, whatever the window. A signal shorter than a window, or silent, has finite features; one without samples is a
ValueError. Features have the precision of the waveforms, float32 or float64.
"""
