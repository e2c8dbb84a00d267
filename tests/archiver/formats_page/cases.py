"""All rows of the table, in its order."""

from tests.archiver.formats_page import detectors, files, images, sound_and_text

CASES = [*images.CASES, *files.CASES, *detectors.CASES, *sound_and_text.CASES]
