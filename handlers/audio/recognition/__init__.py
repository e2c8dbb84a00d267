"""Speech models of the two kinds: CTC, with a token for each frame, and Whisper, which writes."""
