"""Diagnoses this machine: what it can do, and what keeps it from serving.

Standard library only, apart from imports inside functions: the doctor is needed most when the installation has failed.
"""
