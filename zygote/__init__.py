"""A warm process that forks: it has imported the heavy libraries once, and every script run through it starts at once.

Linux shares the memory of what was imported between the forks. server.py is that process, process.py starts it,
client.py asks it for a fork, and `python` is a program that does so in the place of an interpreter.
"""
