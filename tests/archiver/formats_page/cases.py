"""All rows of the table, in its order."""

from tests.archiver.formats_page import files, images, sound_and_text

CASES = [*images.CASES, *files.CASES, *sound_and_text.CASES]
