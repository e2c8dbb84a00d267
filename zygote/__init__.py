"""A warm process that forks: it has imported the heavy libraries once, and every script run through it starts at once.

Linux shares the memory of what was imported between the forks. server.py is that process, process.py starts it,
client.py asks it for a fork, and `python` is a program that does so in the place of an interpreter (stand_in.py).
keeper.py stays beside each TorchServe worker. It replaces a worker that has died or takes too long with successor.py,
and records why in the model's log (death.py) and in the run folder (death_record.py). An input that ends workers
repeatedly is refused (quarantine.py).
"""
