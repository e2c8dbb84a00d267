"""Files of weights, looked at before a library reads them: what could run code or fill the machine is refused.

Standard library alone, because both sides call it: `archiver` before it packs a file, a worker before it loads one.
"""
