"""Checks files of weights before a library reads them: those that could run code or fill the machine are refused.

Uses the standard library alone, because `archiver` checks a file before packing it, and a worker before loading it.
"""
