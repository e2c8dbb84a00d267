"""A warm process that forks: it has imported the heavy libraries once, and every script run through it starts at once.

Linux shares the memory of what was imported between the forks. server.py is that process, process.py starts it,
client.py asks it for a fork, and `python` is a program that does so in the place of an interpreter (stand_in.py).
Beside a worker of TorchServe's it stays: keeper.py replaces one that has died or takes too long by successor.py, and
says why in the model's log (death.py) and in the run folder (death_record.py); an input that ends workers again and
again is refused (quarantine.py).
"""
